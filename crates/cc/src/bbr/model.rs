//! What BBR knows of the path: how fast it delivers, how long it is, and how much it holds.
//!
//! **Owns** the two estimates, the bounds on them and the signals of the present round trip.
//! **Leaves out** when to probe: that is the state machine's.

use core::time::Duration;

use manypath_base::{Instant, Rate, len64};

use crate::AckSample;
use crate::window::scale;

/// Share of a round's flight that may be lost before it was too much, in percent (`LossThresh`).
const LOSS_THRESH: u64 = 2;
/// What a lower bound keeps after a round with loss, in percent (`Beta`).
const BETA: u32 = 70;
/// What stays of the pace, so that a queue drains in the long run, in percent (`PacingMarginPercent`).
pub(super) const PACE_MARGIN: u64 = 99;
/// Share of the longest flight left to others while not probing, in percent (`Headroom`).
const HEADROOM: u32 = 15;
/// How long the smallest round-trip time is believed (`MinRTTFilterLen`).
const MIN_RTT_FILTER: Duration = Duration::from_secs(10);
/// How long it may go without being met again before the queue is drained to look for it
/// (`ProbeRTTInterval`).
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// Segments that are in flight at least (`MinPipeCwnd`).
pub(super) const MIN_SEGMENTS: u32 = 4;
/// Bursts that a window must hold beside the bandwidth-delay product, for hosts that coalesce.
const BURSTS: u64 = 3;
/// Largest burst in bytes.
const MAX_BURST: u64 = 1 << 16;

/// A round-trip time and when it was measured.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rtt: Duration,
    at: Instant,
}

/// Signals of the present round trip, in bytes and bytes per second.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    lost: u64,
    marked: bool,
    rate: u64,
    /// Total delivered when it began.
    began: u64,
    /// Longest flight.
    flight: u32,
}

/// The model of one path. Rates are bytes per second.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) mss: u32,
    /// Largest delivery rate of the present and the last cycle of probing: `bw_hi`.
    max_rates: [u64; 2],
    /// `bw_lo`: what recent loss says the rate is, if any.
    rate_lo: Option<u64>,
    /// `inflight_lo`: the same of the flight.
    pub(super) inflight_lo: Option<u32>,
    /// `inflight_hi`: the longest flight without too much loss, once some flight had too much.
    pub(super) inflight_hi: Option<u32>,
    min_rtt: Option<Sample>,
    /// The smallest since the path was last drained on purpose.
    recent_rtt: Option<Sample>,
    round: Round,
    /// Longest flight of the last round: what the packets now acknowledged flew in.
    last_flight: u32,
    /// Total lost as of the last acknowledgment.
    lost: u64,
}

impl Model {
    pub(super) fn new(mss: u32) -> Self {
        Self {
            mss,
            max_rates: [0; 2],
            rate_lo: None,
            inflight_lo: None,
            inflight_hi: None,
            min_rtt: None,
            recent_rtt: None,
            round: Round::default(),
            last_flight: 0,
            lost: 0,
        }
    }

    /// Takes an acknowledgment in; true where the smallest round-trip time is due to be looked for.
    pub(super) fn update(&mut self, ack: &AckSample) -> bool {
        let lost = ack.lost.saturating_sub(self.lost);
        self.round.lost = self.round.lost.saturating_add(lost);
        self.lost = ack.lost;
        self.round.flight = self.round.flight.max(ack.prior_in_flight);
        let rate = ack.delivery_rate.map_or(0, Rate::bytes_per_sec);
        self.round.rate = self.round.rate.max(rate);
        if !ack.app_limited || rate >= self.max_rate() {
            self.max_rates[0] = self.max_rates[0].max(rate);
        }
        self.update_rtt(ack)
    }

    /// `BBRUpdateMinRTT`.
    fn update_rtt(&mut self, ack: &AckSample) -> bool {
        let old = |s: Option<Sample>, age| s.is_some_and(|s| ack.now.since(s.at) > age);
        let due = old(self.recent_rtt, PROBE_RTT_INTERVAL);
        if let Some(rtt) = ack.rtt
            && (due || self.recent_rtt.is_none_or(|s| rtt < s.rtt))
        {
            self.recent_rtt = Some(Sample { rtt, at: ack.now });
        }
        let smaller = match (self.recent_rtt, self.min_rtt) {
            (Some(recent), Some(min)) => recent.rtt < min.rtt,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if smaller || old(self.min_rtt, MIN_RTT_FILTER) {
            self.min_rtt = self.recent_rtt;
        }
        due
    }

    /// The queue was drained and the round-trip time seen.
    pub(super) fn rtt_was_probed(&mut self, now: Instant) {
        if let Some(recent) = &mut self.recent_rtt {
            recent.at = now;
        }
    }

    /// The round trip ends: its losses lower the short-term bounds, where they are to
    /// (`BBRAdaptLowerBoundsFromCongestion`).
    ///
    /// **Differs** from the draft, which takes what was delivered: that is less than what was sent by
    /// what was lost, was sent by the margin of the pace slower than the bound before, and took a
    /// flight that is an eighth longer whenever a host is late. Each round with a loss, however little,
    /// would sink the bounds further below what the path carries.
    pub(super) fn end_round(&mut self, ack: &AckSample, adapt: bool, cwnd: u32) {
        let Round { lost, marked, rate, began, flight } = self.round;
        if adapt && (lost > 0 || marked) {
            let carried = ack.delivered.saturating_sub(began).saturating_add(lost);
            let flight_lo = u32::try_from(carried.saturating_add(carried / 8)).unwrap_or(u32::MAX);
            let rate_lo = self.rate_lo.unwrap_or(self.max_rate());
            self.rate_lo =
                Some((rate / PACE_MARGIN).saturating_mul(100).max(rate_lo / 100 * u64::from(BETA)));
            let inflight_lo = scale(self.inflight_lo.unwrap_or(cwnd), BETA, 100);
            self.inflight_lo = Some(flight_lo.max(inflight_lo));
        }
        self.last_flight = flight;
        self.round = Round { began: ack.delivered, ..Round::default() };
    }

    /// A congestion mark: counts as a loss for the short-term bounds.
    pub(super) fn mark(&mut self) {
        self.round.marked = true;
    }

    /// Forgets the short-term bounds: a probe begins.
    pub(super) fn reset_lower_bounds(&mut self) {
        (self.rate_lo, self.inflight_lo) = (None, None);
    }

    /// Forgets the rate of the cycle before the last.
    pub(super) fn end_cycle(&mut self) {
        if self.max_rates[0] > 0 {
            self.max_rates = [0, self.max_rates[0]];
        }
    }

    /// `max_bw`.
    pub(super) fn max_rate(&self) -> u64 {
        self.max_rates[0].max(self.max_rates[1])
    }

    /// `bw`: what is believed now.
    pub(super) fn rate(&self) -> u64 {
        self.rate_lo.map_or(self.max_rate(), |lo| lo.min(self.max_rate()))
    }

    /// The flight in which what is now acknowledged was sent.
    pub(super) fn flight(&self) -> u32 {
        self.last_flight.max(self.round.flight)
    }

    /// Whether this round has lost more than 2 % of a flight (`BBRIsInflightTooHigh`).
    pub(super) fn loses_too_much(&self) -> bool {
        self.round.lost.saturating_mul(100) > u64::from(self.flight()) * LOSS_THRESH
    }

    /// Bytes lost in this round.
    pub(super) fn round_lost(&self) -> u64 {
        self.round.lost
    }

    /// `gain` percent of the bandwidth-delay product, in bytes; `None` before anything is known.
    pub(super) fn bdp(&self, gain: u32) -> Option<u32> {
        self.bytes_at(self.rate(), gain)
    }

    /// The same without the short-term bounds: what the path holds.
    pub(super) fn capacity(&self) -> Option<u32> {
        self.bytes_at(self.max_rate(), 100)
    }

    fn bytes_at(&self, rate: u64, gain: u32) -> Option<u32> {
        let min_rtt = self.min_rtt.filter(|_| self.max_rate() > 0)?.rtt;
        let bytes = Rate::from_bytes_per_sec(rate).bytes_in(min_rtt);
        let scaled = u128::from(bytes) * u128::from(gain) / 100;
        Some(u32::try_from(scaled).unwrap_or(u32::MAX))
    }

    /// The same as a window: with room for the bursts that hosts make of packets, and no less than
    /// four segments (`BBRInflight`, `BBRQuantizationBudget`).
    pub(super) fn window(&self, gain: u32) -> Option<u32> {
        let burst = (self.rate() / 1000)
            .clamp(2 * u64::from(self.mss), MAX_BURST.max(2 * u64::from(self.mss)));
        let budget = u32::try_from(BURSTS * burst).expect("three bursts are below 2^32");
        Some(self.bdp(gain)?.saturating_add(budget).max(self.least()))
    }

    /// The longest flight less what is left to others (`BBRInflightWithHeadroom`).
    pub(super) fn with_headroom(&self) -> Option<u32> {
        self.inflight_hi
            .map(|hi| (hi - scale(hi, HEADROOM, 100).max(self.mss).min(hi)).max(self.least()))
    }

    /// Four segments.
    pub(super) fn least(&self) -> u32 {
        MIN_SEGMENTS * self.mss
    }

    /// A flight was too long: what to stay below is the one in which the first of what is now lost
    /// was sent (`BBRHandleInflightTooHigh`).
    pub(super) fn bound_flight(&mut self, ack: &AckSample, cwnd: u32) {
        let target = self.bdp(100).map_or(cwnd, |bdp| bdp.min(cwnd));
        let flight = ack.lost_flight.unwrap_or(self.flight());
        self.inflight_hi = Some(flight.max(scale(target, BETA, 100)).max(self.least()));
    }

    /// Startup lost too much: what to stay below is what the last round delivered
    /// (`BBRCheckStartupHighLoss`).
    pub(super) fn bound_startup(&mut self, ack: &AckSample) {
        let delivered = ack.delivered.saturating_sub(self.round.began);
        let delivered = u32::try_from(delivered).unwrap_or(u32::MAX);
        let bound = delivered.max(self.bdp(100).unwrap_or_default());
        self.inflight_hi = Some(bound.max(self.least()));
    }

    /// Halves what the path may hold until the next probe.
    pub(super) fn halve(&mut self, cwnd: u32) {
        self.inflight_lo = Some((cwnd / 2).max(2 * self.mss));
    }

    /// A number below `n` that differs from probe to probe, the same in every run.
    pub(super) fn jitter(delivered: u64, n: u64) -> u64 {
        let mixed = delivered.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) % n.max(1)
    }

    /// Round trips after which a Reno of this flight would have grown by as much as a probe does.
    pub(super) fn reno_rounds(&self, cwnd: u32) -> u64 {
        let flight = self.bdp(100).map_or(cwnd, |bdp| bdp.min(cwnd));
        u64::from(flight / self.mss).min(len64(63))
    }
}
