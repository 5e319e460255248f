//! ADD_ADDR (RFC 8684 §3.4.1, Figure 12). No field names the IP version: the length does.
//!
//! ```text
//! +---------+--------+-------+-----+-+---------+
//! | kind 30 | length |   3   | rsv |E| addr id |
//! +---------+--------+-------+-----+-+---------+
//! |  address, 4 or 16 bytes                    |
//! +----------------------+---------------------+
//! |  port, if not the    |  E=0: HMAC, 8 bytes |
//! |  first subflow's     |  E=1: nothing       |
//! +----------------------+---------------------+
//! ```

use core::net::IpAddr;

use manypath_base::AddrId;

use super::Subtype;
use crate::{Error, Reader, Writer};

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

impl AddAddr {
    pub(super) fn wire_len(&self) -> usize {
        let addr = if self.addr.is_ipv4() { 4 } else { 16 };
        4 + addr + self.port.map_or(0, |_| 2) + self.hmac.map_or(0, |_| 8)
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        let echo = r.u8()? & 1 == 1;
        let id = AddrId(r.u8()?);
        let behind_addr = if echo { 2 } else { 10 };
        let addr = if r.len() <= 4 + behind_addr {
            IpAddr::from(r.array::<4>()?)
        } else {
            IpAddr::from(r.array::<16>()?)
        };
        let port = if r.len() == behind_addr { Some(r.u16()?) } else { None };
        let hmac = if echo { None } else { Some(r.array()?) };
        Ok(Self { id, addr, port, hmac })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { id, addr, port, hmac } = *self;
        w.u8(Subtype::AddAddr.octet(u8::from(hmac.is_none())))?;
        w.u8(id.0)?;
        match addr {
            IpAddr::V4(addr) => w.bytes(&addr.octets())?,
            IpAddr::V6(addr) => w.bytes(&addr.octets())?,
        }
        port.map_or(Ok(()), |port| w.u16(port))?;
        hmac.map_or(Ok(()), |hmac| w.bytes(&hmac))
    }
}
