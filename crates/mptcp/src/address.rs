//! Which addresses can be those of one host.

use core::net::IpAddr;

/// Neither multicast nor unspecified, nor the limited broadcast address (RFC 9293 §3.9.1.1,
/// §3.9.2.3). **Choice:** the broadcast address of a subnet cannot be known, since interfaces have
/// no prefix here; what comes to it is dropped, since only their own addresses are taken in.
pub(crate) fn is_unicast(addr: IpAddr) -> bool {
    let broadcast = matches!(addr, IpAddr::V4(v4) if v4.is_broadcast());
    !broadcast && !addr.is_multicast() && !addr.is_unspecified()
}
