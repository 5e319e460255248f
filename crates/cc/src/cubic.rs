//! CUBIC: growth by the time since the last congestion, not by the round-trip time (RFC 9438,
//! which replaces RFC 8312).
//!
//! **Owns** the cubic curve, its Reno-friendly lower bound and fast convergence. **Invariants**:
//! in integers; the curve's clock runs only while the window limits sending, so idleness and
//! application-limited time do not count (RFC 9438 §5.8). **Leaves out** slow start
//! ([`Window`]), and how much of this growth one of several paths may take: a [`Haste`] says it.

use core::time::Duration;

use manypath_base::{Instant, Mss};

use crate::coupling::product;
use crate::window::scale;
use crate::{AckSample, Config, Controller, Decrease, FlowView, Phase, Reduced, Signal, Window};

/// The constant C = 0.4 segments/s^3 as a fraction (RFC 9438 §5.1).
const C: (u128, u128) = (4, 10);
/// `alpha_cubic` = 3 (1 - 0.7) / (1 + 0.7) = 9/17 segments a round trip (RFC 9438 §4.3).
const ALPHA: (u128, u128) = (9, 17);
/// Cubic microseconds in a cubic second.
const CUBIC_MICROS: u128 = 1_000_000_000_000_000_000;
/// Longest time from the plateau that the curve is computed for, in microseconds: the window is
/// beyond 4 GB long before it, and the cube fits 128 bits.
const FARTHEST: u128 = 10_000_000_000;

/// How much of CUBIC's growth a path takes, in 1/65,536; at most the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Haste {
    /// Part of C, the scale of the curve; at least one.
    pub curve: u32,
    /// Part of the growth of the Reno-friendly bound.
    pub reno: u32,
}

impl Haste {
    /// All of it: a path on its own.
    pub const WHOLE: Self =
        Self { curve: 1 << Window::FRACTION_BITS, reno: 1 << Window::FRACTION_BITS };

    /// Whether the scale is so far from that of `epoch` that its curve leads nowhere sensible.
    fn has_left(self, epoch: &Epoch) -> bool {
        let (now, then) = (u64::from(self.curve), u64::from(epoch.scale));
        now > 4 * then || then > 4 * now
    }
}

/// CUBIC for one path.
#[derive(Clone, Debug)]
pub struct Cubic {
    name: &'static str,
    /// What this path may take, in view of all.
    haste: fn(&AckSample, &[FlowView]) -> Haste,
    window: Window,
    plateau: Plateau,
    epoch: Option<Epoch>,
    /// For an undo: both as they were before the last signal.
    before: Option<(Plateau, Option<Epoch>)>,
}

/// What congestion left behind, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Plateau {
    /// `W_max`: where the curve is flat. 0 after a timeout and before the first loss, when the
    /// plateau is where congestion avoidance begins (RFC 9438 §4.8, §4.10).
    w_max: u32,
    /// `cwnd_prior`: the window before the last reduction.
    prior: u32,
}

/// One stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    plateau: u32,
    /// Part of C that this curve has, in 1/65,536.
    scale: u32,
    /// Time from the beginning to the plateau, in microseconds.
    k: u128,
    /// The `t` of the curve.
    elapsed: Duration,
    last_ack: Option<Instant>,
    /// `W_est`: the window of a Reno of the same average, in 1/65,536 byte.
    w_est: u128,
}

impl Epoch {
    fn begin(cwnd: u32, w_max: u32, scale: u32, mss: Mss) -> Self {
        let plateau = w_max.max(cwnd);
        Self {
            plateau,
            scale,
            k: time_to_plateau(plateau - cwnd, scale, mss),
            elapsed: Duration::ZERO,
            last_ack: None,
            w_est: u128::from(cwnd) << Window::FRACTION_BITS,
        }
    }

    /// Moves the clock to an acknowledgment.
    fn advance(&mut self, ack: &AckSample) {
        if let Some(last) = self.last_ack.replace(ack.now).filter(|_| ack.cwnd_limited) {
            self.elapsed += ack.now.since(last);
        }
    }

    /// `W_cubic` at `elapsed + ahead`, in bytes: C (t - K)^3 + `W_max` (RFC 9438 §4.2).
    fn curve(&self, ahead: Duration, mss: Mss) -> u32 {
        let t = (self.elapsed + ahead).as_micros();
        let distance = t.abs_diff(self.k).min(FARTHEST);
        let segments = C.0 * distance * distance * distance;
        let bytes = segments * u128::from(mss.bytes()) / (C.1 * CUBIC_MICROS);
        let bytes = (bytes * u128::from(self.scale)) >> Window::FRACTION_BITS;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if t < self.k {
            self.plateau.saturating_sub(bytes)
        } else {
            self.plateau.saturating_add(bytes)
        }
    }

    /// Moves `W_est` by an acknowledgment, of which `product` is bytes times segment size, and
    /// returns it in bytes (RFC 9438 §4.3). Back at the window of the last congestion it grows as
    /// Reno does. `part` of all this is in 1/65,536.
    fn reno(&mut self, product: u128, part: u32, cwnd: u32, prior: u32) -> u32 {
        let recovered = self.w_est >> Window::FRACTION_BITS >= u128::from(prior);
        let (num, den) = if recovered { (1, 1) } else { ALPHA };
        self.w_est += num * product * u128::from(part) / (den * u128::from(cwnd));
        u32::try_from(self.w_est >> Window::FRACTION_BITS).unwrap_or(u32::MAX)
    }
}

/// K = cbrt((`W_max` - `cwnd_epoch`) / C), in microseconds (RFC 9438 §4.2), for a part of C.
fn time_to_plateau(below: u32, scale: u32, mss: Mss) -> u128 {
    let mss = u128::from(mss.bytes().max(1));
    let cube = u128::from(below) * C.1 * CUBIC_MICROS / (C.0 * mss);
    cube_root((cube << Window::FRACTION_BITS) / u128::from(scale.max(1)))
}

/// The largest integer whose cube is at most `n`, bit by bit from above; for n below 2^123.
fn cube_root(n: u128) -> u128 {
    (0..41).rev().fold(0, |root, bit| {
        let candidate = root | 1 << bit;
        if candidate * candidate * candidate <= n { candidate } else { root }
    })
}

impl Cubic {
    /// `beta_cubic` = 0.7 after a loss (RFC 9438 §4.6), 0.85 after a mark (RFC 8511 §3.1).
    pub const DECREASE: Decrease = Decrease { loss: 70, ecn: 85, floor: 2 };

    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with("cubic", |_, _| Haste::WHOLE, config)
    }

    /// A variant of another name, whose paths take what `haste` says.
    #[must_use]
    pub fn with(
        name: &'static str,
        haste: fn(&AckSample, &[FlowView]) -> Haste,
        config: Config,
    ) -> Self {
        let (window, plateau) = (Window::new(config), Plateau::default());
        Self { name, haste, window, plateau, epoch: None, before: None }
    }

    /// The plateau for a window that met congestion. Where it fell short of the last one, others
    /// want room: fast convergence gives way further, by (1 + beta)/2 (RFC 9438 §4.7).
    fn plateau_after(&self, cwnd: u32, signal: Signal) -> Plateau {
        let w_max = match signal {
            Signal::Timeout => 0,
            Signal::Loss | Signal::Ecn if cwnd < self.plateau.w_max => scale(cwnd, 85, 100),
            Signal::Loss | Signal::Ecn => cwnd,
        };
        Plateau { w_max, prior: cwnd }
    }

    /// Growth for an acknowledgment in congestion avoidance (RFC 9438 §4.3 to §4.5).
    fn avoid(&mut self, ack: &AckSample, haste: Haste) {
        let (cwnd, mss) = (self.window.cwnd(), self.window.mss());
        let Plateau { w_max, prior } = self.plateau;
        self.epoch = self.epoch.filter(|epoch| !haste.has_left(epoch));
        let begin = || Epoch::begin(cwnd, w_max, haste.curve, mss);
        let epoch = self.epoch.get_or_insert_with(begin);
        epoch.advance(ack);
        if !ack.cwnd_limited {
            return;
        }
        let acked = ack.acked.min(cwnd);
        let w_est = epoch.reno(product(&self.window, ack), haste.reno, cwnd, prior);
        if epoch.curve(Duration::ZERO, mss) < w_est {
            self.window.grow(w_est.saturating_sub(cwnd));
            return;
        }
        let target = epoch.curve(ack.srtt, mss).clamp(cwnd, scale(cwnd, 3, 2));
        let grown = u128::from(target - cwnd) * u128::from(acked);
        let parts = (grown << Window::FRACTION_BITS) / u128::from(cwnd);
        self.window.grow_fixed(u64::try_from(parts).unwrap_or(u64::MAX));
    }
}

impl Controller for Cubic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn on_ack(&mut self, ack: &AckSample, flows: &[FlowView]) {
        match self.window.slow_start(ack) {
            Phase::SlowStart => self.epoch = None,
            Phase::Avoidance => self.avoid(ack, (self.haste)(ack, flows)),
        }
    }

    fn on_signal(&mut self, _: Instant, signal: Signal, in_flight: u32, _: &[FlowView]) {
        let cwnd = self.window.cwnd();
        match self.window.reduce(signal, in_flight, Self::DECREASE) {
            Reduced::Anew => {
                self.before = Some((self.plateau, self.epoch));
                self.plateau = self.plateau_after(cwnd, signal);
                self.epoch = None;
            }
            Reduced::Again => {}
        }
    }

    fn on_spurious(&mut self) {
        self.window.undo();
        if let Some((plateau, epoch)) = self.before.take() {
            self.plateau = plateau;
            self.epoch = epoch;
        }
    }

    /// Where the window is small enough to stay, the curve goes on from where it was: the idle
    /// time does not count. Otherwise slow start follows, and a new epoch.
    fn on_idle(&mut self) {
        self.window.restart();
        self.before = None;
        if let Some(epoch) = &mut self.epoch {
            epoch.last_ack = None;
        }
    }

    fn on_lossy_handshake(&mut self) {
        self.window.begin_with_one();
    }

    fn set_mss(&mut self, mss: Mss) {
        self.window.set_mss(mss);
        self.epoch = None;
        self.before = None;
    }

    fn cwnd(&self) -> u32 {
        self.window.cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.window.ssthresh()
    }

    /// The halved window is the new plateau: the old curve would lead straight back.
    fn penalise(&mut self) {
        self.window.halve();
        self.plateau = Plateau { w_max: 0, prior: self.window.cwnd() };
        self.epoch = None;
        self.before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;

    const MSS: u32 = 1000;
    const CONFIG: Config = Config { mss: Mss(1000), initial_window: 10_000 };

    fn ack(now: Instant, rtt_ms: u64) -> AckSample {
        AckSample { now, ..testing::ack(MSS, rtt_ms) }
    }

    /// A controller whose window of `segments` has just met a loss.
    fn after_loss(segments: u32) -> Cubic {
        let mut cubic = Cubic::new(Config { initial_window: segments * MSS, ..CONFIG });
        cubic.on_signal(Instant::ZERO, Signal::Loss, segments * MSS, &[]);
        cubic
    }

    /// Acknowledges evenly for `ms` milliseconds from `from`, a window a round trip.
    fn run(cubic: &mut Cubic, from: Instant, ms: u64, rtt_ms: u64) -> Instant {
        let mut now = from;
        while now.since(from) < Duration::from_millis(ms) {
            cubic.on_ack(&ack(now, rtt_ms), &[]);
            let gap = rtt_ms * 1_000_000 * u64::from(MSS) / u64::from(cubic.cwnd());
            now += Duration::from_nanos(gap);
        }
        now
    }

    #[test]
    fn the_window_follows_the_curve_of_the_rfc() {
        // W_max = 1000 segments: K is the cube root of 1000 * 0.3 / 0.4 = 750, that is 9.0856 s.
        let (w_max, k_ms) = (1000i128, 9086i128);
        let mut cubic = after_loss(1000);
        assert_eq!(cubic.cwnd(), 700 * MSS);
        let mut now = Instant::ZERO;
        for second in 1..=20i128 {
            now = run(&mut cubic, now, 1000, 100);
            let from_k = second * 1000 - k_ms;
            let expected = w_max * 1000 + from_k * from_k * from_k * 4 / 10_000_000;
            let got = i128::from(cubic.cwnd());
            assert!((got - expected).abs() * 100 <= 3 * expected, "{second} s: {got}, {expected}");
        }
    }

    #[test]
    fn on_a_short_path_it_is_no_slower_than_reno() {
        // From 7 segments at 10 ms, alpha = 9/17 a round trip to 10 segments: 6 round trips; then
        // one segment a round trip. The curve alone would stand at 7.4 after 200 ms.
        let mut cubic = after_loss(10);
        run(&mut cubic, Instant::ZERO, 200, 10);
        let segments = cubic.cwnd() / MSS;
        assert!((20..=25).contains(&segments), "{segments}");
    }

    #[test]
    fn a_second_loss_below_the_plateau_makes_room() {
        let mut cubic = after_loss(1000);
        cubic.on_signal(Instant::ZERO, Signal::Loss, 700 * MSS, &[]);
        assert_eq!(cubic.cwnd(), 490 * MSS);
        assert_eq!(cubic.plateau.w_max, 595 * MSS, "700 * (1 + 0.7) / 2");
    }

    #[test]
    fn a_spurious_loss_leaves_no_trace() {
        let (mut hit, mut spared) = (after_loss(1000), after_loss(1000));
        let now = run(&mut spared, Instant::ZERO, 5000, 100);
        run(&mut hit, Instant::ZERO, 5000, 100);
        hit.on_signal(now, Signal::Timeout, 900 * MSS, &[]);
        hit.on_spurious();
        for cubic in [&mut hit, &mut spared] {
            run(cubic, now, 8000, 100);
        }
        assert_eq!((hit.cwnd(), hit.ssthresh()), (spared.cwnd(), spared.ssthresh()));
    }

    #[test]
    fn time_that_the_window_does_not_limit_does_not_move_the_curve() {
        let (mut paused, mut steady) = (after_loss(1000), after_loss(1000));
        let mut now = run(&mut paused, Instant::ZERO, 5000, 100);
        let then = run(&mut steady, Instant::ZERO, 5000, 100);
        for _ in 0..600 {
            now += Duration::from_millis(100);
            paused.on_ack(&AckSample { cwnd_limited: false, ..ack(now, 100) }, &[]);
        }
        run(&mut paused, now, 3000, 100);
        run(&mut steady, then, 3000, 100);
        assert!(paused.cwnd().abs_diff(steady.cwnd()) <= MSS);
    }

    #[test]
    fn idle_time_does_not_move_the_curve() {
        let mut cubic = after_loss(10);
        let now = run(&mut cubic, Instant::ZERO, 300, 100);
        let cwnd = cubic.cwnd();
        cubic.on_idle();
        assert_eq!(cubic.cwnd(), cwnd, "already below the initial window");
        let late = now + Duration::from_secs(3600);
        cubic.on_ack(&ack(late, 100), &[]);
        assert!(cubic.cwnd() - cwnd <= MSS, "an hour of growth in one acknowledgment");
    }

    #[test]
    fn after_a_timeout_the_plateau_is_where_slow_start_ends() {
        let mut cubic = after_loss(1000);
        cubic.on_signal(Instant::ZERO, Signal::Timeout, 700 * MSS, &[]);
        assert_eq!((cubic.cwnd(), cubic.ssthresh()), (MSS, 490 * MSS));
        let now = run(&mut cubic, Instant::ZERO, 2000, 100);
        let epoch = cubic.epoch.expect("slow start takes nine round trips");
        assert_eq!((epoch.plateau, epoch.k), (490 * MSS, 0));
        run(&mut cubic, now, 1000, 100);
        assert!(cubic.cwnd() > 490 * MSS);
    }

    proptest! {
        #[test]
        fn the_cube_root_is_the_largest_that_fits(n in 0u128..1 << 123) {
            let root = cube_root(n);
            prop_assert!(root * root * root <= n);
            prop_assert!((root + 1) * (root + 1) * (root + 1) > n);
        }

        #[test]
        fn no_time_or_size_overflows(
            steps in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 1..20),
            initial in any::<u32>(), mss in 1u16..,
        ) {
            let mut cubic = Cubic::new(Config { mss: Mss(mss), initial_window: initial });
            for (acked, now, rtt) in steps {
                cubic.on_signal(Instant::ZERO, Signal::Loss, acked, &[]);
                for _ in 0..3 {
                    let before = cubic.cwnd();
                    let srtt = Duration::from_nanos(rtt);
                    let now = Instant::from_nanos(now);
                    cubic.on_ack(&AckSample { acked, now, srtt, ..ack(now, 1) }, &[]);
                    prop_assert!(cubic.cwnd() >= before);
                }
            }
        }
    }
}
