//! Reading big-endian numbers from bytes, without ever going beyond them.

use crate::Error;

/// What is left of some bytes. Every read takes from the front or is [`Error::Truncated`].
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads all of `bytes` with `parse`.
    ///
    /// # Errors
    /// Those of `parse`; [`Error::BadLength`] if it leaves something over.
    pub(crate) fn whole<T>(
        bytes: &'a [u8],
        parse: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut r = Self::new(bytes);
        let value = parse(&mut r)?;
        if r.is_empty() { Ok(value) } else { Err(Error::BadLength) }
    }

    /// Bytes left.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*front)
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] if fewer are left.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (front, rest) = self.rest.split_at_checked(n).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(front)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Error::Truncated`] if none is left.
    pub fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes as a number.
    ///
    /// # Errors
    /// [`Error::Truncated`] if fewer are left.
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes as a number.
    ///
    /// # Errors
    /// [`Error::Truncated`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    ///
    /// # Errors
    /// [`Error::Truncated`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_beyond_the_end_takes_nothing() {
        let mut r = Reader::new(&[1, 2, 3]);
        assert_eq!(r.u32(), Err(Error::Truncated));
        assert_eq!(r.bytes(4), Err(Error::Truncated));
        assert_eq!(r.u16(), Ok(0x0102));
        assert_eq!(r.rest(), [3]);
        assert_eq!(r.u8(), Err(Error::Truncated));
    }

    #[test]
    fn what_is_left_over_is_an_error() {
        assert_eq!(Reader::whole(&[1, 2], Reader::u8), Err(Error::BadLength));
        assert_eq!(Reader::whole(&[1, 2], Reader::u16), Ok(0x0102));
    }
}
