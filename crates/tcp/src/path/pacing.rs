//! Pacing: new data leaves spread over the round trip instead of in bursts, so that a window that
//! opens all at once does not overflow a short queue (RFC 9002 §7.7 has the same for QUIC). A
//! window that is no more than an initial one leaves as acknowledgments let it: every network is
//! used to that (RFC 6928), short answers are not to wait for a pace, and a pair of packets that
//! is drawn apart is acknowledged later, which a window of a few packets feels.
//!
//! Retransmissions are paced where the controller governs recovery, and else metered by what is
//! delivered.

use core::time::Duration;

use manypath_base::{Instant, Rate};

use super::Path;

/// Paths faster than this are not paced: their timers would be finer than a host keeps. Nor are those
/// to a peer beside this host, whose round trips are long only where hosts have much to do.
const MIN_RTT: Duration = Duration::from_millis(2);

/// So many initial windows leave twice as fast as a window a round trip, whatever was delivered so
/// far: short answers are gone by then.
const UNTRIED: u64 = 8;

/// A controller that paces slower than this has each packet leave alone: two at once may be more than
/// a queue before such a link holds (draft-ietf-ccwg-bbr, `BBRSetSendQuantum`).
const SLOW: Rate = Rate::from_bytes_per_sec(150_000);

/// The slowest pace. Of a window of a few bytes over a round trip of many seconds less would be left,
/// which is none at all.
const SLOWEST: Rate = Rate::from_bytes_per_sec(1);

impl Path {
    /// Packets that leave at once in any case.
    pub(crate) fn pair(&self) -> u32 {
        if self.controller.pacing_rate().is_some_and(|rate| rate < SLOW) { 1 } else { 2 }
    }

    /// How fast new data may leave: what the controller says, else the window a round trip, with
    /// a margin so that the window and not the pace is the limit: twice in slow start, since the
    /// window doubles within the round, and a quarter more after it.
    ///
    /// Where a large window that no loss has bounded yet opens, and acknowledgments have not filled it
    /// step by step, since the peer's window or a lack of data held it empty, twice as fast may be
    /// four times what the path carries, and more than a queue before it holds. What
    /// acknowledgments let out in slow start is twice what was delivered; an eighth more has them
    /// lead.
    fn pace(&self) -> Option<Rate> {
        self.controller.pacing_rate().or_else(|| {
            let srtt = self.rtt.srtt().filter(|&srtt| srtt >= MIN_RTT && !self.is_beside())?;
            let cwnd = u64::from(self.controller.cwnd());
            if cwnd <= u64::from(self.initial_window()) {
                return None;
            }
            if self.controller.cwnd() >= self.controller.ssthresh() {
                return Some(Rate::from_transfer(cwnd * 5 / 4, srtt));
            }
            let pace = Rate::from_transfer(cwnd * 2, srtt);
            let tried =
                Rate::from_bytes_per_sec((self.fastest.bytes_per_sec() / 4).saturating_mul(9));
            let few = UNTRIED * u64::from(self.initial_window());
            let unbounded =
                self.controller.ssthresh() == u32::MAX && self.fastest > Rate::default();
            Some(if unbounded && cwnd > few { pace.min(tried) } else { pace })
        })
    }

    fn initial_window(&self) -> u32 {
        manypath_cc::Config::new(self.mss).initial_window
    }

    /// Something lost goes out again.
    pub(crate) fn on_resent_paced(&mut self, bytes: u32, now: Instant) {
        if self.controller.governs_recovery() {
            self.on_paced(bytes, now);
        }
    }

    /// When something lost may go out again, if that is not now.
    pub(crate) fn resends_at(&self, now: Instant) -> Option<Instant> {
        self.paced_until(now).filter(|_| self.controller.governs_recovery())
    }

    /// New data goes out: when the next may. A timer that ran late is made good by as much as the
    /// burst just sent.
    pub(crate) fn on_paced(&mut self, bytes: u32, now: Instant) {
        let Some(rate) = self.pace().filter(|_| self.pacing) else { return };
        let begins = !self.is_outstanding() && self.controller.pacing_rate().is_none();
        let unpaced = if begins { self.initial_window() } else { self.work.unpaced };
        let takes = rate.max(SLOWEST).time_for(bytes.saturating_sub(unpaced).into());
        let work = &mut *self.work;
        work.unpaced = unpaced.saturating_sub(bytes);
        work.paced_until = work.paced_until.max(now - takes) + takes;
    }

    /// When new data may leave, if that is not now.
    pub(crate) fn paced_until(&self, now: Instant) -> Option<Instant> {
        Some(self.work.paced_until).filter(|&at| at > now)
    }

    /// How long it has nothing to send and looks as it does, if nothing is done to it.
    pub(crate) fn rests_until(&self, now: Instant) -> Option<Instant> {
        Instant::sooner(self.paced_until(now), self.lowered_until(now))
    }
}
