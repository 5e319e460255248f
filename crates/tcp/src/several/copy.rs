//! The first flight goes out once more on a further path, before that path is proven: the copies are of
//! what is under way on the first path, so that nothing depends on them, and with the ping behind them
//! answered that path has carried an initial window as the first one has. Without them the better path
//! of two would be a round trip of slow start behind what it does alone wherever the handshake took
//! the worse one.
//!
//! **Invariant**: a path gets no more copies than its initial window, once, before its first ping.
//! **Leaves out** short transfers, which keep to the first path.

use core::ops::Range;

use manypath_base::{Instant, SubflowOffset};
use manypath_cc::AckSample;

use super::schedule::SHORT;
use crate::flow::Transmit;
use crate::input::OwnViews;
use crate::output::Draft;
use crate::path::{Path, Standing};
use crate::{Extension, Flow};

/// What of the first flight went out again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copied(Range<SubflowOffset>);

impl Copied {
    /// Whether these bytes reached the peer twice because of it.
    pub(crate) fn explains(&self, range: &Range<SubflowOffset>) -> bool {
        self.0.start <= range.start && range.end <= self.0.end
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
        let una = self.send.una;
        let at = una + u64::from(path.ping.copied);
        let end = (una + u64::from(path.controller.cwnd())).min(self.send.nxt);
        let piece = self.board.at(at)?;
        let range = at..end.min(piece.range.end).min(self.send.buffer.end());
        if range.is_empty() {
            return None;
        }
        let tsval = Some(piece.tsval);
        let transmit = self.finish(now, &Draft { tsval, ..self.draft_data(i, range, 1) }, ext);
        let len = transmit.segment.seq_len();
        self.board.note_copy(at);
        self.counters.bytes_retransmitted += u64::from(len);
        self.paths[i].ping.copied += len;
        let several = self.several.as_mut()?;
        several.copied.0 =
            several.copied.0.start.max(una)..several.copied.0.end.max(at + u64::from(len));
        Some(transmit)
    }

    /// The ping that followed the copies was answered: they count as a flight of the path.
    pub(crate) fn credit_copies(&mut self, now: Instant, i: usize, bytes: u32) {
        let views: OwnViews = self.views().collect();
        let path = &mut self.paths[i];
        let sample =
            AckSample { acked: bytes, cwnd_limited: true, ..path.ack_sample(now, None, false) };
        path.controller.on_ack(&sample, &views);
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
