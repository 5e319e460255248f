//! Which addresses can be those of one host, and what their packets hold.

use core::net::IpAddr;

use manypath_base::Mss;

/// Neither multicast nor unspecified, nor the limited broadcast address (RFC 9293 §3.9.1.1,
/// §3.9.2.3). **Choice:** the broadcast address of a subnet cannot be known, since interfaces have
/// no prefix here; what comes to it is dropped, since only their own addresses are taken in.
pub(crate) fn is_unicast(addr: IpAddr) -> bool {
    let broadcast = matches!(addr, IpAddr::V4(v4) if v4.is_broadcast());
    !broadcast && !addr.is_multicast() && !addr.is_unspecified()
}

/// Payload of a TCP segment beside the fixed headers, of an interface's packets (RFC 6691 §2).
/// **Choice:** at least a byte, however small the interface is said to be.
pub(crate) fn mss(mtu: u16, local: IpAddr) -> Mss {
    let headers = if local.is_ipv4() { 40 } else { 60 };
    Mss(mtu.saturating_sub(headers).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_takes_a_byte() {
        let (v4, v6) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 1_u16]));
        assert_eq!((mss(1_500, v4), mss(1_500, v6)), (Mss(1_460), Mss(1_440)));
        assert_eq!((mss(40, v4), mss(0, v6)), (Mss(1), Mss(1)));
    }
}
