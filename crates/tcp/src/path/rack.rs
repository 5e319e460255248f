//! RACK: loss detection by time (RFC 8985 §6), for one path.
//!
//! **Invariant**: only deliveries of the same path count, so that a slow path's segments are not
//! taken for lost because a fast path's overtook them.

use core::time::Duration;

use manypath_base::{Instant, SubflowOffset};

use crate::scoreboard::Sent;

/// RACK's reordering window is kept for this many recoveries after a D-SACK (RFC 8985 §6.2).
const REORDER_PERSIST: u8 = 16;

/// State of RFC 8985 §5.2 and §5.3.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rack {
    /// Most recently sent segment that was delivered: send order, end, send time.
    newest: Option<(u64, SubflowOffset, Instant)>,
    /// Its round-trip time.
    rtt: Duration,
    /// RACK.fack: the highest sequence number delivered.
    fack: SubflowOffset,
    reordering_seen: bool,
    /// RACK.reo_wnd_mult: the reordering window in quarters of the smallest round-trip time.
    quarters: u32,
    persist: u8,
    /// RACK.dsack_round: until this is acknowledged, further D-SACKs do not widen the window.
    dsack_round: Option<SubflowOffset>,
}

impl Rack {
    pub(crate) const NEW: Self = Self {
        newest: None,
        rtt: Duration::ZERO,
        fack: SubflowOffset::ZERO,
        reordering_seen: false,
        quarters: 1,
        persist: 0,
        dsack_round: None,
    };

    /// Whether [`Rack::NEW`] is as good, where nothing is in flight: all that is sent from now on comes
    /// after what it remembers.
    pub(crate) fn is_spare(&self) -> bool {
        let Self { newest: _, rtt: _, fack: _, reordering_seen, quarters, persist, dsack_round: _ } =
            self;
        !reordering_seen && *quarters <= 1 && *persist == 0
    }

    /// RACK_update and RACK_detect_reordering (RFC 8985 §6.2, steps 1 to 3). `answers` is when the
    /// acknowledgment's echo says that what it answers was sent at the latest, if it says so.
    pub(crate) fn on_delivered(
        &mut self,
        piece: &Sent,
        now: Instant,
        min_rtt: Duration,
        answers: Option<Instant>,
    ) {
        if piece.range.end > self.fack {
            self.fack = piece.range.end;
        } else if piece.transmissions == 1 && piece.range.end < self.fack {
            self.reordering_seen = true;
        }
        let rtt = now.since(piece.sent_at);
        let too_soon = rtt < min_rtt || answers.is_some_and(|at| at < piece.sent_at);
        if piece.transmissions > 1 && too_soon {
            return; // The acknowledgment of an earlier copy.
        }
        let order = (piece.index, piece.range.end);
        if self.newest.is_none_or(|(index, end, _)| order >= (index, end)) {
            self.newest = Some((piece.index, piece.range.end, piece.sent_at));
            self.rtt = rtt;
        }
    }

    /// A duplicate was reported: widen the window, once a round trip (RFC 8985 §6.2 step 4).
    pub(crate) fn on_dsack(&mut self, una: SubflowOffset, nxt: SubflowOffset) {
        if self.dsack_round.is_none_or(|round| una >= round) {
            self.dsack_round = Some(nxt);
            self.quarters = (self.quarters.max(1) + 1).min(16);
            self.persist = REORDER_PERSIST;
        }
    }

    /// A recovery proved needless: segments do overtake each other here. **Choice:** RFC 8985
    /// would wait for a late original to be seen, but the retransmission hides it.
    pub(crate) fn on_spurious(&mut self) {
        self.reordering_seen = true;
    }

    /// A recovery ended; the widened window wears off.
    pub(crate) fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.quarters = 1;
        }
    }

    /// RACK_update_reo_wnd (RFC 8985 §6.2 step 4). `certain` is that recovery goes on or three
    /// segments' worth of bytes were passed over.
    pub(crate) fn window(&self, certain: bool, min_rtt: Duration, srtt: Duration) -> Duration {
        if certain && !self.reordering_seen {
            return Duration::ZERO;
        }
        (min_rtt / 4 * self.quarters.max(1)).min(srtt)
    }

    /// Whether `sent` was sent before something that was delivered.
    pub(crate) fn passed_over(&self, sent: &Sent) -> bool {
        self.newest.is_some_and(|(index, end, _)| (sent.index, sent.range.end) < (index, end))
    }

    /// Whether three later sends, or as many packets, were delivered (RFC 8985 §6.2, DupThresh).
    pub(crate) fn is_far_past(&self, sent: &Sent, packet: u32) -> bool {
        self.newest.is_some_and(|(index, end, _)| {
            let later = index.saturating_sub(sent.index);
            later >= 3 || later == 0 && end.saturating_sub(sent.range.end) >= 3 * u64::from(packet)
        })
    }

    /// When `sent`, which was passed over, counts as lost (RFC 8985 §6.2 step 5).
    pub(crate) fn lost_at(&self, sent: &Sent, window: Duration) -> Instant {
        sent.sent_at + self.rtt + window
    }
}
