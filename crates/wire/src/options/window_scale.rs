//! Window scale (RFC 7323 §2.2), only on SYN. A shift above 14 is kept as it is: to clamp it is
//! the receiver's duty (RFC 7323 §2.3), not a question of form.
//!
//! ```text
//! +--------+--------+--------+
//! | kind 3 |  len 3 | shift  |
//! +--------+--------+--------+
//! ```

use crate::{Error, Reader, Writer};

pub(super) const KIND: u8 = 3;
pub(super) const LEN: usize = 3;

pub(super) fn parse(r: &mut Reader<'_>) -> Result<u8, Error> {
    r.u8()
}

pub(super) fn emit(shift: u8, w: &mut Writer<'_>) -> Result<(), Error> {
    w.u8(shift)
}
