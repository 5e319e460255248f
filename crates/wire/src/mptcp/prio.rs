//! MP_PRIO (RFC 8684 §3.3.8, Figure 11).
//!
//! ```text
//! +---------+--------+-------+-----+-+
//! | kind 30 |  len 3 |   5   | rsv |B|    version 0 may add an address id
//! +---------+--------+-------+-----+-+
//! ```

use manypath_base::AddrId;

use super::Subtype;
use crate::{Error, Reader, Writer};

/// Changes the priority of the subflow that it travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpPrio {
    /// B: use as backup.
    pub backup: bool,
    /// The address identifier of MPTCP version 0's longer form: shown, never obeyed.
    pub addr_id: Option<AddrId>,
}

impl MpPrio {
    pub(super) fn wire_len(&self) -> usize {
        3 + self.addr_id.map_or(0, |_| 1)
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        let backup = r.u8()? & 1 == 1;
        let addr_id = if r.is_empty() { None } else { Some(AddrId(r.u8()?)) };
        Ok(Self { backup, addr_id })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { backup, addr_id } = *self;
        w.u8(Subtype::Prio.octet(u8::from(backup)))?;
        addr_id.map_or(Ok(()), |id| w.u8(id.0))
    }
}
