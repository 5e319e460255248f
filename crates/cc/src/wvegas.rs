//! wVegas: weighted Vegas, coupled by delay (Cao, Xu and Fu, ICNP 2012;
//! draft-xu-mptcp-congestion-control-05).
//!
//! **Owns** one step a round trip: the window moves by a segment towards the point where this path
//! keeps `alpha_r` segments in the queue, and `alpha_r` is the path's part of ten segments, by rate.
//! Load moves away before anything is lost. **Invariants**: no acknowledgment moves the window by
//! more than the drain. **Leaves out** loss, which it answers as RFC 5681 does. Beside loss-based
//! flows it starves, as any Vegas.

use core::time::Duration;

use crate::coupling::{Rates, micros};
use crate::{AckSample, Config, FlowView, Window, WindowBased};

/// Segments that all paths together keep in queues.
const TOTAL_ALPHA: u128 = 10;
/// Segments that a path keeps at least.
const MIN_ALPHA: u128 = 2;
/// Segments in the queue that end slow start.
const GAMMA: u128 = 1;

/// Round-trip times of one round.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    sum: Duration,
    samples: u32,
    least: Option<Duration>,
}

impl Round {
    fn add(&mut self, rtt: Duration) {
        self.sum = self.sum.saturating_add(rtt);
        self.samples = self.samples.saturating_add(1);
        self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
    }

    fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.samples)
    }
}

/// Weighted Vegas for one of the paths.
#[derive(Clone, Debug)]
pub struct WVegas {
    window: Window,
    /// Smallest round-trip time seen.
    base: Duration,
    /// Samples of the present round.
    round: Round,
    /// Mean round-trip time of a round that has just ended and was not acted on.
    ended: Option<Duration>,
    /// Smallest queueing delay at or above the target, since the queue was last drained.
    least_queue: Option<Duration>,
}

impl WVegas {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            window: Window::new(config),
            base: Duration::MAX,
            round: Round::default(),
            ended: None,
            least_queue: None,
        }
    }

    /// The bytes of the window that stand in the queue: w (rtt - base) / rtt.
    fn queued(&self, rtt: Duration) -> u128 {
        let (rtt, base) = (micros(rtt), micros(self.base));
        u128::from(self.window.cwnd()) * rtt.saturating_sub(base) / rtt
    }

    /// Moves the window for a round of mean round-trip time `rtt`, with `alpha` bytes to be kept
    /// in the queue.
    fn step(&mut self, rtt: Duration, alpha: u128) {
        let segment = u64::from(self.window.mss().bytes()) << Window::FRACTION_BITS;
        let queued = self.queued(rtt);
        if queued > alpha {
            self.window.shrink_fixed(segment);
        } else if queued < alpha {
            self.window.grow_fixed(segment);
        }
        if queued >= alpha {
            self.drain(rtt);
        }
    }

    /// Where the queue is twice as long as it was at its shortest, the window falls to
    /// base / (2 rtt) of itself, so that the queue drains and the base shows again.
    ///
    /// **Choice:** only queues at or above the target count. The draft counts all, and so drains
    /// each time a queue grows from nothing to its target.
    fn drain(&mut self, rtt: Duration) {
        let queue = rtt.saturating_sub(self.base);
        let least = self.least_queue.map_or(queue, |least| least.min(queue));
        self.least_queue = Some(least);
        if queue > least && queue >= least * 2 {
            let window = u64::from(self.window.cwnd()) << Window::FRACTION_BITS;
            let left = u128::from(window) * micros(self.base) / (2 * micros(rtt));
            self.window.shrink_fixed(window - u64::try_from(left).unwrap_or(window).min(window));
            self.least_queue = None;
        }
    }
}

/// `alpha_r` in segments: the path's part of [`TOTAL_ALPHA`] by rate, at least [`MIN_ALPHA`].
fn alpha(ack: &AckSample, flows: &[FlowView]) -> u128 {
    let part = Rates::seen_from(ack.path, flows).map_or(1 << 32, |r| r.of_sum(r.own));
    ((TOTAL_ALPHA * part) >> 32).max(MIN_ALPHA)
}

impl WindowBased for WVegas {
    const NAME: &'static str = "wvegas";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn observe(&mut self, ack: &AckSample) {
        if ack.round_start {
            let round = core::mem::take(&mut self.round);
            self.ended = round.mean();
            // A burst queues behind itself: only a queue that its first packet met is standing.
            let full = |rtt| self.queued(rtt) > GAMMA * u128::from(self.window.mss().bytes());
            if round.least.is_some_and(full) {
                self.window.leave_slow_start();
            }
        }
        if let Some(rtt) = ack.rtt {
            self.base = self.base.min(rtt);
            self.round.add(rtt);
        }
    }

    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]) {
        if let Some(rtt) = self.ended.take() {
            let segments = alpha(ack, flows);
            self.step(rtt, segments * u128::from(self.window.mss().bytes()));
        }
    }

    fn forget(&mut self) {
        self.round = Round::default();
        self.ended = None;
        self.least_queue = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, avoiding, flows_of};
    use crate::{Controller, Signal};
    use manypath_base::{Instant, Mss};
    use proptest::prelude::*;

    /// A path of base round-trip time 100 ms, in congestion avoidance.
    fn vegas(cwnd: u32) -> WVegas {
        let config = Config { mss: Mss(1000), initial_window: cwnd };
        WVegas { window: avoiding(cwnd), base: Duration::from_millis(100), ..WVegas::new(config) }
    }

    /// A round whose samples are all `rtt_ms`, and the acknowledgment that ends it.
    fn round(vegas: &mut WVegas, rtt_ms: u64, flows: &[FlowView]) {
        for _ in 0..9 {
            vegas.on_ack(&ack(1000, rtt_ms), flows);
        }
        vegas.on_ack(&AckSample { round_start: true, ..ack(1000, rtt_ms) }, flows);
    }

    #[test]
    fn the_window_moves_a_segment_a_round_towards_the_target() {
        // With 100 segments, rtt 125 means 20 in the queue, rtt 105 means 4.76.
        let (one, two) = (flows_of(&[(100_000, 1000)]), flows_of(&[(100_000, 1000); 2]));
        let third = flows_of(&[(100_000, 5000), (100_000, 1000)]);
        for (name, rtt, flows, moved) in [
            ("20 for 10", 125, &one, -1000),
            ("4.76 for 10", 105, &one, 1000),
            ("4.76 for half of 10", 105, &two, 1000),
            ("9.9 for half of 10", 111, &two, -1000),
            ("4.76 for the least, 2", 105, &third, -1000),
            ("1.96 for the least, 2", 102, &third, 1000),
        ] {
            let mut vegas = vegas(100_000);
            round(&mut vegas, rtt, flows);
            assert_eq!(i64::from(vegas.cwnd()) - 100_000, moved, "{name}");
        }
    }

    #[test]
    fn a_queue_that_doubles_is_drained() {
        let mut vegas = vegas(100_000);
        let flows = flows_of(&[(100_000, 1000)]);
        round(&mut vegas, 120, &flows);
        assert_eq!(vegas.cwnd(), 99_000);
        round(&mut vegas, 145, &flows);
        // 98 segments * 100 / (2 * 142.5), the last of the round before being one of ten samples.
        assert!((34_300..=34_400).contains(&vegas.cwnd()), "{}", vegas.cwnd());
        let drained = vegas.cwnd();
        round(&mut vegas, 145, &flows);
        assert_eq!(vegas.cwnd(), drained - 1000, "once: the least is forgotten");
    }

    #[test]
    fn a_queue_ends_slow_start_and_a_loss_halves() {
        let mut vegas = WVegas::new(Config { mss: Mss(1000), initial_window: 20_000 });
        round(&mut vegas, 100, &[]);
        assert_eq!(vegas.ssthresh(), u32::MAX);
        round(&mut vegas, 120, &[]);
        assert_eq!(vegas.ssthresh(), u32::MAX, "the first packet of the round met no queue");
        round(&mut vegas, 120, &[]);
        assert!(vegas.ssthresh() < u32::MAX, "a sixth of 20 segments is more than one");
        let before = vegas.cwnd();
        vegas.on_signal(Instant::ZERO, Signal::Loss, before, &[]);
        assert_eq!(vegas.cwnd(), before / 2);
        vegas.on_spurious();
        assert_eq!(vegas.cwnd(), before);
    }

    proptest! {
        #[test]
        fn no_size_overflows(
            steps in prop::collection::vec((any::<u32>(), any::<u64>(), any::<bool>()), 1..30),
            rows in prop::collection::vec((1u32.., any::<u64>()), 0..5), initial in 1u32..,
        ) {
            let rows: alloc::vec::Vec<_> = (0..).zip(rows)
                .map(|(i, (w, rtt))| crate::testing::flow(i, w, rtt)).collect();
            let mut vegas = vegas(initial);
            for (acked, rtt, round_start) in steps {
                let rtt = Some(Duration::from_nanos(rtt));
                vegas.on_ack(&AckSample { rtt, round_start, ..ack(acked, 1) }, &rows);
                prop_assert!(vegas.cwnd() >= 1000);
            }
        }
    }
}
