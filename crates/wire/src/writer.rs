//! Writing big-endian numbers into a place of fixed size: a header, or its option space.

use crate::Error;

/// A place that fills from the front. A write that does not fit is [`Error::NoSpace`] and
/// changes nothing.
#[derive(Debug)]
pub struct Writer<'a> {
    place: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Writes to `place` from its start.
    pub const fn new(place: &'a mut [u8]) -> Self {
        Self { place, at: 0 }
    }

    /// Bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.place.get(..self.at).unwrap_or_default()
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if they do not fit.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.at + bytes.len();
        self.place.get_mut(self.at..end).ok_or(Error::NoSpace)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    /// Writes the same byte `n` times.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if they do not fit.
    pub fn fill(&mut self, n: usize, byte: u8) -> Result<(), Error> {
        let end = self.at + n;
        self.place.get_mut(self.at..end).ok_or(Error::NoSpace)?.fill(byte);
        self.at = end;
        Ok(())
    }

    /// Writes a byte.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if it does not fit.
    pub fn u8(&mut self, n: u8) -> Result<(), Error> {
        self.bytes(&[n])
    }

    /// Writes a number as two bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if they do not fit.
    pub fn u16(&mut self, n: u16) -> Result<(), Error> {
        self.bytes(&n.to_be_bytes())
    }

    /// Writes a number as four bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if they do not fit.
    pub fn u32(&mut self, n: u32) -> Result<(), Error> {
        self.bytes(&n.to_be_bytes())
    }

    /// Writes a number as eight bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if they do not fit.
    pub fn u64(&mut self, n: u64) -> Result<(), Error> {
        self.bytes(&n.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_fit_changes_nothing() {
        let mut place = [0; 3];
        let mut w = Writer::new(&mut place);
        w.u16(0x0102).unwrap();
        assert_eq!(w.u16(0x0304), Err(Error::NoSpace));
        assert_eq!(w.fill(2, 9), Err(Error::NoSpace));
        w.u8(5).unwrap();
        assert_eq!(w.written(), [1, 2, 5]);
    }
}
