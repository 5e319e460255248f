//! Data sequence mappings of one subflow, both ways (RFC 8684 §3.3.1).
//!
//! **Invariant**: mappings of one direction are in subflow order and do not overlap there.

use alloc::collections::VecDeque;

use manypath_base::{DataOffset, SubflowOffset};

/// Mappings that a peer may have open on one subflow before more are ignored, which bounds what it can
/// make us store: twice the segments of the largest receive buffer, since a sender that is paced maps
/// each segment by itself.
const MAX_OPEN: usize = 1 << 16;

/// Bytes of a subflow that are bytes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) ssn: SubflowOffset,
    pub(crate) dsn: DataOffset,
    pub(crate) len: u32,
    pub(crate) checksum: Option<u16>,
    /// DATA_FIN follows the last byte: its place counts in the length that the checksum covers.
    pub(crate) fin: bool,
}

impl Mapping {
    pub(crate) fn end(&self) -> SubflowOffset {
        self.ssn + u64::from(self.len)
    }

    pub(crate) fn data_end(&self) -> DataOffset {
        self.dsn + u64::from(self.len)
    }
}

/// What a mapping that came in is to those that came before.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It is new.
    New,
    /// It was there: mappings are repeated on every packet that they cover.
    Known,
    /// It contradicts one that was there, or there are too many: ignored, the first one stays
    /// (RFC 8684 §3.3.1: the mapping must not change).
    Refused,
}

/// Mappings in subflow order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mappings {
    list: VecDeque<Mapping>,
    /// Bytes before this are done with.
    released: SubflowOffset,
    /// Everything before this was handed to other subflows once.
    handed_over: SubflowOffset,
}

impl Mappings {
    /// Appends a mapping behind all others.
    pub(crate) fn push(&mut self, mapping: Mapping) {
        debug_assert!(self.list.back().is_none_or(|last| last.end() <= mapping.ssn));
        self.list.push_back(mapping);
    }

    /// Takes in a mapping that a peer sent.
    pub(crate) fn insert(&mut self, mapping: Mapping) -> Inserted {
        if mapping.ssn < self.released {
            return Inserted::Known; // Of a segment that was taken in before.
        }
        let at = self.list.partition_point(|m| m.end() <= mapping.ssn);
        match self.list.get(at) {
            Some(there)
                if (there.ssn, there.dsn, there.len) == (mapping.ssn, mapping.dsn, mapping.len) =>
            {
                Inserted::Known
            }
            Some(there) if there.ssn < mapping.end() => Inserted::Refused,
            _ if self.list.len() >= MAX_OPEN => Inserted::Refused,
            _ => {
                self.list.insert(at, mapping);
                Inserted::New
            }
        }
    }

    /// The mapping that covers `at`.
    pub(crate) fn find(&self, at: SubflowOffset) -> Option<&Mapping> {
        let i = self.list.partition_point(|m| m.end() <= at);
        self.list.get(i).filter(|m| m.ssn <= at)
    }

    /// Where the next mapping behind `at` begins.
    pub(crate) fn next_after(&self, at: SubflowOffset) -> Option<SubflowOffset> {
        let i = self.list.partition_point(|m| m.ssn <= at);
        self.list.get(i).map(|m| m.ssn)
    }

    /// Where the mapping of a byte of the connection ends, if there is one that is not released.
    pub(crate) fn end_of(&self, at: DataOffset) -> Option<DataOffset> {
        self.list.iter().find(|m| m.dsn <= at && at < m.data_end()).map(Mapping::data_end)
    }

    /// The first byte of the connection from `at` on that is mapped and not released.
    pub(crate) fn first_from(&self, at: DataOffset) -> Option<DataOffset> {
        let behind = self.list.iter().filter(|m| at < m.data_end());
        behind.map(|m| m.dsn.max(at)).min()
    }

    pub(crate) fn release_spare(&mut self) {
        self.list.shrink_to_fit();
    }

    /// Forgets mappings that lie wholly before `to`.
    pub(crate) fn release(&mut self, to: SubflowOffset) {
        self.released = self.released.max(to);
        while self.list.front().is_some_and(|m| m.end() <= to) {
            self.list.pop_front();
        }
    }

    /// Mappings that other subflows are to carry as well; each is given out once.
    pub(crate) fn hand_over(&mut self) -> impl Iterator<Item = &Mapping> {
        let first = self.list.partition_point(|m| m.ssn < self.handed_over);
        self.handed_over = self.list.back().map_or(self.handed_over, Mapping::end);
        self.list.range(first..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EndpointConfig;
    use alloc::vec;
    use alloc::vec::Vec;
    use manypath_base::{len64, usize64};
    use proptest::prelude::*;

    fn mapping(ssn: u64, dsn: u64, len: u32) -> Mapping {
        Mapping { ssn: SubflowOffset(ssn), dsn: DataOffset(dsn), len, checksum: None, fin: false }
    }

    #[test]
    fn what_is_carried_of_the_stream_is_found_wherever_it_lies() {
        let mut maps = Mappings::default();
        maps.push(mapping(1, 100, 10));
        maps.push(mapping(11, 50, 10));
        let first = |maps: &Mappings, at| maps.first_from(DataOffset(at)).map(|found| found.0);
        for (at, found) in [(1, Some(50)), (55, Some(55)), (60, Some(100)), (110, None)] {
            assert_eq!(first(&maps, at), found, "from {at}");
        }
        assert_eq!(maps.end_of(DataOffset(55)), Some(DataOffset(60)));
        assert_eq!(maps.end_of(DataOffset(60)), None);
        maps.release(SubflowOffset(21));
        assert_eq!(first(&maps, 1), None);
    }

    #[test]
    fn a_whole_window_of_single_segments_may_be_open() {
        let (buffer, mss) = (EndpointConfig::default().tcp.recv_buffer_max, 1_000);
        let mut maps = Mappings::default();
        for n in 0..u64::from(buffer / mss) {
            let at = 1 + n * u64::from(mss);
            assert_eq!(maps.insert(mapping(at, at, mss)), Inserted::New, "number {n}");
        }
    }

    proptest! {
        /// Against one optional data offset for each subflow byte; the first mapping wins whole.
        #[test]
        fn behaves_like_a_table_of_bytes(
            inserts in prop::collection::vec((0u64..60, 0u64..1000, 1u32..9), 0..40),
            release in 0u64..70,
        ) {
            let mut maps = Mappings::default();
            let mut model: Vec<Option<u64>> = vec![None; 80];
            let mut known = vec![];
            for (ssn, dsn, len) in inserts {
                let m = mapping(ssn, dsn, len);
                let range = usize64(ssn)..usize64(ssn) + usize64(len.into());
                let free = model[range.clone()].iter().all(Option::is_none);
                let expected = match (free, known.contains(&m)) {
                    (_, true) => Inserted::Known,
                    (true, false) => Inserted::New,
                    (false, false) => Inserted::Refused,
                };
                prop_assert_eq!(maps.insert(m), expected);
                if expected == Inserted::New {
                    known.push(m);
                    for (i, slot) in model[range].iter_mut().enumerate() {
                        *slot = Some(dsn + len64(i));
                    }
                }
            }
            maps.release(SubflowOffset(release));
            for (i, expected) in model.iter().enumerate().skip(usize64(release)) {
                let at = SubflowOffset(len64(i));
                let found = maps.find(at).map(|m| m.dsn.0 + (at - m.ssn));
                prop_assert_eq!(found, *expected);
            }
        }
    }
}
