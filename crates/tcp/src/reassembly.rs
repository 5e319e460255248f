//! Puts bytes that came out of order back into order.
//!
//! **Invariant**: held pieces are disjoint, none is empty, all lie behind `next`; where two
//! copies overlap, the first to come wins, so what was once acknowledged never changes.

use alloc::collections::BTreeMap;
use core::fmt::Debug;
use core::ops::{Add, Range, Sub};

use manypath_base::{Payload, RangeSet, len64, usize64};

/// Reorders bytes addressed by offset. Work per piece is logarithmic in the pieces held.
#[derive(Clone, Debug)]
pub struct Reassembly<T> {
    next: T,
    held: BTreeMap<T, Payload>,
    ranges: RangeSet<T>,
    bytes: u64,
}

impl<T> Reassembly<T>
where
    T: Copy + Ord + Debug + Add<u64, Output = T> + Sub<Output = u64>,
{
    /// Nothing has come; the first byte to come in order is `next`.
    #[must_use]
    pub fn new(next: T) -> Self {
        Self { next, held: BTreeMap::new(), ranges: RangeSet::default(), bytes: 0 }
    }

    /// The first offset that has not come.
    #[must_use]
    pub fn next(&self) -> T {
        self.next
    }

    /// Bytes held out of order.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.bytes
    }

    /// The ranges held out of order.
    #[must_use]
    pub fn ranges(&self) -> &[Range<T>] {
        self.ranges.as_slice()
    }

    /// The held range around `at`.
    #[must_use]
    pub fn range_at(&self, at: T) -> Option<&Range<T>> {
        self.ranges.containing(at)
    }

    /// Whether all of `range` has come.
    #[must_use]
    pub fn has(&self, range: &Range<T>) -> bool {
        self.ranges.contains(&(range.start.max(self.next)..range.end))
    }

    /// Takes in `payload`, whose first byte is `start`, and hands out what is now in order.
    pub fn insert(&mut self, start: T, payload: Payload, mut deliver: impl FnMut(T, Payload)) {
        let end = start + len64(payload.len());
        if end <= self.next {
            return;
        }
        if start <= self.next && self.held.is_empty() {
            let mut payload = payload;
            if start < self.next {
                payload.advance(usize64(self.next - start));
            }
            let at = self.next;
            self.next = end;
            deliver(at, payload);
            return;
        }
        self.hold(start, end, &payload);
        self.drain(deliver);
    }

    fn hold(&mut self, start: T, end: T, payload: &Payload) {
        let from = start.max(self.next);
        let Self { held, ranges, bytes, .. } = self;
        for gap in ranges.gaps(from..end) {
            let piece = payload.slice(usize64(gap.start - start), usize64(gap.end - start));
            *bytes += len64(piece.len());
            held.insert(gap.start, piece);
        }
        ranges.insert(from..end);
    }

    fn drain(&mut self, mut deliver: impl FnMut(T, Payload)) {
        while let Some(entry) = self.held.first_entry().filter(|e| *e.key() == self.next) {
            let (at, piece) = entry.remove_entry();
            self.bytes -= len64(piece.len());
            self.next = at + len64(piece.len());
            deliver(at, piece);
        }
        self.ranges.remove_before(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use manypath_base::DataOffset;
    use proptest::prelude::*;

    proptest! {
        /// Against an array of optional bytes; every copy of a byte differs, so "first wins" shows.
        #[test]
        fn behaves_like_an_array_of_optional_bytes(
            pieces in prop::collection::vec((0usize..60, 1usize..12, any::<u8>()), 0..40),
        ) {
            let mut r = Reassembly::new(DataOffset(0));
            let mut model: Vec<Option<u8>> = alloc::vec![None; 80];
            let mut out = Vec::new();
            for (start, len, value) in pieces {
                let payload = Payload::from(Bytes::from(alloc::vec![value; len]));
                r.insert(DataOffset(len64(start)), payload, |at, piece| {
                    assert_eq!(at.0, len64(out.len()));
                    out.extend(piece.to_vec());
                });
                for slot in &mut model[start..start + len] {
                    slot.get_or_insert(value);
                }
                let in_order: Vec<u8> = model.iter().map_while(|b| *b).collect();
                prop_assert_eq!(&out, &in_order);
                prop_assert_eq!(r.next().0, len64(out.len()));
                let beyond = model[out.len()..].iter().flatten().count();
                prop_assert_eq!(r.held_bytes(), len64(beyond));
                prop_assert_eq!(r.ranges().iter().map(|x| x.end - x.start).sum::<u64>(), len64(beyond));
            }
        }
    }
}
