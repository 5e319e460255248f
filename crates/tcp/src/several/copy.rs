//! The first flight goes out once more on a further path, before that path is proven: the copies are of
//! what is under way on the first path, so that nothing depends on them. They count as a flight of the
//! path once the ping behind them is answered. Without them the better path of two would be a round
//! trip of slow start behind what it does alone wherever the handshake took the worse one.
//!
//! Copies are cut elsewhere than the originals, for each path at places of its own: where an
//! acknowledgment, a SACK or a D-SACK ends at one of them, that path has delivered so much.
//!
//! **Invariant**: a path gets no more copies than its initial window, once, before its first ping.
//! **Leaves out** short transfers, which keep to the first path.

use core::ops::Range;

use manypath_base::{Instant, PathId, SubflowOffset, len32, len64, usize64};
use manypath_cc::{AckSample, Signal};
use smallvec::SmallVec;

use super::schedule::SHORT;
use crate::flow::Transmit;
use crate::input::OwnViews;
use crate::output::Draft;
use crate::path::{Path, Standing};
use crate::{Extension, Flow};

/// Of copies that arrived in a smaller part than this, the rest was too much for the path, unless it
/// was too long.
const ARRIVED: u32 = 2;

/// What of the first flight went out again on a path.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    path: PathId,
    start: SubflowOffset,
    /// Where each copy ends.
    ends: SmallVec<[SubflowOffset; 10]>,
    /// The last of these that the peer has named.
    seen: SubflowOffset,
}

impl Copies {
    fn end(&self) -> SubflowOffset {
        self.ends.last().copied().unwrap_or(self.start)
    }

    /// Whether these bytes reached the peer twice because of it.
    pub(crate) fn explain(&self, range: &Range<SubflowOffset>) -> bool {
        self.start <= range.start && range.end <= self.end()
    }

    /// The bytes of the copy that begins there; the first begins where an original does, and is not
    /// told from it.
    fn len_at(&self, at: SubflowOffset) -> Option<u64> {
        let after = self.ends.iter().skip(1);
        self.ends
            .iter()
            .zip(after)
            .find(|(start, _)| **start == at)
            .map(|(&start, &end)| end - start)
    }

    /// An acknowledgment or a block of one ends there.
    pub(crate) fn note(&mut self, end: SubflowOffset) {
        if end > self.seen && end <= self.end() && self.ends.contains(&end) {
            self.seen = end;
        }
    }
}

impl Flow {
    /// Whether the first ping of an unproven path is to wait for the rest of the first flight, so that
    /// copies of all of it can go before.
    pub(crate) fn flight_grows(&self) -> bool {
        let long = self.send.buffer.end().0 > SHORT;
        long && self.unsent() > 0 && self.paths[self.main_path()].room() > 0
    }

    /// The next copy for a path, whose ping is due.
    pub(crate) fn copy(
        &mut self,
        now: Instant,
        i: usize,
        ext: &mut dyn Extension,
    ) -> Option<Transmit> {
        let path = &self.paths[i];
        let first = path.standing == Standing::Unproven && path.ping.is_first();
        if !first || self.send.buffer.end().0 <= SHORT {
            return None;
        }
        let (una, id) = (self.send.una, path.id);
        let packet = u64::from(self.paths[0].packet);
        // The first one is shorter.
        let part = packet * (len64(i) + 1) / (len64(self.paths.len()) + 1);
        let copies = &self.several.as_ref()?.copies;
        let before = copies.iter().find(|c| c.path == id).map(Copies::end);
        let at = before.unwrap_or(una);
        let stop = at + if before.is_none() { part } else { packet };
        let limit = (una + u64::from(path.controller.cwnd())).min(self.send.nxt);
        if stop > limit.min(self.send.buffer.end()) || at < una {
            return None;
        }
        // Older than its last byte's it could be dropped with what is new in it (RFC 7323 §5.3).
        let tsval = Some(self.board.at(SubflowOffset(stop.0 - 1))?.tsval);
        let draft = Draft { tsval, ..self.draft_data(i, at..stop, 1) };
        let transmit = self.finish(now, &draft, ext);
        let len = transmit.segment.seq_len();
        let end = at + u64::from(len);
        self.board.note_copy(at..end);
        self.counts.seldom().bytes_retransmitted += u64::from(len);
        let copies = &mut self.several.as_mut()?.copies;
        match copies.iter_mut().find(|c| c.path == id) {
            Some(copies) => copies.ends.push(end),
            None => {
                let ends = core::iter::once(end).collect();
                copies.push(Copies { path: id, start: at, ends, seen: at });
            }
        }
        Some(transmit)
    }

    /// The path of the copy that began there, and its bytes.
    pub(crate) fn copy_at(&self, at: SubflowOffset) -> Option<(PathId, u64)> {
        let copies = &self.several.as_ref()?.copies;
        copies.iter().find_map(|c| c.len_at(at).map(|len| (c.path, len)))
    }

    /// The ping that followed the copies was answered, so that they have arrived or are lost: those
    /// that arrived count as a flight of the path.
    pub(crate) fn credit_copies(&mut self, now: Instant, i: usize) {
        let id = self.paths[i].id;
        let all = self.several.as_ref().map(|several| &several.copies);
        let Some(copies) = all.and_then(|all| all.iter().find(|c| c.path == id)) else { return };
        let arrived = len32(usize64(copies.seen - copies.start));
        let sent = len32(usize64(copies.end() - copies.start));
        let views: OwnViews = self.views().collect();
        let path = &mut self.paths[i];
        let too_long = path.mss < path.agreed_mss();
        if arrived * ARRIVED < sent && !too_long {
            path.reduce(now, Signal::Loss, arrived * 2, &views);
        } else {
            let sample = path.ack_sample(now, None, false);
            let sample = AckSample { acked: arrived, cwnd_limited: true, ..sample };
            path.controller.on_ack(&sample, &views);
        }
    }
}

impl Path {
    /// Whether this path loses so much less than another that what is under way there is worth
    /// repeating here: of an initial window or more not a quarter of it, counted by packets.
    pub(super) fn is_safer_than(&self, other: &Self) -> bool {
        let (lost, sent) = other.losses();
        let (own_lost, own_sent) = self.losses();
        let tried = own_sent >= 10 * u64::from(self.mss.bytes());
        tried
            && lost > 0
            && u128::from(own_lost) * u128::from(sent) * 4
                <= u128::from(lost) * u128::from(own_sent)
    }
}
