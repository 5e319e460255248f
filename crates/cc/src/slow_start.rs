//! Slow start with `HyStart++`, as a part that every window-based controller can use.
//!
//! **Owns** how fast the window grows below `ssthresh` (RFC 5681 §3.1, byte counting of RFC 3465)
//! and when the first slow start ends without a loss (RFC 9406). **Invariants**: never grows by
//! more than was acknowledged; once it said [`Step::Leave`] or was made
//! [standard](SlowStart::standard), round-trip times do not matter any more. **Leaves out** `cwnd`
//! and `ssthresh` themselves ([`Window`](crate::Window)).

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::{Mss, Rate};

use crate::AckSample;

/// What slow start makes of one acknowledgment.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add so many bytes to the window.
    Grow(u32),
    /// The queue of the bottleneck grows: set `ssthresh` to `cwnd`, go on in congestion avoidance.
    Leave,
}

/// Slow start of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowStart(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// RFC 5681 alone: `ssthresh` is known from a loss and ends it.
    Standard,
    /// The first slow start, of which nothing was seen yet: most windows are never full.
    Unseen,
    /// The first slow start.
    First(Box<Search>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Looks for a round whose round-trip time rose.
    #[default]
    Search,
    /// Conservative slow start: it rose, and now shows whether it stays up.
    Conservative {
        /// What the smallest round-trip time of a round must stay above.
        baseline: Duration,
        /// Rounds begun in this mode, the one in which it was entered included.
        rounds: u32,
    },
}

/// What a first slow start has seen of its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Search {
    mode: Mode,
    last_round_min: Option<Duration>,
    this_round_min: Option<Duration>,
    samples: u32,
    /// The latest samples of this round.
    latest: [Duration; SlowStart::WINDOW],
    /// Largest delivery rate of this round, and of all rounds before.
    round_rate: Rate,
    best_rate: Rate,
    /// Rounds in a row that did not deliver faster.
    flat_rounds: u32,
}

/// How a first slow start goes on.
#[must_use]
enum Pace {
    Full,
    Conservative,
    /// It is over.
    Over,
}

impl SlowStart {
    /// Rise of the round-trip time that is always tolerated (RFC 9406 §4.3).
    pub const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
    /// Rise of the round-trip time that is never tolerated (RFC 9406 §4.3).
    pub const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
    /// Between the two, this part of the last round's smallest sample (RFC 9406 §4.3).
    pub const MIN_RTT_DIVISOR: u32 = 8;
    /// Samples of a round before its minimum counts (RFC 9406 §4.3).
    pub const N_RTT_SAMPLE: u32 = 8;
    /// How much slower conservative slow start grows (RFC 9406 §4.3).
    pub const CSS_GROWTH_DIVISOR: u32 = 4;
    /// Rounds of conservative slow start before slow start ends. **Differs** from the 5 of RFC 9406
    /// §4.3, in which the window triples: a queue of one bandwidth-delay product overflows.
    pub const CSS_ROUNDS: u32 = 3;

    /// [`Self::N_RTT_SAMPLE`] as a length.
    const WINDOW: usize = 8;

    /// Rounds without faster delivery after which the pipe is full, while round-trip times tell
    /// nothing.
    const FLAT_ROUNDS: u32 = 3;

    /// Most segments that one acknowledgment counts for.
    const LIMIT_SEGMENTS: u32 = 8;
    /// The same in bytes, where it is more: one super-segment.
    const LIMIT_BYTES: u32 = 65_536;

    /// The first slow start of a path, which no loss has bounded yet.
    #[must_use]
    pub fn initial() -> Self {
        Self(Kind::Unseen)
    }

    /// A later slow start, which `ssthresh` ends: without `HyStart++` (RFC 9406 §4.3: only the
    /// initial slow start).
    #[must_use]
    pub fn standard() -> Self {
        Self(Kind::Standard)
    }

    /// The window's growth for an acknowledgment of new data, `cwnd` being below `ssthresh`.
    ///
    /// **Differs** from the L = 8 segments that RFC 9406 §4.3 asks for without pacing: L is 8
    /// segments or 64 KB, whichever is more. What is sent goes out in super-segments of up to
    /// 64 KB, and a receiver that coalesces them answers each with one acknowledgment; L = 8 would
    /// let its offload, not the path, decide the growth.
    ///
    /// Beside this host neither round-trip times nor rates end it: there is no link to fill, and both
    /// depend on when hosts wake up.
    pub fn on_ack(&mut self, ack: &AckSample, mss: Mss) -> Step {
        let counted = ack.acked.min((Self::LIMIT_SEGMENTS * mss.bytes()).max(Self::LIMIT_BYTES));
        if self.0 == Kind::Unseen {
            self.0 = Kind::First(Box::default());
        }
        let Kind::First(search) = &mut self.0 else { return Step::Grow(counted) };
        if ack.beside {
            return Step::Grow(counted);
        }
        match search.on_ack(ack) {
            Pace::Full => Step::Grow(counted),
            Pace::Conservative => Step::Grow(counted / Self::CSS_GROWTH_DIVISOR),
            Pace::Over => {
                *self = Self::standard();
                Step::Leave
            }
        }
    }
}

impl Search {
    fn on_ack(&mut self, ack: &AckSample) -> Pace {
        if ack.round_start && self.next_round_is_too_many() {
            return Pace::Over;
        }
        if let Some(rate) = ack.delivery_rate.filter(|_| ack.cwnd_limited) {
            self.round_rate = self.round_rate.max(rate);
        }
        if let Some(rtt) = ack.rtt {
            self.this_round_min = Some(self.this_round_min.map_or(rtt, |min| min.min(rtt)));
            self.latest.rotate_right(1);
            self.latest[0] = rtt;
            self.samples += 1;
        }
        if self.samples >= SlowStart::N_RTT_SAMPLE {
            self.judge_round();
        }
        match self.mode {
            Mode::Search => Pace::Full,
            Mode::Conservative { .. } => Pace::Conservative,
        }
    }

    /// Begins a round; true where slow start has had all of its rounds.
    ///
    /// **Differs** from RFC 9406, which looks at round-trip times alone and waits for
    /// all of its rounds: a larger window that is not delivered any faster
    /// only fills the queue. One such round ends conservative slow start, three end the search.
    fn next_round_is_too_many(&mut self) -> bool {
        self.last_round_min = self.this_round_min.take();
        self.samples = 0;
        self.judge_rate();
        match &mut self.mode {
            Mode::Search => self.flat_rounds >= SlowStart::FLAT_ROUNDS,
            Mode::Conservative { rounds, .. } => {
                *rounds += 1;
                *rounds > SlowStart::CSS_ROUNDS || self.flat_rounds > 0
            }
        }
    }

    /// Whether the round that ends delivered faster than any before: by three sixteenths, since a
    /// window that grows by a quarter delivers by a quarter faster while the pipe is not full.
    fn judge_rate(&mut self) {
        let (best, round) = (self.best_rate.bytes_per_sec(), self.round_rate.bytes_per_sec());
        if round > 0 {
            let faster = round >= best.saturating_add(best / 16 * 3);
            self.flat_rounds = if faster { 0 } else { self.flat_rounds + 1 };
        }
        self.best_rate = self.best_rate.max(self.round_rate);
        self.round_rate = Rate::default();
    }

    /// Looks for a queue, or for the end of one.
    ///
    /// **Differs** from RFC 9406 §4.2, which compares the smallest samples of whole rounds, and so
    /// sees a queue one round after it began, when a short one has overflowed: here eight samples
    /// in a row are enough. What a burst alone caused is gone in the next round, which then leads
    /// back to the search.
    fn judge_round(&mut self) {
        let (Some(current), Some(latest)) = (self.this_round_min, self.latest.iter().min()) else {
            return;
        };
        match (self.mode, self.last_round_min) {
            (Mode::Search, Some(last)) if *latest >= last + Self::threshold(last) => {
                self.mode =
                    Mode::Conservative { baseline: last + Self::threshold(last), rounds: 1 };
            }
            (Mode::Conservative { baseline, rounds }, _) if rounds > 1 && current < baseline => {
                self.mode = Mode::Search;
                self.flat_rounds = 0;
            }
            (Mode::Search | Mode::Conservative { .. }, _) => {}
        }
    }

    /// How far the round-trip time must rise above `last` to mean a queue.
    fn threshold(last: Duration) -> Duration {
        (last / SlowStart::MIN_RTT_DIVISOR)
            .clamp(SlowStart::MIN_RTT_THRESH, SlowStart::MAX_RTT_THRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use alloc::vec::Vec;

    const MSS: Mss = Mss(1000);

    fn ack(round_start: bool, rtt_ms: u64) -> AckSample {
        AckSample { round_start, ..testing::ack(1000, rtt_ms) }
    }

    /// One round of `n` acknowledgments with the same round-trip time: the last step.
    fn round(s: &mut SlowStart, n: u32, rtt_ms: u64) -> Step {
        let mut last = s.on_ack(&ack(true, rtt_ms), MSS);
        for _ in 1..n {
            last = s.on_ack(&ack(false, rtt_ms), MSS);
        }
        last
    }

    #[test]
    fn a_round_trip_time_that_stays_up_ends_slow_start_after_some_rounds() {
        let mut s = SlowStart::initial();
        assert_eq!(round(&mut s, 8, 40), Step::Grow(1000));
        // 40 / 8 = 5 ms are the threshold.
        assert_eq!(round(&mut s, 8, 44), Step::Grow(1000));
        assert_eq!(round(&mut s, 7, 50), Step::Grow(1000), "seven samples say nothing yet");
        assert_eq!(s.on_ack(&ack(false, 50), MSS), Step::Grow(250), "the eighth does");
        for _ in 1..SlowStart::CSS_ROUNDS {
            assert_eq!(round(&mut s, 8, 50), Step::Grow(250));
        }
        assert_eq!(s.on_ack(&ack(true, 50), MSS), Step::Leave);
    }

    #[test]
    fn a_round_trip_time_that_falls_again_resumes_slow_start() {
        let mut s = SlowStart::initial();
        let _ = round(&mut s, 8, 40);
        assert_eq!(round(&mut s, 8, 60), Step::Grow(250));
        assert_eq!(round(&mut s, 8, 45), Step::Grow(250), "still above 40 / 8");
        assert_eq!(round(&mut s, 8, 44), Step::Grow(1000));
    }

    #[test]
    fn a_queue_within_a_round_is_seen_in_that_round() {
        let mut s = SlowStart::initial();
        let _ = round(&mut s, 8, 20);
        assert_eq!(round(&mut s, 8, 20), Step::Grow(1000));
        for _ in 0..7 {
            assert_eq!(s.on_ack(&ack(false, 25), MSS), Step::Grow(1000));
        }
        assert_eq!(s.on_ack(&ack(false, 25), MSS), Step::Grow(250));
    }

    #[test]
    fn a_round_that_delivers_no_faster_ends_conservative_slow_start() {
        let mut s = SlowStart::initial();
        let at = |start, rtt, mbps| AckSample {
            cwnd_limited: true,
            delivery_rate: Some(Rate::from_bits_per_sec(mbps * 1_000_000)),
            ..ack(start, rtt)
        };
        for (rtt, mbps) in [(40, 5u64), (50, 10)] {
            let _ = s.on_ack(&at(true, rtt, mbps), MSS);
            for _ in 0..7 {
                let _ = s.on_ack(&at(false, rtt, mbps), MSS);
            }
        }
        assert_eq!(s.on_ack(&at(true, 50, 10), MSS), Step::Grow(250), "10 is more than 5");
        assert_eq!(s.on_ack(&at(true, 50, 11), MSS), Step::Leave, "10 again is not");
    }

    /// Between hosts that are beside each other nothing but the window of the peer, or a loss, ends it.
    #[test]
    fn a_peer_beside_this_host_may_be_slow_for_a_while() {
        for (beside, last) in [(true, Step::Grow(1000)), (false, Step::Leave)] {
            let mut s = SlowStart::initial();
            let mut at = |rtt| {
                let rate = Some(Rate::from_bits_per_sec(1_000_000_000));
                s.on_ack(&AckSample { beside, delivery_rate: rate, ..ack(true, rtt) }, MSS)
            };
            let steps: Vec<Step> = (1..=5).map(|round| at(100 * round)).collect();
            assert_eq!(steps.last(), Some(&last), "{steps:?}");
        }
    }

    #[test]
    fn the_threshold_has_a_floor_and_a_ceiling() {
        for (name, last, rise) in [("floor", 8, 4), ("an eighth", 80, 10), ("ceiling", 800, 16)] {
            for (above, grows) in [(rise - 1, 1000), (rise, 250)] {
                let mut s = SlowStart::initial();
                let _ = round(&mut s, 8, last);
                assert_eq!(round(&mut s, 8, last + above), Step::Grow(grows), "{name}");
            }
        }
    }

    #[test]
    fn a_later_slow_start_ignores_round_trip_times() {
        let mut s = SlowStart::standard();
        assert!((1..20).all(|i| round(&mut s, 8, 40 * i) == Step::Grow(1000)));
    }

    #[test]
    fn one_acknowledgment_counts_for_no_more_than_a_super_segment() {
        let mut s = SlowStart::standard();
        let huge = AckSample { acked: u32::MAX, ..ack(false, 40) };
        assert_eq!(s.on_ack(&huge, MSS), Step::Grow(65_536));
        assert_eq!(s.on_ack(&huge, Mss(9000)), Step::Grow(72_000), "8 segments");
    }
}
