//! Maximum segment size (RFC 9293 §3.2), only on SYN.
//!
//! ```text
//! +--------+--------+---------+--------+
//! | kind 2 |  len 4 | the largest MSS  |
//! +--------+--------+---------+--------+
//! ```

use crate::{Error, Reader, Writer};

pub(super) const KIND: u8 = 2;
pub(super) const LEN: usize = 4;

pub(super) fn parse(r: &mut Reader<'_>) -> Result<u16, Error> {
    r.u16()
}

pub(super) fn emit(mss: u16, w: &mut Writer<'_>) -> Result<(), Error> {
    w.u16(mss)
}
