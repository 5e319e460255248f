//! ADD_ADDR (RFC 8684 §3.4.1).

use core::net::IpAddr;

use manypath_base::AddrId;

/// Announces an address, or echoes an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddAddr {
    /// Identifier of the address.
    pub id: AddrId,
    /// The address.
    pub addr: IpAddr,
    /// Its port, where it is not that of the initial subflow.
    pub port: Option<u16>,
    /// Truncated HMAC; `None` marks an echo (the E flag).
    pub hmac: Option<[u8; 8]>,
}
