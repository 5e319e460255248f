//! The one copy of what applications write: into chunks that the stack then shares.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

/// Bytes copied at once: about what one super-segment carries.
const MAX: usize = 64 << 10;
/// Writes below share a block, so that a stream of small ones is not one of small allocations.
const SMALL: usize = 2 << 10;
/// Length of that block. It is what an idle connection that wrote little keeps.
const BLOCK: usize = 8 << 10;

/// Copies writes.
#[derive(Debug, Default)]
pub(crate) struct Copier {
    block: BytesMut,
}

impl Copier {
    /// Copies the start of `parts`: all, or 64 KiB.
    pub(crate) fn copy(&mut self, parts: &[IoSlice<'_>]) -> Bytes {
        let len = parts.iter().map(|part| part.len()).sum::<usize>().min(MAX);
        if len >= SMALL {
            let mut chunk = BytesMut::with_capacity(len);
            fill(&mut chunk, parts, len);
            return chunk.freeze();
        }
        if self.block.capacity() - self.block.len() < len {
            self.block = BytesMut::with_capacity(BLOCK);
        }
        fill(&mut self.block, parts, len);
        self.block.split().freeze()
    }
}

fn fill(to: &mut BytesMut, parts: &[IoSlice<'_>], mut len: usize) {
    for part in parts {
        let n = part.len().min(len);
        to.extend_from_slice(&part[..n]);
        len -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_writes_share_a_block_and_stay_what_they_were() {
        let mut copier = Copier::default();
        let chunks: Vec<_> = (0..20u8).map(|n| copier.copy(&[IoSlice::new(&[n; 1000])])).collect();
        for (n, chunk) in (0..20u8).zip(&chunks) {
            assert_eq!(chunk[..], [n; 1000]);
        }
        let neighbours = |pair: &[Bytes]| pair[0].as_ptr_range().end == pair[1].as_ptr();
        assert!(chunks.windows(2).filter(|pair| neighbours(pair)).count() >= 17, "8 in each block");
    }

    #[test]
    fn parts_are_joined_and_large_ones_cut() {
        let mut copier = Copier::default();
        let (a, b) = (vec![1; 60 << 10], vec![2; 60 << 10]);
        let chunk = copier.copy(&[IoSlice::new(&a), IoSlice::new(&b)]);
        assert_eq!(chunk[..], [&a[..], &b[..4 << 10]].concat());
        let chunk =
            copier.copy(&[IoSlice::new(b"multi"), IoSlice::new(b""), IoSlice::new(b"path")]);
        assert_eq!(chunk, "multipath");
        assert!(copier.copy(&[]).is_empty());
    }
}
