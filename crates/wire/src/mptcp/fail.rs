//! MP_FAIL (RFC 8684 §3.7, Figure 16).
//!
//! ```text
//! +---------+--------+-------+----------+-------------------------------+
//! | kind 30 | len 12 |   6   | reserved | data sequence number, 8 bytes |
//! +---------+--------+-------+----------+-------------------------------+
//! ```

use manypath_base::DataSeq;

use super::Subtype;
use crate::{Error, Reader, Writer};

/// A checksum failed: fall back, or close this subflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpFail {
    /// Start of the mapping that failed.
    pub dsn: DataSeq,
}

impl MpFail {
    pub(super) const LEN: usize = 12;

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.u16()?;
        Ok(Self { dsn: DataSeq(r.u64()?) })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { dsn } = *self;
        w.u8(Subtype::Fail.octet(0))?;
        w.u8(0)?;
        w.u64(dsn.0)
    }
}
