//! User timeout (RFC 5482 §3).
//!
//! ```text
//! +---------+--------+-+---------------+
//! | kind 28 |  len 4 |G|    timeout    |    G: minutes, else seconds
//! +---------+--------+-+---------------+
//! ```

use crate::{Error, Reader, Writer};

/// The user timeout option (RFC 5482 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTimeout {
    /// Whether `value` counts minutes instead of seconds.
    pub minutes: bool,
    /// The timeout, 15 bits.
    pub value: u16,
}

impl UserTimeout {
    pub(super) const KIND: u8 = 28;
    pub(super) const LEN: usize = 4;

    /// The largest value that 15 bits hold.
    pub const MAX: u16 = 0x7fff;

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        let field = r.u16()?;
        Ok(Self { minutes: field > Self::MAX, value: field & Self::MAX })
    }

    /// A value above [`UserTimeout::MAX`] is sent as that.
    pub(super) fn emit(self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { minutes, value } = self;
        w.u16(u16::from(minutes) << 15 | value.min(Self::MAX))
    }
}
