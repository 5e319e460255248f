//! Payload of a segment: a few shared slices, never copied.

use alloc::vec::Vec;
use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// A run of bytes made of reference-counted slices. Cutting and joining move no bytes.
///
/// **Invariant**: no chunk is empty, and `len` is the sum of the chunks' lengths.
#[derive(Clone, Default)]
pub struct Payload {
    chunks: SmallVec<[Bytes; 2]>,
    len: usize,
}

impl Payload {
    /// No bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices in order.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The slices in order, given away.
    pub fn into_chunks(self) -> impl Iterator<Item = Bytes> {
        self.chunks.into_iter()
    }

    /// Appends a slice.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.len += chunk.len();
            self.chunks.push(chunk);
        }
    }

    /// Appends another payload.
    pub fn append(&mut self, other: Self) {
        self.len += other.len;
        self.chunks.extend(other.chunks);
    }

    /// The bytes from `start` to `end`, cut to what there is.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        let mut out = Self::new();
        let mut at = 0;
        for chunk in &self.chunks {
            let from = start.max(at);
            let to = end.min(at + chunk.len());
            if from < to {
                out.push(chunk.slice(from - at..to - at));
            }
            at += chunk.len();
        }
        out
    }

    /// Takes the first `n` bytes out, or all where there are no more.
    #[must_use]
    pub fn split_to(&mut self, n: usize) -> Self {
        if n >= self.len {
            return core::mem::take(self);
        }
        let front = self.slice(0, n);
        self.advance(n);
        front
    }

    /// Drops the first `n` bytes.
    pub fn advance(&mut self, n: usize) {
        if n >= self.len {
            *self = Self::new();
            return;
        }
        self.len -= n;
        let (mut gone, mut left) = (0, n);
        while let Some(chunk) = self.chunks.get(gone).filter(|chunk| chunk.len() <= left) {
            left -= chunk.len();
            gone += 1;
        }
        self.chunks.drain(..gone);
        if let Some(first) = self.chunks.first_mut() {
            first.advance(left);
        }
    }

    /// Drops everything behind the first `n` bytes.
    pub fn truncate(&mut self, n: usize) {
        if n >= self.len {
            return;
        }
        let (mut kept, mut left) = (0, n);
        while let Some(chunk) = self.chunks.get_mut(kept).filter(|_| left > 0) {
            chunk.truncate(left);
            left -= chunk.len();
            kept += 1;
        }
        self.chunks.truncate(kept);
        self.len = n;
    }

    /// A copy in one piece: for tests, captures and small messages.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

impl From<Bytes> for Payload {
    fn from(chunk: Bytes) -> Self {
        let mut out = Self::new();
        out.push(chunk);
        out
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.chunks.iter().flatten().eq(other.chunks.iter().flatten())
    }
}

impl Eq for Payload {}

impl core::fmt::Debug for Payload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slicing_is_that_of_the_flat_bytes(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..6),
            a in 0usize..50, b in 0usize..50,
        ) {
            let mut payload = Payload::new();
            for part in &parts {
                payload.push(Bytes::from(part.clone()));
            }
            let flat = parts.concat();
            let (a, b) = (a.min(b).min(flat.len()), a.max(b).min(flat.len()));
            prop_assert_eq!(payload.slice(a, b).to_vec(), flat[a..b].to_vec());
            prop_assert_eq!(payload.slice(a, b).len(), b - a);
            prop_assert_eq!(payload.split_to(a).to_vec(), flat[..a].to_vec());
            prop_assert_eq!(payload.to_vec(), flat[a..].to_vec());
            let mut front = payload.clone();
            payload.advance(b - a);
            prop_assert_eq!((payload.to_vec(), payload.len()), (flat[b..].to_vec(), flat.len() - b));
            front.truncate(b - a);
            prop_assert_eq!((front.to_vec(), front.len()), (flat[a..b].to_vec(), b - a));
            prop_assert!([payload, front].iter().all(|p| p.chunks().iter().all(|c| !c.is_empty())));
        }
    }
}
