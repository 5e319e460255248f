//! Fast Open cookie (RFC 7413 §4.1.1), only on SYN.
//!
//! ```text
//! +---------+--------+----------------------------+
//! | kind 34 | 2 + n  |  cookie, n = 0, 4, 6 .. 16 |
//! +---------+--------+----------------------------+
//! ```

use smallvec::SmallVec;

use crate::{Error, Reader, Writer};

pub(super) const KIND: u8 = 34;

/// The cookie; empty to ask for one.
pub(super) type Cookie = SmallVec<[u8; 16]>;

pub(super) fn wire_len(cookie: &Cookie) -> usize {
    2 + cookie.len()
}

/// The length of a cookie is even.
pub(super) fn parse(r: &mut Reader<'_>) -> Result<Cookie, Error> {
    match r.len() {
        0 | 4 | 6 | 8 | 10 | 12 | 14 | 16 => Ok(Cookie::from_slice(r.rest())),
        _ => Err(Error::BadLength),
    }
}

pub(super) fn emit(cookie: &Cookie, w: &mut Writer<'_>) -> Result<(), Error> {
    w.bytes(cookie)
}
