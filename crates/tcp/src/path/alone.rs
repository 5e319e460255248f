//! What one of several paths carries, and what it could if it were the only one.

use core::time::Duration;

use manypath_base::{Rate, len32, usize64};

use manypath_cc::FlowView;

use super::Path;
use crate::input::OwnViews;

/// **Choice:** the transfer by which paths are compared: what is much longer goes over all paths in any
/// case, and what is much shorter takes no more than round trips.
const SHORT: u64 = 128 << 10;
/// Round trips that slow start takes for it, that of the handshake among them.
const ROUNDS: u32 = 4;
/// Bytes that a path has delivered before it is known what it carries.
const KNOWN: u64 = 14 << 10;
/// A new measure counts for this part.
const WEIGHT: u32 = 4;

/// How much of its window a path uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Use {
    /// Bytes delivered when it was looked at last.
    delivered: u64,
    /// Bytes delivered a round trip, smoothed.
    window: Option<u32>,
    /// Bytes delivered since then while its window was full.
    limited: u64,
    /// For most of the last such time its window was not.
    spare: bool,
}

impl Path {
    /// A time is over in which there was always something to send.
    pub(crate) fn note_use(&mut self, span: Duration) {
        let delivered = self.delivered - self.used.delivered;
        self.used.spare = self.used.limited * 2 < delivered;
        let rate = Rate::from_transfer(delivered, span);
        let Some(srtt) = self.rtt.srtt() else { return };
        let window = len32(usize64(rate.bytes_in(srtt)));
        let smoothed = |old: u32| old - old / WEIGHT + window / WEIGHT;
        self.used.window = Some(self.used.window.map_or(window, smoothed));
    }

    /// The next such time begins.
    pub(crate) fn begin_use(&mut self) {
        self.used.delivered = self.delivered;
        self.used.limited = 0;
    }

    /// So much was delivered while its window was full.
    pub(super) fn note_limited(&mut self, bytes: u32) {
        self.used.limited += u64::from(bytes);
    }

    /// Bytes lost, of those sent.
    pub(crate) fn losses(&self) -> (u64, u64) {
        (self.lost_total, self.sent_total)
    }

    /// The windows that this one's growth is coupled to, made smaller in proportion where its own is
    /// less at the moment than what it uses on the average. **Choice:** with RFC 6356 §4 a window that
    /// was cut to little grows in proportion to what is left of it, where Reno's comes back by steps;
    /// a path with losses of its own would stay below what it carries alone.
    pub(crate) fn coupled_to(&self, views: &[FlowView]) -> OwnViews {
        let own = u64::from(self.controller.cwnd());
        let used = u64::from(self.used.window.unwrap_or(0)).clamp(own, own * 4).max(1);
        let scaled = |cwnd: u32| u32::try_from(u64::from(cwnd) * own / used).unwrap_or(u32::MAX);
        views.iter().map(|v| FlowView { cwnd: scaled(v.cwnd).max(1), ..*v }).collect()
    }

    /// The window that others are coupled to: no more than twice what it uses on the average, and
    /// nearly none where the peer's window and not its own limits it. Such a path takes less than its
    /// share wherever it leads, and would slow the others down for nothing.
    pub(super) fn coupled_window(&self) -> u32 {
        let cwnd = self.controller.cwnd();
        if self.used.spare {
            return cwnd.min(self.mss.bytes());
        }
        let most = |used: u32| used.saturating_mul(2).max(self.mss.bytes());
        self.used.window.map_or(cwnd, |used| cwnd.min(most(used)))
    }

    /// What it could carry alone with a window of the peer of so many bytes: the best rate of late,
    /// a window a round trip, and what a Reno TCP makes of its losses, 1.22 packets a round trip over
    /// the square root of their share (RFC 3448 §3.1 has the formula that this simplifies). The next
    /// packet counts as lost, so that a path which has sent little promises little.
    pub(crate) fn rate_alone(&self, window: u64) -> Rate {
        let Some(srtt) = self.rtt.srtt().filter(|srtt| !srtt.is_zero()) else {
            return Rate::default();
        };
        let by_window = Rate::from_transfer(window, self.rtt.min());
        let packets = self.sent_total / (self.lost_total + u64::from(self.mss.bytes()));
        let thousandths = packets.saturating_mul(1_500_000).isqrt();
        let by_losses =
            Rate::from_transfer(u64::from(self.mss.bytes()) * thousandths / 1_000, srtt);
        self.capacity.min(by_window).min(by_losses)
    }

    /// How long a short transfer would take on this path alone, from the handshake on, if enough is
    /// known of it. Losses are left out: a short connection has those of its own slow start.
    pub(crate) fn short_time(&self) -> Option<Duration> {
        let known = self.delivered >= KNOWN && self.capacity.bytes_per_sec() > 0;
        known.then(|| self.rtt.min() * ROUNDS + self.capacity.time_for(SHORT))
    }
}
