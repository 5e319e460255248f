//! REMOVE_ADDR (RFC 8684 §3.4.2, Figure 13).
//!
//! ```text
//! +---------+---------+-------+-------+---------+
//! | kind 30 | len 3+n |   4   |  rsv  | addr id | .. n
//! +---------+---------+-------+-------+---------+
//! ```

use manypath_base::AddrId;
use smallvec::SmallVec;

use super::Subtype;
use crate::{Error, Reader, Writer};

/// Withdraws addresses; every subflow that uses one is to be closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoveAddr {
    /// Identifiers of the addresses, at least one.
    pub ids: SmallVec<[AddrId; 8]>,
}

impl RemoveAddr {
    pub(super) fn wire_len(&self) -> usize {
        3 + self.ids.len()
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.u8()?;
        let first = AddrId(r.u8()?);
        let rest = r.rest().iter().map(|&id| AddrId(id));
        Ok(Self { ids: core::iter::once(first).chain(rest).collect() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        w.u8(Subtype::RemoveAddr.octet(0))?;
        self.ids.iter().try_for_each(|id| w.u8(id.0))
    }
}
