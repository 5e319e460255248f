//! Which SACK blocks to report (RFC 2018 §4) and the D-SACK (RFC 2883 §4).
//!
//! **Invariant**: every range that changed and every duplicate is reported once at least, and as
//! long as one was not, an acknowledgment is owed: a driver may hand in many segments before it
//! asks for output, and an acknowledgment has room for few blocks. A segment that came adds one
//! of each at most, so there are never more acknowledgments than segments.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ops::Range;

use manypath_base::{SeqNum, SubflowOffset};
use manypath_wire::SackBlocks;
use smallvec::SmallVec;

use crate::Reassembly;

/// Ranges, and duplicates, that may wait to be reported for the first time; the oldest give way.
const MAX_OWED: usize = 128;
/// Ranges that are repeated where there is room (RFC 2018 §4: the most recently reported).
const REPEATED: usize = 4;

/// Remembers which ranges changed, which were reported, and which came twice. In a box, since most
/// flows have nothing to report most of the time.
#[derive(Clone, Debug, Default)]
pub(crate) struct SackReport(Option<Box<Report>>);

#[derive(Clone, Debug, Default)]
struct Report {
    /// A point of each range that changed since it was reported, oldest first.
    owed: VecDeque<SubflowOffset>,
    /// A point of each range that was reported, latest first.
    told: SmallVec<[SubflowOffset; REPEATED]>,
    /// What came twice, oldest first.
    duplicates: VecDeque<Range<SubflowOffset>>,
}

impl SackReport {
    /// Gives memory back where nothing is left to report.
    pub(crate) fn release_spare(&mut self, held: &Reassembly<SubflowOffset>) {
        if !self.has_blocks(held) {
            self.0 = None;
        }
    }

    /// Data came out of order. Earlier points of the same range give way to it.
    pub(crate) fn on_held(&mut self, at: SubflowOffset, held: &Reassembly<SubflowOffset>) {
        let Some(around) = held.range_at(at) else { return };
        let report = self.0.get_or_insert_default();
        report.owed.retain(|p| !around.contains(p));
        report.told.retain(|p| !around.contains(p));
        push_bounded(&mut report.owed, at);
    }

    /// Data came that was there: an acknowledgment says so, once.
    pub(crate) fn on_duplicate(&mut self, range: Range<SubflowOffset>) {
        if range.start < range.end {
            push_bounded(&mut self.0.get_or_insert_default().duplicates, range);
        }
    }

    /// Whether something was never reported.
    pub(crate) fn is_owed(&self) -> bool {
        let owes = |report: &Report| !report.owed.is_empty() || !report.duplicates.is_empty();
        self.0.as_deref().is_some_and(owes)
    }

    /// Whether there is a block to report, for the first time or again.
    pub(crate) fn has_blocks(&self, held: &Reassembly<SubflowOffset>) -> bool {
        self.is_owed() || held.held_bytes() > 0
    }

    /// At most `limit` blocks: one D-SACK with the block around it, then what was not reported,
    /// in the order it came but the latest of it first, then what was.
    pub(crate) fn take_blocks(
        &mut self,
        limit: usize,
        isn: SeqNum,
        held: &Reassembly<SubflowOffset>,
    ) -> SackBlocks {
        if !self.has_blocks(held) {
            return SackBlocks::new();
        }
        self.0.get_or_insert_default().take_blocks(limit, isn, held)
    }
}

impl Report {
    fn take_blocks(
        &mut self,
        limit: usize,
        isn: SeqNum,
        held: &Reassembly<SubflowOffset>,
    ) -> SackBlocks {
        let duplicate = self.duplicates.pop_front();
        self.owed.retain(|point| held.range_at(*point).is_some());
        self.told.retain(|point| held.range_at(*point).is_some());
        if limit == 0 {
            // Other options left no room: what is not reported now never is.
            self.owed.pop_front();
            return SackBlocks::new();
        }
        let around = duplicate.as_ref().and_then(|d| held.range_at(d.start));
        let around = around.filter(|_| limit > 1);
        if let Some(around) = &around {
            self.owed.retain(|p| !around.contains(p));
            self.told.retain(|p| !around.contains(p));
            self.told.insert(0, around.start);
        }
        let used = usize::from(duplicate.is_some()) + usize::from(around.is_some());
        let now = limit.saturating_sub(used).min(self.owed.len());
        let behind = usize::from(around.is_some());
        for point in self.owed.drain(..now) {
            self.told.insert(behind, point);
        }
        let mut blocks: SmallVec<[Range<SubflowOffset>; 4]> = SmallVec::new();
        let latest = self.told.iter().filter_map(|point| held.range_at(*point));
        for range in latest.chain(held.ranges()) {
            if blocks.len() >= limit - usize::from(duplicate.is_some()) {
                break;
            }
            if !blocks.contains(&range) {
                blocks.push(range);
            }
        }
        self.told.truncate(REPEATED);
        // The D-SACK may be a whole block, which stands beside it then (RFC 2883 §4.2).
        let all = duplicate.iter().chain(&blocks).take(limit);
        all.map(|r| r.start.seq(isn)..r.end.seq(isn)).collect()
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == MAX_OWED {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use manypath_base::Payload;
    use proptest::prelude::*;

    fn insert(held: &mut Reassembly<SubflowOffset>, start: u64) {
        let five = Payload::from(Bytes::from_static(&[0; 5]));
        held.insert(SubflowOffset(start), five, |_, _| {});
    }

    #[test]
    fn the_latest_block_comes_first_and_a_duplicate_before_it() {
        let mut held = Reassembly::new(SubflowOffset(1));
        let mut report = SackReport::default();
        for start in [11, 31, 21] {
            insert(&mut held, start);
            report.on_held(SubflowOffset(start), &held);
        }
        let block = |a: u32| SeqNum(100 + a)..SeqNum(100 + a + 5);
        let first = report.take_blocks(3, SeqNum(100), &held);
        assert_eq!(first.as_slice(), [block(21), block(31), block(11)]);
        report.on_duplicate(SubflowOffset(31)..SubflowOffset(36));
        let second = report.take_blocks(3, SeqNum(100), &held);
        assert_eq!(second.as_slice(), [block(31), block(31), block(21)]);
        let third = report.take_blocks(2, SeqNum(100), &held);
        assert_eq!(third.as_slice(), [block(31), block(21)]);
    }

    proptest! {
        /// However segments come and however small acknowledgments are, every range that is held
        /// in the end was reported as it is, with no more acknowledgments than segments.
        #[test]
        fn every_range_is_reported(
            starts in prop::collection::vec(1u64..60, 0..60),
            limit in 1usize..4,
        ) {
            let mut held = Reassembly::new(SubflowOffset(1));
            let mut report = SackReport::default();
            for start in &starts {
                insert(&mut held, 10 * start);
                report.on_held(SubflowOffset(10 * start), &held);
            }
            let (mut told, mut acks) = (Vec::new(), 0);
            while report.is_owed() {
                acks += 1;
                told.extend(report.take_blocks(limit, SeqNum(0), &held));
            }
            prop_assert!(acks <= starts.len());
            for range in held.ranges() {
                let block = range.start.seq(SeqNum(0))..range.end.seq(SeqNum(0));
                prop_assert!(told.contains(&block));
            }
        }
    }
}
