//! Which SACK blocks to report (RFC 2018 §4) and the D-SACK (RFC 2883 §4).

use core::ops::Range;

use manypath_base::{SeqNum, SubflowOffset};
use manypath_wire::SackBlocks;
use smallvec::SmallVec;

use crate::Reassembly;

/// Remembers which ranges changed last, so that they are reported first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SackReport {
    /// A point of each range that changed, latest first.
    recent: SmallVec<[SubflowOffset; 4]>,
    duplicate: Option<Range<SubflowOffset>>,
}

impl SackReport {
    /// Data came out of order. Earlier points of the same range give way to it.
    pub(crate) fn on_held(&mut self, at: SubflowOffset, held: &Reassembly<SubflowOffset>) {
        let around = held.range_at(at);
        self.recent.retain(|p| held.range_at(*p) != around);
        self.recent.truncate(3);
        self.recent.insert(0, at);
    }

    /// Data came that was there: the next acknowledgment says so, once.
    pub(crate) fn on_duplicate(&mut self, range: Range<SubflowOffset>) {
        if range.start < range.end {
            self.duplicate = Some(range);
        }
    }

    /// At most `limit` blocks, the D-SACK first, then the latest.
    pub(crate) fn take_blocks(
        &mut self,
        limit: usize,
        isn: SeqNum,
        held: &Reassembly<SubflowOffset>,
    ) -> SackBlocks {
        let mut blocks: SmallVec<[Range<SubflowOffset>; 4]> = SmallVec::new();
        if limit == 0 {
            return SackBlocks::new();
        }
        blocks.extend(self.duplicate.take());
        let first = blocks.len();
        self.recent.retain(|point| held.range_at(*point).is_some());
        let latest = self.recent.iter().filter_map(|point| held.range_at(*point));
        for range in latest.chain(held.ranges()) {
            if blocks.len() >= limit {
                break;
            }
            // The D-SACK may be a whole block; the block must be there beside it (RFC 2883 §4.2).
            if !blocks[first..].contains(range) {
                blocks.push(range.clone());
            }
        }
        blocks.iter().map(|r| r.start.seq(isn)..r.end.seq(isn)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use manypath_base::Payload;

    #[test]
    fn the_latest_block_comes_first_and_a_duplicate_before_it() {
        let mut held = Reassembly::new(SubflowOffset(1));
        let mut report = SackReport::default();
        for start in [11, 31, 21] {
            held.insert(
                SubflowOffset(start),
                Payload::from(Bytes::from_static(&[0; 5])),
                |_, _| {},
            );
            report.on_held(SubflowOffset(start), &held);
        }
        report.on_duplicate(SubflowOffset(31)..SubflowOffset(36));
        let block = |a: u32| SeqNum(100 + a)..SeqNum(100 + a + 5);
        let first = report.take_blocks(3, SeqNum(100), &held);
        assert_eq!(first.as_slice(), [block(31), block(21), block(31)]);
        let second = report.take_blocks(2, SeqNum(100), &held);
        assert_eq!(second.as_slice(), [block(21), block(31)]);
    }
}
