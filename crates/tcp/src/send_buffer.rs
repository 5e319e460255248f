//! Bytes that were written and not yet acknowledged, shared with the application's own buffers.

use alloc::collections::VecDeque;
use core::fmt::Debug;
use core::ops::{Add, Sub};

use bytes::Bytes;
use manypath_base::{Payload, len64, usize64};

/// A queue of shared slices, addressed by offset.
///
/// **Invariant**: chunks are in order, contiguous and not empty, from `start` to `end`.
#[derive(Clone, Debug, Default)]
pub struct SendBuffer<T> {
    chunks: VecDeque<(T, Bytes)>,
    start: T,
    end: T,
}

impl<T> SendBuffer<T>
where
    T: Copy + Ord + Debug + Add<u64, Output = T> + Sub<Output = u64>,
{
    /// An empty buffer whose first byte will be `start`.
    #[must_use]
    pub fn new(start: T) -> Self {
        Self { chunks: VecDeque::new(), start, end: start }
    }

    /// Offset of the first byte kept.
    #[must_use]
    pub fn start(&self) -> T {
        self.start
    }

    /// Offset behind the last byte written.
    #[must_use]
    pub fn end(&self) -> T {
        self.end
    }

    /// Bytes kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Appends bytes without copying them.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            let at = self.end;
            self.end = at + len64(chunk.len());
            self.chunks.push_back((at, chunk));
        }
    }

    /// The bytes from `from` to `to`, which must be kept.
    #[must_use]
    pub fn slice(&self, from: T, to: T) -> Payload {
        debug_assert!(self.start <= from && to <= self.end, "{from:?}..{to:?} not in {self:?}");
        let mut out = Payload::new();
        let first = self.chunks.partition_point(|(at, chunk)| *at + len64(chunk.len()) <= from);
        for (at, chunk) in self.chunks.range(first..).take_while(|(at, _)| *at < to) {
            let begin = if *at < from { usize64(from - *at) } else { 0 };
            let end = usize64(to - *at).min(chunk.len());
            out.push(chunk.slice(begin..end));
        }
        out
    }

    /// Gives back memory that the list of chunks has too much.
    pub fn release_spare(&mut self) {
        self.chunks.shrink_to_fit();
    }

    /// Forgets everything before `to`.
    pub fn release(&mut self, to: T) {
        if to <= self.start {
            return;
        }
        self.start = to.min(self.end);
        while let Some((at, chunk)) = self.chunks.front_mut() {
            if *at + len64(chunk.len()) > to {
                if *at < to {
                    let cut = usize64(to - *at);
                    *at = to;
                    drop(chunk.split_to(cut));
                }
                break;
            }
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use manypath_base::SubflowOffset;
    use proptest::prelude::*;

    proptest! {
        /// Against a flat vector and a start index.
        #[test]
        fn behaves_like_a_flat_vector(
            ops in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..12), 0u64..8), 0..30),
            cut in (0u64..100, 0u64..100),
        ) {
            let mut buffer = SendBuffer::new(SubflowOffset(1));
            let (mut flat, mut start) = (Vec::new(), 0usize);
            for (bytes, release) in ops {
                flat.extend_from_slice(&bytes);
                buffer.push(Bytes::from(bytes));
                start = (start + usize64(release)).min(flat.len());
                buffer.release(SubflowOffset(1 + len64(start)));
            }
            prop_assert_eq!(buffer.len(), len64(flat.len() - start));
            let a = start.max(usize64(cut.0.min(cut.1)).min(flat.len()));
            let b = a.max(usize64(cut.0.max(cut.1)).min(flat.len()));
            let slice = buffer.slice(SubflowOffset(1 + len64(a)), SubflowOffset(1 + len64(b)));
            prop_assert_eq!(slice.to_vec(), flat[a..b].to_vec());
        }
    }
}
