//! Timestamps (RFC 7323 §3.2).
//!
//! ```text
//! +--------+--------+-----------------+-----------------+
//! | kind 8 | len 10 |  TSval, 4 bytes |  TSecr, 4 bytes |
//! +--------+--------+-----------------+-----------------+
//! ```

use crate::{Error, Reader, Writer};

/// The timestamps option (RFC 7323 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the last TSval that the sender saw; meaningful with ACK.
    pub echo: u32,
}

impl Timestamps {
    pub(super) const KIND: u8 = 8;
    pub(super) const LEN: usize = 10;

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self { value: r.u32()?, echo: r.u32()? })
    }

    pub(super) fn emit(self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { value, echo } = self;
        w.u32(value)?;
        w.u32(echo)
    }
}
