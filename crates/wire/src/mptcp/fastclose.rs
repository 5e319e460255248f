//! MP_FASTCLOSE (RFC 8684 §3.5, Figure 14).
//!
//! ```text
//! +---------+--------+-------+----------+--------------------------+
//! | kind 30 | len 12 |   7   | reserved | receiver's key, 8 bytes  |
//! +---------+--------+-------+----------+--------------------------+
//! ```

use manypath_base::Key;

use super::Subtype;
use crate::{Error, Reader, Writer};

/// Aborts the whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastClose {
    /// Key of the option's receiver: proof of being the peer.
    pub receiver_key: Key,
}

impl FastClose {
    pub(super) const LEN: usize = 12;

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.u16()?;
        Ok(Self { receiver_key: Key(r.array()?) })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { receiver_key } = *self;
        w.u8(Subtype::FastClose.octet(0))?;
        w.u8(0)?;
        w.bytes(&receiver_key.0)
    }
}
