//! Puts bytes that came out of order back into order.
//!
//! **Invariant**: runs are disjoint, do not touch and are not empty, and all lie behind `next`; where
//! two copies overlap, the first to come wins, so what was once acknowledged never changes. What is
//! held takes memory in proportion to its bytes: many small pieces are copied together, and
//! beyond [`MAX_RUNS`] runs nothing more is taken.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::ops::{Add, Bound, Range, Sub};

use bytes::Bytes;
use manypath_base::{Payload, len64, usize64};

/// Most runs with holes between that are held. A window of 8 MB of which every second packet is
/// missing has 3,000.
const MAX_RUNS: usize = 8_192;
/// Pieces smaller than this are copied: a slice of one byte keeps the packet that it came in.
const SMALL: usize = 512;
/// Pieces that are held before the first look at whether they are worth joining.
const FEW: usize = 1_024;
/// Bytes that are copied into one piece, at most.
const JOINED: usize = 65_536;

/// Reorders bytes addressed by offset. Work per piece is logarithmic in the runs held, wherever it
/// belongs.
#[derive(Clone, Debug)]
pub struct Reassembly<T> {
    next: T,
    /// In a box, since most of the time nothing is missing.
    held: Option<Box<Held<T>>>,
}

/// What came out of order.
#[derive(Clone, Debug)]
struct Held<T> {
    /// By their first byte.
    runs: BTreeMap<T, Run<T>>,
    bytes: u64,
    pieces: usize,
    /// Pieces at which small ones are joined next.
    join_at: usize,
}

/// Bytes without a hole.
#[derive(Clone, Debug)]
struct Run<T> {
    end: T,
    pieces: VecDeque<Bytes>,
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

    /// The ranges held out of order, from the lowest.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = Range<T>> + '_ {
        let runs = self.held.iter().flat_map(|held| &held.runs);
        runs.map(|(&start, run)| start..run.end)
    }

    /// The held range around `at`.
    #[must_use]
    pub fn range_at(&self, at: T) -> Option<Range<T>> {
        self.held.as_deref()?.at_or_before(at).filter(|range| at < range.end)
    }

    /// Whether all of `range` has come.
    #[must_use]
    pub fn has(&self, range: &Range<T>) -> bool {
        let missing = range.start.max(self.next)..range.end;
        missing.is_empty() || self.range_at(missing.start).is_some_and(|r| r.end >= missing.end)
    }

    /// Gives back memory where nothing is held.
    pub fn release_spare(&mut self) {
        self.held.take_if(|held| held.runs.is_empty());
    }

    /// Takes in `payload`, whose first byte is `start`, and hands out what is now in order. What
    /// would be one run too many is dropped, as if it had not come.
    pub fn insert(&mut self, start: T, mut payload: Payload, mut deliver: impl FnMut(T, Payload)) {
        let end = start + len64(payload.len());
        if end <= self.next || payload.is_empty() {
            return;
        }
        if start > self.next {
            return self.held.get_or_insert_default().insert(start..end, &payload);
        }
        match self.held.as_deref_mut().filter(|held| !held.runs.is_empty()) {
            Some(held) => self.next = held.fill(self.next, start..end, &payload, deliver),
            None => {
                if start < self.next {
                    payload.advance(usize64(self.next - start));
                }
                deliver(core::mem::replace(&mut self.next, end), payload);
            }
        }
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { runs: BTreeMap::new(), bytes: 0, pieces: 0, join_at: FEW }
    }
}

impl<T> Held<T>
where
    T: Copy + Ord + Debug + Add<u64, Output = T> + Sub<Output = u64>,
{
    /// The last run that begins at `at` or before.
    fn at_or_before(&self, at: T) -> Option<Range<T>> {
        self.runs.range(..=at).next_back().map(|(&start, run)| start..run.end)
    }

    /// Takes in what lies behind a hole; `payload` is the bytes of `range`.
    fn insert(&mut self, range: Range<T>, payload: &Payload) {
        let left = self.at_or_before(range.start).filter(|left| left.end >= range.start);
        if left.as_ref().is_some_and(|left| left.end >= range.end) {
            return;
        }
        let begun = left.as_ref().and_then(|left| self.runs.get_mut(&left.start));
        let mut pieces = begun.map(|run| core::mem::take(&mut run.pieces)).unwrap_or_default();
        let (key, mut at) = left.map_or((range.start, range.start), |left| (left.start, left.end));
        // The runs that begin within, or touch, are of this one from now on.
        let behind = (Bound::Excluded(range.start), Bound::Included(range.end));
        while let Some((&start, _)) = self.runs.range(behind).next() {
            self.keep(&mut pieces, payload, at - range.start, start - range.start);
            let run = self.runs.remove(&start).expect("it was found");
            pieces = joined(pieces, run.pieces);
            at = run.end;
        }
        if at < range.end {
            self.keep(&mut pieces, payload, at - range.start, range.end - range.start);
            at = range.end;
        }
        let fits = self.runs.len() < MAX_RUNS;
        match self.runs.get_mut(&key) {
            Some(run) => *run = Run { end: at, pieces },
            None if fits => {
                self.runs.insert(key, Run { end: at, pieces });
            }
            None => {
                // It touches none: these are its own bytes and no others.
                self.bytes -= at - key;
                self.pieces -= pieces.len();
            }
        }
        if self.pieces > self.join_at {
            self.join();
        }
    }

    /// Appends the bytes of `payload` between two offsets in it.
    fn keep(&mut self, pieces: &mut VecDeque<Bytes>, payload: &Payload, from: u64, to: u64) {
        self.bytes += to - from;
        for chunk in payload.slice(usize64(from), usize64(to)).into_chunks() {
            self.pieces += 1;
            pieces.push_back(owned(chunk));
        }
    }

    /// Takes in what fills the first hole, or a part of it, up from `next`. Hands out what is in
    /// order then, and returns what is missing.
    fn fill(
        &mut self,
        next: T,
        range: Range<T>,
        payload: &Payload,
        mut deliver: impl FnMut(T, Payload),
    ) -> T {
        let slice =
            |from: T, to: T| payload.slice(usize64(from - range.start), usize64(to - range.start));
        let mut at = next;
        while let Some(first) = self.runs.first_entry().filter(|run| *run.key() <= range.end) {
            let (start, run) = first.remove_entry();
            if at < start {
                deliver(at, slice(at, start));
            }
            at = start;
            self.bytes -= run.end - start;
            self.pieces -= run.pieces.len();
            for piece in run.pieces {
                let begin = at;
                at = at + len64(piece.len());
                deliver(begin, piece.into());
            }
        }
        if at < range.end {
            deliver(at, slice(at, range.end));
            at = range.end;
        }
        at
    }

    /// Copies neighbouring small pieces together, and waits until there are half as many again
    /// before the next time, so that each byte is copied a few times at most.
    fn join(&mut self) {
        self.pieces = 0;
        for run in self.runs.values_mut() {
            run.join();
            self.pieces += run.pieces.len();
        }
        self.join_at = FEW.max(self.pieces + self.pieces / 2);
    }
}

impl<T> Run<T> {
    fn join(&mut self) {
        let mut pieces = VecDeque::new();
        let mut small: Vec<u8> = Vec::new();
        for piece in core::mem::take(&mut self.pieces) {
            let is_small = piece.len() < SMALL;
            if !small.is_empty() && (!is_small || small.len() >= JOINED) {
                pieces.push_back(core::mem::take(&mut small).into());
            }
            if is_small {
                small.extend_from_slice(&piece);
            } else {
                pieces.push_back(piece);
            }
        }
        if !small.is_empty() {
            pieces.push_back(small.into());
        }
        self.pieces = pieces;
    }
}

/// Both, the fewer moved to the more.
fn joined(mut left: VecDeque<Bytes>, mut right: VecDeque<Bytes>) -> VecDeque<Bytes> {
    if left.len() < right.len() {
        left.into_iter().rev().for_each(|piece| right.push_front(piece));
        right
    } else {
        left.append(&mut right);
        left
    }
}

/// A copy of a small piece, which lets go of the packet that it came in.
fn owned(piece: Bytes) -> Bytes {
    if piece.len() >= SMALL { piece } else { Bytes::copy_from_slice(&piece) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use manypath_base::DataOffset;
    use proptest::prelude::*;

    /// Pieces held, which are counted as they come and go.
    fn held(r: &Reassembly<DataOffset>) -> usize {
        let Some(held) = r.held.as_deref() else { return 0 };
        let found: usize = held.runs.values().map(|run| run.pieces.len()).sum();
        assert_eq!(held.pieces, found);
        found
    }

    #[test]
    fn single_bytes_cost_no_more_than_a_bounded_number_of_pieces() {
        let mut r = Reassembly::new(DataOffset(0));
        let one = |value: u8| Payload::from(Bytes::from(alloc::vec![value]));
        for n in 1..=20_000u64 {
            r.insert(DataOffset(n), one(7), |_, _| {});
        }
        assert_eq!((r.held_bytes(), r.ranges().count()), (20_000, 1));
        assert!(held(&r) <= FEW + 1, "{} pieces", held(&r));
        let mut out = 0;
        r.insert(DataOffset(0), one(7), |_, piece| out += piece.len());
        assert_eq!((out, r.held_bytes()), (20_001, 0));
    }

    #[test]
    fn holes_are_bounded_in_number() {
        let mut r = Reassembly::new(DataOffset(0));
        for n in 1..=2 * len64(MAX_RUNS) {
            r.insert(DataOffset(2 * n), Payload::from(&[7u8][..]), |_, _| {});
        }
        assert_eq!((r.ranges().count(), held(&r)), (MAX_RUNS, MAX_RUNS));
        assert_eq!(r.held_bytes(), len64(MAX_RUNS));
        // What makes a run longer is taken all the same, and what joins two.
        r.insert(DataOffset(3), Payload::from(&[7u8][..]), |_, _| {});
        assert_eq!(r.ranges().next(), Some(DataOffset(2)..DataOffset(5)));
    }

    /// From the last to the first each belongs before all others.
    #[test]
    fn pieces_that_come_backwards_are_joined_too() {
        let mut r = Reassembly::new(DataOffset(0));
        for n in (1..=20_000u64).rev() {
            r.insert(DataOffset(n), Payload::from(&[7u8][..]), |_, _| {});
        }
        assert_eq!((r.held_bytes(), r.ranges().count()), (20_000, 1));
        assert!(held(&r) <= FEW + 1, "{} pieces", held(&r));
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
                let _ = held(&r);
                let ranges: Vec<_> = r.ranges().collect();
                prop_assert!(ranges.windows(2).all(|w| w[0].end < w[1].start), "{ranges:?}");
                for (at, slot) in model.iter().enumerate().skip(out.len()) {
                    prop_assert_eq!(r.range_at(DataOffset(len64(at))).is_some(), slot.is_some());
                }
                prop_assert_eq!(r.ranges().map(|x| x.end - x.start).sum::<u64>(), len64(beyond));
            }
        }
    }
}
