//! One TCP flow of a capture: unwrapped sequence numbers, what was sent, and how its bytes are
//! mapped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use manypath_base::{DataOffset, RangeSet, SeqNum, SubflowOffset};
use manypath_wire::Flags;
use serde::Serialize;

use super::{Both, Way};

/// How far a flow got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// A SYN was seen.
    Requested,
    /// A SYN/ACK was seen.
    Answered,
    /// The handshake was complete, or lies before the capture.
    Established,
    /// It was reset before the handshake was complete.
    Refused,
    /// It was reset later.
    Reset,
    /// Both sides sent FIN.
    Closed,
}

/// Where a flow belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the connection.
    pub(crate) connection: usize,
    /// Number of the subflow in the connection.
    pub(crate) subflow: usize,
    /// Whether the flow was opened by the side that did not open the connection.
    pub(crate) reversed: bool,
}

/// One flow.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Where it belongs.
    pub(crate) place: Place,
    /// Address and port of the opener.
    pub(crate) opener: SocketAddr,
    /// Address and port of the other side.
    pub(crate) peer: SocketAddr,
    /// The interface on which it was seen first.
    pub(crate) interface: Arc<str>,
    /// How far it got.
    pub(crate) state: State,
    /// What each side sent.
    pub(crate) halves: Both<Half>,
    /// When its first and last segment were captured, in nanoseconds.
    pub(crate) times: Range<u64>,
}

impl Flow {
    /// Which way a segment from `src` goes.
    pub(crate) fn way_from(&self, src: SocketAddr) -> Way {
        if src == self.opener { Way::Up } else { Way::Down }
    }

    /// Takes the control bits of a segment in.
    pub(crate) fn note_flags(&mut self, way: Way, flags: Flags) {
        if flags.has(Flags::FIN) {
            self.halves.at_mut(way).fin = true;
        }
        let acks = flags.has(Flags::ACK);
        self.state = match self.state {
            State::Requested | State::Answered if flags.has(Flags::RST) => State::Refused,
            State::Requested if flags.has(Flags::SYN) && acks => State::Answered,
            State::Answered if way == Way::Up && acks => State::Established,
            State::Established if flags.has(Flags::RST) => State::Reset,
            State::Established if self.halves.up.fin && self.halves.down.fin => State::Closed,
            state => state,
        };
    }
}

/// One direction of a flow.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// The initial sequence number; where the SYN lies before the capture, the number before the
    /// first one seen.
    isn: Option<SeqNum>,
    /// Whether the initial sequence number was seen or follows from a mapping.
    isn_certain: bool,
    /// The largest offset seen, to unwrap against.
    near: SubflowOffset,
    seen: RangeSet<u64>,
    /// Where bytes of the flow lie in the connection: start to length and data offset.
    mappings: BTreeMap<u64, (u64, DataOffset)>,
    /// Payload bytes, each counted once.
    pub(crate) bytes: u64,
    /// Payload bytes sent again on this flow.
    pub(crate) retransmitted: u64,
    /// Segments.
    pub(crate) segments: u64,
    /// Whether a FIN was seen.
    pub(crate) fin: bool,
}

impl Half {
    /// The initial sequence number, if anything of this direction was seen.
    pub(crate) fn isn(&self) -> Option<SeqNum> {
        self.isn
    }

    /// The offset of `seq`; the first number seen sets where counting starts.
    pub(crate) fn offset(&mut self, seq: SeqNum, syn: bool) -> Option<SubflowOffset> {
        let before = if syn { seq } else { SeqNum(seq.0.wrapping_sub(1)) };
        self.isn_certain |= syn;
        let isn = *self.isn.get_or_insert(before);
        SubflowOffset::from_seq(seq, isn, self.near)
    }

    /// Learns where counting starts from a mapping that begins with the segment at `seq`; for a
    /// flow whose SYN lies before the capture.
    pub(crate) fn learn_isn(&mut self, seq: SeqNum, ssn: u32) {
        if !self.isn_certain && self.bytes == 0 {
            self.isn = Some(SeqNum(seq.0.wrapping_sub(ssn)));
            self.isn_certain = true;
            self.near = SubflowOffset(u64::from(ssn));
        }
    }

    /// The low 32 bits of the distance of `seq` from the start: what is shown of an ACK or SACK.
    pub(crate) fn relative(&self, seq: SeqNum) -> SeqNum {
        SeqNum(seq.0.wrapping_sub(self.isn.unwrap_or_default().0))
    }

    /// Takes `len` payload bytes at `at` in; returns the parts that are new.
    pub(crate) fn note_payload(&mut self, at: SubflowOffset, len: u64) -> Vec<Range<u64>> {
        let range = at.0..at.0.saturating_add(len);
        let new: Vec<_> = self.seen.gaps(range.clone()).collect();
        let fresh: u64 = new.iter().map(|part| part.end - part.start).sum();
        self.bytes += fresh;
        self.retransmitted += len - fresh;
        self.near = self.near.max(SubflowOffset(range.end));
        self.seen.insert(range);
        new
    }

    /// Takes a mapping of `len` bytes at subflow offset `ssn` in, whose first byte has the data
    /// offset `data`.
    pub(crate) fn map(&mut self, ssn: u32, len: u64, data: DataOffset) {
        let Some(start) = SubflowOffset::from_low(ssn, self.near).map(|offset| offset.0) else {
            return;
        };
        // A DATA_FIN alone maps no byte.
        if len == 0 {
            return;
        }
        if let Some((&before, (before_len, before_data))) =
            self.mappings.range_mut(..=start).next_back()
        {
            let same_line = before_data.0 + (start - before) == data.0;
            if same_line && before + *before_len >= start {
                *before_len = (*before_len).max(start - before + len);
                return;
            }
        }
        self.mappings.insert(start, (len, data));
    }

    /// Where the bytes of `range` lie in the connection's data, and how many lie nowhere.
    pub(crate) fn data_of(&self, range: &Range<u64>) -> (Vec<Range<u64>>, u64) {
        let (mut found, mut unmapped, mut at) = (Vec::new(), 0, range.start);
        while at < range.end {
            let mapping = self.mappings.range(..=at).next_back();
            let inside = mapping.filter(|(start, (len, _))| at < *start + len);
            let next = self.mappings.range(at + 1..).next().map_or(u64::MAX, |(&start, _)| start);
            let end = range.end.min(next);
            match inside {
                Some((start, (len, data))) => {
                    let end = end.min(start + len);
                    let from = data.0 + (at - start);
                    found.push(from..from + (end - at));
                    at = end;
                }
                None => {
                    unmapped += end - at;
                    at = end;
                }
            }
        }
        (found, unmapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_flow_seen_from_the_middle_starts_at_one() {
        let mut half = Half::default();
        assert_eq!(half.offset(SeqNum(0), false), Some(SubflowOffset(1)));
        assert_eq!(half.relative(SeqNum(9)), SeqNum(10));
    }

    #[test]
    fn mappings_on_one_line_are_one() {
        let mut half = Half::default();
        half.map(1, 100, DataOffset(1));
        half.map(101, 50, DataOffset(101));
        half.map(1, 100, DataOffset(1));
        half.map(151, 10, DataOffset(900));
        assert_eq!(half.mappings.len(), 2);
        assert_eq!(half.data_of(&(140..170)), (vec![140..151, 900..910], 9));
    }

    proptest! {
        /// Against a map of single bytes.
        #[test]
        fn bytes_are_found_where_their_mapping_put_them(
            pieces in prop::collection::vec((1u64..20, 0u64..10, 0u64..5), 1..20),
            probe in (1u64..300, 0u64..60),
        ) {
            let (mut half, mut model) = (Half::default(), BTreeMap::new());
            let (mut ssn, mut data) = (1u64, 1u64);
            for (len, hole, jump) in pieces {
                ssn += hole;
                data += jump;
                half.map(u32::try_from(ssn).unwrap(), len, DataOffset(data));
                model.extend((0..len).map(|i| (ssn + i, data + i)));
                ssn += len;
                data += len;
            }
            let range = probe.0..probe.0 + probe.1;
            let (found, unmapped) = half.data_of(&range);
            let expected: Vec<u64> = range.clone().filter_map(|at| model.get(&at).copied()).collect();
            prop_assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), expected);
            let missing = range.filter(|at| !model.contains_key(at)).count();
            prop_assert_eq!(unmapped, u64::try_from(missing).unwrap());
        }
    }
}
