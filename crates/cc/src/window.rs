//! The window variables of RFC 5681 and the moves that every loss-based controller shares.
//!
//! **Owns** `cwnd`, `ssthresh`, what both were before the last signal, and slow start.
//! **Invariants**: `cwnd` and `ssthresh` are never below one segment, and no signal of congestion
//! raises `cwnd`. **Leaves out** growth in congestion avoidance: that is
//! what makes an algorithm.

use manypath_base::Mss;

use crate::{AckSample, Config, Signal, SlowStart, Step};

/// How much of the bytes in flight is kept after congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decrease {
    /// Percent kept after a loss or a timeout.
    pub loss: u32,
    /// Percent kept after a congestion mark: more, since queues that mark are short (RFC 8511
    /// §3.1).
    pub ecn: u32,
    /// Segments that are kept in any case.
    pub floor: u32,
}

impl Decrease {
    /// Half after a loss, at least two segments (RFC 5681 §3.1); four fifths after a mark (RFC 8511
    /// §3.1).
    pub const HALF: Self = Self { loss: 50, ecn: 80, floor: 2 };
}

/// Which of the two growth laws an acknowledgment falls under.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The window is below `ssthresh`, and what it had to grow it has grown.
    SlowStart,
    /// The algorithm's own growth applies.
    Avoidance,
}

/// What a signal did.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduced {
    /// A new congestion episode: `ssthresh` is new, and the old values are kept for an undo.
    Anew,
    /// The same timeout once more: `ssthresh` is held (RFC 5681 §3.1).
    Again,
}

#[derive(Clone, Debug)]
struct Before {
    cwnd: u32,
    ssthresh: u32,
    slow_start: SlowStart,
}

/// Congestion window and slow-start threshold of one path, in bytes.
#[derive(Clone, Debug)]
pub struct Window {
    mss: Mss,
    initial: u32,
    cwnd: u32,
    ssthresh: u32,
    /// Growth that is not a whole byte yet, in 1/65,536 of a byte.
    fraction: u16,
    /// What a first slow start is.
    first: SlowStart,
    slow_start: SlowStart,
    before: Option<Before>,
}

impl Window {
    /// Binary places of [`Window::grow_fixed`].
    pub const FRACTION_BITS: u32 = 16;

    /// The initial window, in the first slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::beginning_with(config, SlowStart::initial())
    }

    /// The same, with a first slow start that only a loss ends.
    #[must_use]
    pub fn standard(config: Config) -> Self {
        Self::beginning_with(config, SlowStart::standard())
    }

    fn beginning_with(config: Config, first: SlowStart) -> Self {
        let initial = config.initial_window.max(config.mss.bytes());
        Self {
            mss: config.mss,
            initial,
            cwnd: initial,
            ssthresh: u32::MAX,
            fraction: 0,
            slow_start: first.clone(),
            first,
            before: None,
        }
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// The whole segments of the window, in bytes: what a bulk transfer can have in flight. Of a
    /// window below a segment, all. At least 1.
    pub(crate) fn usable(&self) -> u32 {
        let rest = self.cwnd % self.mss.bytes();
        if rest < self.cwnd { self.cwnd - rest } else { self.cwnd.max(1) }
    }

    /// Slow-start threshold in bytes; `u32::MAX` before the first signal.
    #[must_use]
    pub fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// Largest payload of one packet.
    #[must_use]
    pub fn mss(&self) -> Mss {
        self.mss
    }

    /// Takes slow start's share of an acknowledgment and says whether the algorithm's own growth
    /// applies to it. Where something other than the window limits sending, neither does
    /// [`SlowStart`] learn from it: a round-trip time that rises then is not of our making.
    pub fn slow_start(&mut self, ack: &AckSample) -> Phase {
        if self.cwnd >= self.ssthresh {
            return Phase::Avoidance;
        }
        if !ack.cwnd_limited {
            return Phase::SlowStart;
        }
        match self.slow_start.on_ack(ack, self.mss) {
            Step::Grow(bytes) => {
                self.cwnd = self.cwnd.saturating_add(bytes).min(self.ssthresh);
                Phase::SlowStart
            }
            Step::Leave => {
                self.ssthresh = self.cwnd;
                Phase::Avoidance
            }
        }
    }

    /// Adds whole bytes to the window.
    pub fn grow(&mut self, bytes: u32) {
        self.cwnd = self.cwnd.saturating_add(bytes);
    }

    /// Adds bytes counted in 1/65,536, and keeps what is not a whole byte for the next time: an
    /// increase is never lost to rounding (RFC 5681 §3.1 and RFC 6356 §3 round 0 up to 1 instead).
    pub fn grow_fixed(&mut self, parts: u64) {
        self.set_fixed(self.fixed().saturating_add(parts));
    }

    /// Takes bytes counted in 1/65,536 away, down to one segment, and stays in congestion
    /// avoidance: `ssthresh` comes down with the window.
    pub fn shrink_fixed(&mut self, parts: u64) {
        let least = u64::from(self.mss.bytes()) << Self::FRACTION_BITS;
        let now = self.fixed();
        self.set_fixed(now.saturating_sub(parts).max(least.min(now)));
        self.ssthresh = self.ssthresh.min(self.cwnd);
    }

    /// The window in 1/65,536 byte.
    fn fixed(&self) -> u64 {
        (u64::from(self.cwnd) << Self::FRACTION_BITS) + u64::from(self.fraction)
    }

    fn set_fixed(&mut self, parts: u64) {
        let kept = parts % (1 << Self::FRACTION_BITS);
        self.fraction = u16::try_from(kept).expect("a remainder of 2^16 fits 16 bits");
        self.cwnd = u32::try_from(parts >> Self::FRACTION_BITS).unwrap_or(u32::MAX);
    }

    /// Ends slow start: the algorithm has seen that the path is full.
    pub fn leave_slow_start(&mut self) {
        self.ssthresh = self.ssthresh.min(self.cwnd);
    }

    /// Congestion: `ssthresh` becomes the share of `in_flight` that `keep` leaves, at least its
    /// floor (RFC 5681 §3.1 equation 4, RFC 8511 §3.1), and `cwnd` comes down to it, or to one
    /// segment after a timeout.
    ///
    /// **Choice:** of bytes in flight beyond the window (it shrank before they were acknowledged)
    /// none count, and a window already below `ssthresh` stays: no signal raises the window.
    pub fn reduce(&mut self, signal: Signal, in_flight: u32, keep: Decrease) -> Reduced {
        let one = self.mss.bytes();
        let again = signal == Signal::Timeout && self.cwnd <= one && self.ssthresh < u32::MAX;
        if again {
            return Reduced::Again;
        }
        let percent = self.percent_kept(signal, keep);
        let slow_start = core::mem::replace(&mut self.slow_start, SlowStart::standard());
        self.before = Some(Before { cwnd: self.cwnd, ssthresh: self.ssthresh, slow_start });
        self.ssthresh = scale(in_flight.min(self.cwnd), percent, 100).max(keep.floor * one);
        self.fraction = 0;
        self.cwnd = match signal {
            Signal::Loss | Signal::Ecn => self.cwnd.min(self.ssthresh),
            Signal::Timeout => one,
        };
        Reduced::Anew
    }

    /// A mark in slow start counts as a loss: RFC 8511 §4 recommends its milder factor for
    /// congestion avoidance only.
    fn percent_kept(&self, signal: Signal, keep: Decrease) -> u32 {
        match signal {
            Signal::Ecn if self.cwnd >= self.ssthresh => keep.ecn,
            Signal::Loss | Signal::Ecn | Signal::Timeout => keep.loss,
        }
    }

    /// Takes the last reduction back, once; what the window has grown since is kept.
    ///
    /// **Differs** from RFC 4015 §3.4, which restarts from the bytes in flight to avoid a burst:
    /// spreading what may be sent is the sender's part.
    pub fn undo(&mut self) {
        if let Some(Before { cwnd, ssthresh, slow_start }) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = ssthresh;
            self.slow_start = slow_start;
        }
    }

    /// Restarts after idleness from min(initial window, `cwnd`) (RFC 5681 §4.1). What slow start
    /// has learned of the path is old and forgotten.
    pub fn restart(&mut self) {
        self.cwnd = self.cwnd.min(self.initial);
        self.before = None;
        if self.ssthresh == u32::MAX {
            self.slow_start = self.first.clone();
        }
    }

    /// The first window is one segment, since the handshake met losses (RFC 6928 §2). Restarts after
    /// idleness are from no more.
    pub fn begin_with_one(&mut self) {
        self.initial = self.mss.bytes();
        self.cwnd = self.initial;
    }

    /// Takes a new segment size. A smaller one shrinks the window by the same ratio, so that as
    /// many packets as before may be in flight (RFC 5681 §3.1).
    pub fn set_mss(&mut self, mss: Mss) {
        let (old, new) = (self.mss.bytes().max(1), mss.bytes());
        if new < old {
            self.cwnd = scale(self.cwnd, new, old);
        }
        self.mss = mss;
        self.initial = scale(self.initial, new, old).max(new);
        self.cwnd = self.cwnd.max(new);
        self.ssthresh = self.ssthresh.max(new);
        self.before = None;
    }

    /// Halves the window down to two segments, and outside of slow start the threshold with it.
    /// An undo would give it back, so there is none after it.
    pub fn halve(&mut self) {
        self.before = None;
        let avoidance = self.cwnd >= self.ssthresh;
        let half = (self.cwnd / 2).max(2 * self.mss.bytes());
        self.cwnd = self.cwnd.min(half);
        if avoidance {
            self.ssthresh = half;
        }
    }
}

/// `n * numerator / denominator`, rounded down; `u32::MAX` where that is more.
pub(crate) fn scale(n: u32, numerator: u32, denominator: u32) -> u32 {
    let wide = u64::from(n) * u64::from(numerator) / u64::from(denominator);
    u32::try_from(wide).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEEP: Decrease = Decrease::HALF;

    fn window(segments: u32) -> Window {
        Window::new(Config { mss: Mss(1000), initial_window: segments * 1000 })
    }

    #[test]
    fn a_repeated_timeout_holds_the_threshold_and_the_way_back() {
        let mut w = window(40);
        assert_eq!(w.reduce(Signal::Timeout, 40_000, KEEP), Reduced::Anew);
        assert_eq!((w.cwnd(), w.ssthresh()), (1000, 20_000));
        assert_eq!(w.reduce(Signal::Timeout, 1000, KEEP), Reduced::Again);
        assert_eq!((w.cwnd(), w.ssthresh()), (1000, 20_000));
        w.undo();
        assert_eq!((w.cwnd(), w.ssthresh()), (40_000, u32::MAX));
        w.undo();
        assert_eq!((w.cwnd(), w.ssthresh()), (40_000, u32::MAX), "only once");
    }

    #[test]
    fn a_mark_costs_less_than_a_loss_but_not_in_slow_start() {
        let mut w = window(100);
        let _ = w.reduce(Signal::Ecn, 100_000, KEEP);
        assert_eq!((w.cwnd(), w.ssthresh()), (50_000, 50_000));
        let _ = w.reduce(Signal::Ecn, 50_000, KEEP);
        assert_eq!((w.cwnd(), w.ssthresh()), (40_000, 40_000));
    }

    #[test]
    fn a_penalty_halves_the_window_and_keeps_the_threshold_of_slow_start() {
        let mut w = window(40);
        w.halve();
        assert_eq!((w.cwnd(), w.ssthresh()), (20_000, u32::MAX));
        let _ = w.reduce(Signal::Loss, 20_000, KEEP);
        w.halve();
        assert_eq!((w.cwnd(), w.ssthresh()), (5_000, 5_000));
        w.halve();
        w.halve();
        assert_eq!((w.cwnd(), w.ssthresh()), (2_000, 2_000), "not below two segments");
    }

    #[test]
    fn a_first_window_of_one_segment_stays_in_slow_start() {
        let mut w = window(10);
        w.begin_with_one();
        assert_eq!((w.cwnd(), w.ssthresh()), (1_000, u32::MAX));
    }

    #[test]
    fn a_smaller_segment_keeps_the_number_of_packets() {
        let mut w = window(10);
        w.set_mss(Mss(500));
        assert_eq!(w.cwnd(), 5_000);
        w.set_mss(Mss(9_000));
        assert_eq!(w.cwnd(), 9_000, "never below one segment");
    }

    #[test]
    fn fractions_of_a_byte_add_up() {
        let mut w = window(10);
        for _ in 0..3 * 65_536 {
            w.grow_fixed(1);
        }
        assert_eq!(w.cwnd(), 10_003);
    }

    #[test]
    fn shrinking_ends_at_one_segment_and_stays_in_avoidance() {
        let mut w = window(10);
        w.shrink_fixed(1);
        assert_eq!((w.cwnd(), w.ssthresh()), (9_999, 9_999));
        w.grow_fixed(1);
        assert_eq!(w.cwnd(), 10_000);
        w.shrink_fixed(u64::MAX);
        assert_eq!((w.cwnd(), w.ssthresh()), (1_000, 1_000));
    }

    proptest! {
        #[test]
        fn no_signal_raises_the_window_or_empties_it(
            steps in prop::collection::vec((0u8..7, any::<u32>(), 1u16..9000), 0..40),
        ) {
            let mut w = window(10);
            for (what, n, mss) in steps {
                let before = w.cwnd();
                match what {
                    0 => { let _ = w.reduce(Signal::Loss, n, KEEP); }
                    1 => { let _ = w.reduce(Signal::Ecn, n, KEEP); }
                    2 => { let _ = w.reduce(Signal::Timeout, n, KEEP); }
                    3 => w.restart(),
                    4 => w.shrink_fixed(u64::from(n) << 10),
                    5 => w.grow(n),
                    _ => w.set_mss(Mss(mss)),
                }
                prop_assert!(what > 4 || w.cwnd() <= before, "step {what}");
                prop_assert!(w.cwnd() >= w.mss().bytes());
                prop_assert!(w.ssthresh() >= w.mss().bytes());
            }
        }
    }
}
