//! What was sent and not yet acknowledged, with the path and time of each piece.
//!
//! **Invariant**: pieces are in sequence order, disjoint, contiguous from SND.UNA to SND.NXT.
//! Neighbours that were selectively acknowledged on one path are one piece.

use alloc::collections::VecDeque;
use core::ops::Range;

use manypath_base::{Instant, PathId, SubflowOffset};

/// Pieces beyond which a selective acknowledgment cuts no more: a peer that acknowledges every
/// other byte would tear what is in flight to shreds. A window of 24 MB of which every second
/// packet is missing has as many.
const MAX_PIECES: usize = 16_384;

/// What is known of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// On its way, as far as is known.
    InFlight,
    /// Taken for lost and not sent again.
    Lost,
    /// Selectively acknowledged. Kept until it is acknowledged cumulatively, since the receiver
    /// may still discard it (RFC 2018 §8).
    Sacked,
}

/// One piece of the sequence space, as it was sent last.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) range: Range<SubflowOffset>,
    pub(crate) path: PathId,
    /// Order of sending on that path.
    pub(crate) index: u64,
    pub(crate) sent_at: Instant,
    pub(crate) transmissions: u8,
    /// It went out on another path before.
    pub(crate) moved: bool,
    /// TSval that it was first sent with.
    pub(crate) tsval: u32,
    pub(crate) status: Status,
    /// Bytes that the path had delivered when this was sent, and when the last of them was.
    pub(crate) delivered_before: (u64, Instant),
    /// Bytes of the path in flight when this was sent, itself included.
    pub(crate) flight: u32,
}

impl Sent {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.range.end - self.range.start).expect("a piece is at most one burst")
    }
}

/// The pieces from SND.UNA to SND.NXT.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    sent: VecDeque<Sent>,
    /// No piece before this place is lost.
    lost_from: usize,
}

impl Scoreboard {
    pub(crate) fn push(&mut self, sent: Sent) {
        debug_assert!(self.sent.back().is_none_or(|last| last.range.end == sent.range.start));
        self.sent.push_back(sent);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(crate) fn release_spare(&mut self) {
        self.sent.shrink_to_fit();
    }

    /// Pieces kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.sent.iter()
    }

    /// Takes out everything before `una`; `gone` sees each piece as it was.
    pub(crate) fn acknowledge(&mut self, una: SubflowOffset, mut gone: impl FnMut(&Sent)) {
        while let Some(first) = self.sent.front_mut() {
            if first.range.end <= una {
                gone(first);
                self.sent.pop_front();
                self.lost_from = self.lost_from.saturating_sub(1);
                continue;
            }
            if first.range.start < una {
                let mut piece = first.clone();
                piece.range.end = una;
                gone(&piece);
                first.range.start = una;
            }
            return;
        }
        self.lost_from = 0;
    }

    /// Marks what lies in `range` as selectively acknowledged; `newly` sees each piece that was
    /// not, as it was.
    pub(crate) fn sack(&mut self, range: &Range<SubflowOffset>, mut newly: impl FnMut(&Sent)) {
        let mut i = self.sent.partition_point(|s| s.range.end <= range.start);
        while self.sent.get(i).is_some_and(|s| s.range.start < range.end) {
            if self.sent[i].status == Status::Sacked {
                i += 1;
                continue;
            }
            let piece = &self.sent[i].range;
            let whole = range.start <= piece.start && piece.end <= range.end;
            if !whole && self.sent.len() >= MAX_PIECES {
                i += 1;
                continue;
            }
            if self.sent[i].range.start < range.start {
                self.split(i, range.start);
                i += 1;
            }
            if self.sent[i].range.end > range.end {
                self.split(i, range.end);
            }
            newly(&self.sent[i]);
            self.sent[i].status = Status::Sacked;
            i = self.merge(i) + 1;
        }
    }

    /// Cuts piece `i` in two at `at`.
    pub(crate) fn split(&mut self, i: usize, at: SubflowOffset) {
        let mut right = self.sent[i].clone();
        debug_assert!(right.range.start < at && at < right.range.end);
        self.sent[i].range.end = at;
        right.range.start = at;
        self.sent.insert(i + 1, right);
    }

    /// Joins piece `i` with sacked neighbours of the same path; returns where it is now.
    fn merge(&mut self, i: usize) -> usize {
        let joins = |a: &Sent, b: &Sent| {
            a.status == Status::Sacked && b.status == Status::Sacked && a.path == b.path
        };
        let mut i = i;
        if self.sent.get(i + 1).is_some_and(|next| joins(&self.sent[i], next)) {
            self.sent[i].range.end = self.sent[i + 1].range.end;
            self.sent.remove(i + 1);
        }
        if i > 0 && joins(&self.sent[i - 1], &self.sent[i]) {
            self.sent[i - 1].range.end = self.sent[i].range.end;
            self.sent.remove(i);
            i -= 1;
        }
        self.lost_from = self.lost_from.min(i);
        i
    }

    /// Pieces of one send of a path that are in flight still.
    pub(crate) fn in_flight(
        &self,
        path: PathId,
        index: u64,
        range: &Range<SubflowOffset>,
    ) -> impl Iterator<Item = &Sent> {
        let (from, end) = (self.sent.partition_point(|s| s.range.end <= range.start), range.end);
        let within = self.sent.range(from..).take_while(move |s| s.range.start < end);
        within.filter(move |s| s.status == Status::InFlight && s.path == path && s.index == index)
    }

    /// Marks pieces of one send as lost where `is_lost` says so; `lost` sees each.
    pub(crate) fn lose(
        &mut self,
        (path, index): (PathId, u64),
        range: &Range<SubflowOffset>,
        is_lost: impl Fn(&Sent) -> bool,
        mut lost: impl FnMut(&Sent),
    ) {
        let mut i = self.sent.partition_point(|s| s.range.end <= range.start);
        while let Some(sent) = self.sent.get_mut(i).filter(|s| s.range.start < range.end) {
            let same = sent.path == path && sent.index == index;
            if same && sent.status == Status::InFlight && is_lost(sent) {
                sent.status = Status::Lost;
                self.lost_from = self.lost_from.min(i);
                lost(sent);
            }
            i += 1;
        }
    }

    /// Whether the first piece is marked as selectively acknowledged. It cannot be: the receiver
    /// would have acknowledged it cumulatively, so it has discarded it (RFC 2018 §8).
    pub(crate) fn is_reneged(&self) -> bool {
        self.sent.front().is_some_and(|s| s.status == Status::Sacked)
    }

    /// Takes back all selective acknowledgments: the pieces count as lost.
    pub(crate) fn forget_sacks(&mut self, mut lost: impl FnMut(&Sent)) {
        for sent in self.sent.iter_mut().filter(|s| s.status == Status::Sacked) {
            sent.status = Status::Lost;
            lost(sent);
        }
        self.lost_from = 0;
    }

    /// Marks the first `bytes` in flight or beyond as lost, where they are in flight.
    pub(crate) fn lose_first(&mut self, bytes: u64, mut lost: impl FnMut(&Sent)) {
        let Some(first) = self.sent.front() else { return };
        if first.status != Status::InFlight {
            return;
        }
        let end = first.range.start + bytes;
        if end < first.range.end {
            self.split(0, end);
        }
        self.sent[0].status = Status::Lost;
        self.lost_from = 0;
        lost(&self.sent[0]);
    }

    /// Marks pieces in flight as lost where `is_lost` says so; `lost` sees each.
    pub(crate) fn mark_lost(
        &mut self,
        mut is_lost: impl FnMut(&Sent) -> bool,
        mut lost: impl FnMut(&Sent),
    ) {
        for (i, sent) in self.sent.iter_mut().enumerate() {
            if sent.status == Status::InFlight && is_lost(sent) {
                sent.status = Status::Lost;
                self.lost_from = self.lost_from.min(i);
                lost(sent);
            }
        }
    }

    /// Pieces of a path that is gone, none of them in flight, count as those of another, which had
    /// delivered so much by now.
    pub(crate) fn inherit(&mut self, gone: PathId, heir: PathId, delivered: (u64, Instant)) {
        for sent in self.sent.iter_mut().filter(|s| s.path == gone) {
            debug_assert!(sent.status != Status::InFlight, "its flight was handed over");
            (sent.path, sent.moved, sent.delivered_before) = (heir, true, delivered);
        }
    }

    /// Takes back that pieces of a path are lost, where they were not sent again.
    pub(crate) fn unmark_lost(&mut self, path: PathId, mut found: impl FnMut(&Sent)) {
        for sent in &mut self.sent {
            if sent.status == Status::Lost && sent.path == path {
                sent.status = Status::InFlight;
                found(sent);
            }
        }
    }

    /// The first lost piece that was not sent again.
    pub(crate) fn first_lost(&mut self) -> Option<usize> {
        let from = self.lost_from.min(self.sent.len());
        let found = self.sent.range(from..).position(|s| s.status == Status::Lost);
        self.lost_from = found.map_or(self.sent.len(), |n| from + n);
        found.map(|n| from + n)
    }

    /// The last piece of a path that may still be missing, for a tail loss probe.
    pub(crate) fn last_missing(&self, path: PathId) -> Option<usize> {
        self.sent.iter().rposition(|s| s.path == path && s.status != Status::Sacked)
    }

    /// The piece that has a place in sequence.
    pub(crate) fn at(&self, place: SubflowOffset) -> Option<&Sent> {
        let i = self.sent.partition_point(|s| s.range.end <= place);
        self.sent.get(i).filter(|s| s.range.start <= place)
    }

    /// Pieces went out once more on a path that they are not held for: their acknowledgment tells
    /// neither the round trip of their own path nor what was passed over there.
    pub(crate) fn note_copy(&mut self, range: Range<SubflowOffset>) {
        let first = self.sent.partition_point(|s| s.range.end <= range.start);
        for sent in self.sent.range_mut(first..).take_while(|s| s.range.start < range.end) {
            sent.moved = true;
            sent.transmissions = sent.transmissions.max(2);
        }
    }

    pub(crate) fn get(&self, i: usize) -> &Sent {
        &self.sent[i]
    }

    /// Replaces piece `i` by its retransmission, which covers the same range.
    pub(crate) fn resent(
        &mut self,
        i: usize,
        path: PathId,
        index: u64,
        now: Instant,
        (before, flight): ((u64, Instant), u32),
    ) {
        let sent = &mut self.sent[i];
        sent.moved |= sent.path != path;
        sent.path = path;
        sent.index = index;
        sent.sent_at = now;
        sent.transmissions = sent.transmissions.saturating_add(1);
        sent.status = Status::InFlight;
        sent.delivered_before = before;
        sent.flight = flight;
    }

    #[cfg(test)]
    pub(crate) fn is_canonical(&self) -> bool {
        let contiguous = self
            .sent
            .iter()
            .zip(self.sent.iter().skip(1))
            .all(|(a, b)| a.range.end == b.range.start);
        contiguous && self.sent.iter().all(|s| s.range.start < s.range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Send(u64, u32),
        Ack(u64),
        Sack(u64, u64),
        Lose(u64),
        Resend,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (1u64..9, 0u32..2).prop_map(|(n, p)| Op::Send(n, p)),
            (0u64..90).prop_map(Op::Ack),
            (0u64..90, 1u64..20).prop_map(|(a, n)| Op::Sack(a, a + n)),
            (0u64..30).prop_map(Op::Lose),
            Just(Op::Resend),
        ]
    }

    fn piece(start: u64, len: u64, path: u32, index: u64) -> Sent {
        Sent {
            range: SubflowOffset(start)..SubflowOffset(start + len),
            path: PathId(path),
            index,
            sent_at: Instant::from_nanos(index),
            transmissions: 1,
            moved: false,
            tsval: 0,
            status: Status::InFlight,
            delivered_before: (0, Instant::ZERO),
            flight: 0,
        }
    }

    proptest! {
        /// Against one status per byte.
        #[test]
        fn behaves_like_one_status_per_byte(ops in prop::collection::vec(op(), 0..60)) {
            let mut board = Scoreboard::default();
            let mut model: Vec<Status> = vec![];
            let (mut una, mut index) = (0u64, 0u64);
            let at = |n: u64| usize::try_from(n).unwrap();
            for op in ops {
                let nxt = u64::try_from(model.len()).unwrap();
                index += 1;
                match op {
                    Op::Send(n, path) => {
                        board.push(piece(nxt, n, path, index));
                        model.extend(vec![Status::InFlight; at(n)]);
                    }
                    Op::Ack(to) => {
                        let to = to.min(nxt).max(una);
                        let mut bytes = 0;
                        board.acknowledge(SubflowOffset(to), |s| bytes += u64::from(s.len()));
                        prop_assert_eq!(bytes, to - una);
                        una = to;
                    }
                    Op::Sack(a, b) => {
                        let (a, b) = (a.max(una).min(nxt), b.min(nxt));
                        let mut newly = 0;
                        if a < b {
                            board.sack(&(SubflowOffset(a)..SubflowOffset(b)), |s| newly += at(s.len().into()));
                            let expected = model[at(a)..at(b)].iter().filter(|s| **s != Status::Sacked).count();
                            prop_assert_eq!(newly, expected);
                            model[at(a)..at(b)].fill(Status::Sacked);
                        }
                    }
                    Op::Lose(before) => {
                        let mut lost = vec![];
                        board.mark_lost(|s| s.index < before, |s| lost.push(s.range.clone()));
                        for r in lost {
                            model[at(r.start.0)..at(r.end.0)].fill(Status::Lost);
                        }
                    }
                    Op::Resend => {
                        let expected = model[at(una)..].iter().position(|s| *s == Status::Lost);
                        let found = board.first_lost();
                        prop_assert_eq!(found.map(|i| at(board.get(i).range.start.0)), expected.map(|n| at(una) + n));
                        if let Some(i) = found {
                            let r = board.get(i).range.clone();
                            board.resent(i, PathId(0), index, Instant::ZERO, ((0, Instant::ZERO), 0));
                            model[at(r.start.0)..at(r.end.0)].fill(Status::InFlight);
                        }
                    }
                }
                prop_assert!(board.is_canonical());
                for s in board.iter() {
                    prop_assert!(model[at(s.range.start.0)..at(s.range.end.0)].iter().all(|m| *m == s.status));
                }
            }
        }
    }
}
