//! Puts bytes that came out of order back into order.
//!
//! **Invariant**: held pieces are disjoint, none is empty, all lie behind `next`; where two
//! copies overlap, the first to come wins, so what was once acknowledged never changes. What is
//! held takes memory in proportion to its bytes: many small pieces are copied together, and
//! beyond [`MAX_RANGES`] holes nothing more is taken.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt::Debug;
use core::ops::{Add, Range, Sub};

use alloc::vec::Vec;

use bytes::Bytes;
use manypath_base::{Payload, RangeSet, len64, usize64};

/// Most separate ranges that are held. A window of 8 MB of which every second packet is missing
/// has 3,000.
const MAX_RANGES: usize = 8_192;
/// Pieces smaller than this are copied: a slice of one byte keeps the packet that it came in.
const SMALL: usize = 512;
/// Pieces that are held before the first look at whether they are worth joining.
const FEW: usize = 1_024;
/// Bytes that are copied into one piece, at most.
const JOINED: usize = 65_536;

/// Reorders bytes addressed by offset. Work per piece is logarithmic in the pieces held.
#[derive(Clone, Debug)]
pub struct Reassembly<T> {
    next: T,
    /// In a box, since most of the time nothing is missing.
    held: Option<Box<Held<T>>>,
}

/// What came out of order.
#[derive(Clone, Debug)]
struct Held<T> {
    pieces: BTreeMap<T, Payload>,
    ranges: RangeSet<T>,
    bytes: u64,
    /// Pieces at which small ones are joined next.
    join_at: usize,
}

impl<T> Reassembly<T>
where
    T: Copy + Ord + Debug + Add<u64, Output = T> + Sub<Output = u64>,
{
    /// Nothing has come; the first byte to come in order is `next`.
    #[must_use]
    pub fn new(next: T) -> Self {
        Self { next, held: None }
    }

    /// The first offset that has not come.
    #[must_use]
    pub fn next(&self) -> T {
        self.next
    }

    /// Bytes held out of order.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held.as_deref().map_or(0, |held| held.bytes)
    }

    /// The ranges held out of order.
    #[must_use]
    pub fn ranges(&self) -> &[Range<T>] {
        self.held.as_deref().map_or(&[], |held| held.ranges.as_slice())
    }

    /// The held range around `at`.
    #[must_use]
    pub fn range_at(&self, at: T) -> Option<&Range<T>> {
        self.held.as_deref()?.ranges.containing(at)
    }

    /// Whether all of `range` has come.
    #[must_use]
    pub fn has(&self, range: &Range<T>) -> bool {
        let missing = range.start.max(self.next)..range.end;
        missing.is_empty() || self.held.as_deref().is_some_and(|h| h.ranges.contains(&missing))
    }

    /// Gives back memory where nothing is held.
    pub fn release_spare(&mut self) {
        self.held.take_if(|held| held.pieces.is_empty());
    }

    /// Takes in `payload`, whose first byte is `start`, and hands out what is now in order. What
    /// would be one range too many is dropped, as if it had not come.
    pub fn insert(&mut self, start: T, payload: Payload, mut deliver: impl FnMut(T, Payload)) {
        let end = start + len64(payload.len());
        if end <= self.next {
            return;
        }
        if start <= self.next && self.held_bytes() == 0 {
            let mut payload = payload;
            if start < self.next {
                payload.advance(usize64(self.next - start));
            }
            let at = self.next;
            self.next = end;
            deliver(at, payload);
            return;
        }
        let held = self.held.get_or_insert_default();
        held.insert(self.next, (start, end), &payload);
        self.next = held.drain(self.next, deliver);
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { pieces: BTreeMap::new(), ranges: RangeSet::default(), bytes: 0, join_at: FEW }
    }
}

impl<T> Held<T>
where
    T: Copy + Ord + Debug + Add<u64, Output = T> + Sub<Output = u64>,
{
    fn insert(&mut self, next: T, (start, end): (T, T), payload: &Payload) {
        let from = start.max(next);
        let Self { pieces, ranges, bytes, .. } = self;
        if from > next && ranges.as_slice().len() >= MAX_RANGES {
            return;
        }
        for gap in ranges.gaps(from..end) {
            let piece = payload.slice(usize64(gap.start - start), usize64(gap.end - start));
            *bytes += len64(piece.len());
            pieces.insert(gap.start, owned(piece));
        }
        ranges.insert(from..end);
        if self.pieces.len() > self.join_at {
            self.join();
        }
    }

    /// Copies neighbouring small pieces together, and waits until there are half as many again
    /// before the next time, so that each byte is copied a few times at most.
    fn join(&mut self) {
        let mut joined: BTreeMap<T, Payload> = BTreeMap::new();
        let mut run: Option<(T, Vec<u8>)> = None;
        for (at, piece) in core::mem::take(&mut self.pieces) {
            let fits = |(start, run): &&mut (T, Vec<u8>)| {
                *start + len64(run.len()) == at && run.len() < JOINED
            };
            if piece.len() >= SMALL {
                joined.insert(at, piece);
            } else if let Some((_, run)) = run.as_mut().filter(fits) {
                piece.chunks().iter().for_each(|chunk| run.extend_from_slice(chunk));
            } else if let Some((start, done)) = run.replace((at, piece.to_vec())) {
                joined.insert(start, Bytes::from(done).into());
            }
        }
        joined.extend(run.map(|(start, done)| (start, Bytes::from(done).into())));
        self.join_at = FEW.max(joined.len() + joined.len() / 2);
        self.pieces = joined;
    }

    /// Hands out what follows on `next`, and returns what is missing then.
    fn drain(&mut self, mut next: T, mut deliver: impl FnMut(T, Payload)) -> T {
        while let Some(entry) = self.pieces.first_entry().filter(|e| *e.key() == next) {
            let (at, piece) = entry.remove_entry();
            self.bytes -= len64(piece.len());
            next = at + len64(piece.len());
            deliver(at, piece);
        }
        self.ranges.remove_before(next);
        next
    }
}

/// A copy of a small piece, which lets go of the packet that it came in.
fn owned(piece: Payload) -> Payload {
    if piece.len() >= SMALL { piece } else { Bytes::from(piece.to_vec()).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use manypath_base::DataOffset;
    use proptest::prelude::*;

    fn pieces(r: &Reassembly<DataOffset>) -> usize {
        r.held.as_deref().map_or(0, |held| held.pieces.len())
    }

    #[test]
    fn single_bytes_cost_no_more_than_a_bounded_number_of_pieces() {
        let mut r = Reassembly::new(DataOffset(0));
        let one = |value: u8| Payload::from(Bytes::from(alloc::vec![value]));
        for n in 1..=20_000u64 {
            r.insert(DataOffset(n), one(7), |_, _| {});
        }
        assert_eq!((r.held_bytes(), r.ranges().len()), (20_000, 1));
        assert!(pieces(&r) <= FEW + 1, "{} pieces", pieces(&r));
        let mut out = 0;
        r.insert(DataOffset(0), one(7), |_, piece| out += piece.len());
        assert_eq!((out, r.held_bytes()), (20_001, 0));
    }

    #[test]
    fn holes_are_bounded_in_number() {
        let mut r = Reassembly::new(DataOffset(0));
        for n in 1..=2 * len64(MAX_RANGES) {
            r.insert(DataOffset(2 * n), Payload::from(&[7u8][..]), |_, _| {});
        }
        assert_eq!(r.ranges().len(), MAX_RANGES);
        assert!(pieces(&r) <= MAX_RANGES);
    }

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
