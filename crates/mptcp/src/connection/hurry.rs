//! Opportunistic retransmission and penalisation (Raiciu et al., NSDI 2012, §4.2): where the window
//! or the send buffer is full because a slow subflow holds the oldest data, a fast one that is idle
//! brings it too. Where that one alone would carry more, the slow one's window is halved, so that it
//! holds up less from then on.
//!
//! **Invariant**: a byte is hurried at most once, and a subflow penalised at most once in its
//! round-trip time.

use manypath_base::{DataOffset, Instant, PathId, SubflowId};
use manypath_sched::{PathView, candidates};

use super::Connection;

/// A holder with a window of so many segments is at its end: what it holds comes late.
const SMALL_WINDOW: u32 = 4;
/// A subflow so many times faster than the holder brings the data sooner.
const FASTER: u32 = 4;
/// Subflows that differ by less than this factor do not hold each other up.
const SLOWER: u32 = 2;

impl Connection {
    /// Gives the oldest data to a fast subflow that has nothing else to send, if a slow one holds
    /// everybody up. Returns which.
    pub(super) fn hurry(&mut self, now: Instant, views: &[PathView]) -> Option<usize> {
        let slow = self.blocker(views)?;
        let faster = |p: &&PathView| p.id != slow.id && p.room > 0 && p.srtt * SLOWER < slow.srtt;
        let fast = candidates(views).filter(faster).min_by_key(|p| p.srtt)?;
        if self.is_better_alone(fast, slow) {
            self.penalise(now, slow);
        }
        let send = &self.shared.send;
        let late = slow.cwnd <= SMALL_WINDOW * slow.mss.bytes() || fast.srtt * FASTER < slow.srtt;
        let (una, hurried) = (send.una, send.hurried);
        let i = self.index(SubflowId::from(fast.id))?;
        if una < hurried || !late || self.held_by(fast.id, una).is_some() {
            return None;
        }
        let held = una..self.held_by(slow.id, una)?;
        let (len, _) = self.chunk(i, &held, fast.room);
        self.give(now, i, una..una + len, true);
        self.scheduler.on_blocked();
        self.shared.send.hurried = una + len;
        Some(i)
    }

    /// The slowest subflow that holds the oldest data, where that data stops all others.
    fn blocker<'a>(&self, views: &'a [PathView]) -> Option<&'a PathView> {
        if !self.is_held_up() {
            return None;
        }
        let una = self.shared.send.una;
        let holders = views.iter().filter(|p| self.held_by(p.id, una).is_some());
        holders.max_by_key(|p| p.srtt)
    }

    /// If a subflow holds the byte at `at`, the end of the mapping that it is in.
    fn held_by(&self, path: PathId, at: DataOffset) -> Option<DataOffset> {
        let i = self.index(SubflowId::from(path))?;
        self.subflows[i].state.tx.end_of(at)
    }

    /// Whether there is something to send that only the oldest data stops: the window is full, or
    /// the application waits for room.
    pub(super) fn is_held_up(&self) -> bool {
        let send = &self.shared.send;
        let by_window = send.unsent() > 0 && send.window() < u64::from(self.typical_mss());
        let by_buffer = send.unsent() == 0 && send.blocked;
        send.una < send.nxt && (by_window || by_buffer)
    }

    /// Whether the fast subflow alone would carry more than the window lets through while everything
    /// waits a round trip of the slow one.
    ///
    /// **Choice:** Raiciu et al. halve the slow window wherever it blocks. A young window blocks at
    /// any rate, since the receiver has yet to grow it, and the slow subflow may be the one with the
    /// capacity: without it there would be less, not more.
    fn is_better_alone(&self, fast: &PathView, slow: &PathView) -> bool {
        let send = &self.shared.send;
        let waiting = u128::from(send.nxt - send.una) * fast.srtt.as_micros();
        u128::from(fast.cwnd) * slow.srtt.as_micros() > waiting
    }

    fn penalise(&mut self, now: Instant, slow: &PathView) {
        let Some(i) = self.index(SubflowId::from(slow.id)) else { return };
        let sub = &mut self.subflows[i];
        if now.since(sub.penalised_at) >= slow.srtt {
            sub.penalised_at = now;
            sub.flow.penalise(slow.id);
        }
    }
}
