//! LIA: the linked increases of coupled congestion control (RFC 6356).
//!
//! **Owns** the increase in congestion avoidance: the paths of a connection together take what one
//! TCP would take on the best of them, and no path more than a TCP would. **Invariants**: with one
//! measured path it is [`NewReno`](crate::NewReno). **Leaves out** the rest, which RFC 6356 §3 takes
//! from TCP as it is: slow start and decrease.
//!
//! `cwnd` here is never inflated in recovery, so the sums need no `ssthresh` in its place
//! (RFC 6356 §3).

use manypath_base::PathId;

use crate::coupling::{measured, micros, product};
use crate::{AckSample, Config, FlowView, Window, WindowBased};

/// Coupled congestion control of RFC 6356 for one of the paths.
#[derive(Clone, Debug)]
pub struct Lia {
    window: Window,
}

impl Lia {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { window: Window::new(config) }
    }
}

/// Equation 2 of RFC 6356, and the sum of the windows that it goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coupling {
    /// `alpha` in 1/65,536. It is at least 1/n for n paths (Cauchy-Schwarz), so this is exact
    /// enough, and at most `cwnd_total`.
    alpha: u64,
    cwnd_total: u64,
}

impl Coupling {
    /// Binary places of the terms of the sum.
    const TERM_BITS: u32 = 12;

    /// `None` where no path has a round-trip time yet; those that have none are left out.
    ///
    /// Computed as equation 4 of RFC 6356 §4.2: with b the path of the largest cwnd/rtt^2,
    /// alpha = cwnd_total * cwnd_b / (SUM rtt_b * cwnd_i / rtt_i)^2. Being the largest means
    /// rtt_b/rtt_i <= sqrt(cwnd_b/cwnd_i), so a term is at most sqrt(cwnd_b * cwnd_i), below
    /// 2^32, and with its binary places below 2^44. With 2^16 paths the square stays below 2^120.
    pub(crate) fn of(flows: &[FlowView]) -> Option<Self> {
        let best = measured(flows).reduce(|a, b| if is_better(b, a) { b } else { a })?;
        let term = |f: &FlowView| {
            ((u128::from(f.cwnd) * micros(best.srtt)) << Self::TERM_BITS) / micros(f.srtt)
        };
        let sum: u128 = measured(flows).map(term).sum();
        let cwnd_total: u64 = measured(flows).map(|f| u64::from(f.cwnd)).sum();
        let numerator = u128::from(cwnd_total) * u128::from(best.cwnd);
        let alpha = (numerator << (Window::FRACTION_BITS + 2 * Self::TERM_BITS)) / (sum * sum);
        Some(Self { alpha: u64::try_from(alpha).unwrap_or(u64::MAX), cwnd_total })
    }

    /// What a path's increase is of a TCP's there, in 1/65,536: alpha * cwnd / `cwnd_total`.
    pub(crate) fn part(&self, path: PathId, flows: &[FlowView]) -> u128 {
        let own = measured(flows).find(|f| f.path == path).map_or(0, |f| f.cwnd);
        u128::from(self.alpha) * u128::from(own) / u128::from(self.cwnd_total)
    }
}

/// Whether cwnd/rtt^2 of `a` is larger than that of `b`.
fn is_better(a: &FlowView, b: &FlowView) -> bool {
    let (rtt_a, rtt_b) = (micros(a.srtt), micros(b.srtt));
    u128::from(a.cwnd) * rtt_b * rtt_b > u128::from(b.cwnd) * rtt_a * rtt_a
}

impl WindowBased for Lia {
    const NAME: &'static str = "lia";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Equation 3 of RFC 6356 §4.1.
    ///
    /// **Choice:** fractions of a byte are carried over, which takes the place of rounding an
    /// increase of 0 up to 1.
    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]) {
        let product = product(&self.window, ack);
        let alone = (product << Window::FRACTION_BITS) / u128::from(self.window.cwnd());
        let parts = match Coupling::of(flows) {
            Some(c) => alone.min(u128::from(c.alpha) * product / u128::from(c.cwnd_total)),
            None => alone,
        };
        self.window.grow_fixed(u64::try_from(parts).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, flow};
    use crate::{Controller, Signal};
    use alloc::vec::Vec;
    use manypath_base::{Instant, Mss};
    use proptest::prelude::*;

    /// Equation 2 of RFC 6356 as it stands, a fraction of two integers. All round-trip times
    /// divide `L`, so that `L / rtt` is exact.
    fn alpha_as_fraction(flows: &[(u32, u64)]) -> (u128, u128) {
        const L: u128 = 5_040_000;
        let per = |rtt: u64| L / u128::from(rtt);
        let total: u128 = flows.iter().map(|&(w, _)| u128::from(w)).sum();
        let max = flows.iter().map(|&(w, rtt)| u128::from(w) * per(rtt) * per(rtt)).max();
        let sum: u128 = flows.iter().map(|&(w, rtt)| u128::from(w) * per(rtt)).sum();
        (total * max.unwrap_or(0), sum * sum)
    }

    proptest! {
        #[test]
        fn alpha_is_the_formula_in_rationals(
            rows in prop::collection::vec((500u32..100_000_000, 0usize..8), 1..6),
        ) {
            const RTTS: [u64; 8] = [1000, 5000, 10_000, 20_000, 40_000, 90_000, 120_000, 280_000];
            let rows: Vec<_> = rows.into_iter().map(|(w, i)| (w, RTTS[i])).collect();
            let flows: Vec<_> = rows.iter().map(|&(w, rtt)| flow(0, w, rtt)).collect();
            let (num, den) = alpha_as_fraction(&rows);
            let alpha = u128::from(Coupling::of(&flows).expect("all are measured").alpha);
            let exact = (num << 16) / den;
            prop_assert!(alpha.abs_diff(exact) <= 1 + exact / 1000, "{alpha} for {exact}");
        }

        #[test]
        fn no_size_overflows_and_no_path_outgrows_a_tcp(
            rows in prop::collection::vec((1u32.., any::<u64>()), 0..20),
            initial in 1u32.., acked in any::<u32>(), mss in 1u16..,
        ) {
            let flows: Vec<_> = rows.iter().map(|&(w, rtt)| flow(0, w, rtt)).collect();
            let mut lia = Lia::new(Config { mss: Mss(mss), initial_window: initial });
            lia.on_signal(Instant::ZERO, Signal::Loss, initial, &flows);
            let before = lia.cwnd();
            lia.on_ack(&ack(acked, 100), &flows);
            prop_assert!(lia.cwnd() - before <= u32::from(mss));
        }
    }

    /// Growth in bytes over one round trip of a path with 20 segments, beside `others`.
    fn growth(others: &[FlowView]) -> u32 {
        let mut lia = Lia::new(Config { mss: Mss(1000), initial_window: 40_000 });
        lia.on_signal(Instant::ZERO, Signal::Loss, 40_000, &[]);
        for _ in 0..20 {
            let own = flow(0, lia.cwnd(), 100_000);
            let flows: Vec<_> = core::iter::once(own).chain(others.iter().copied()).collect();
            lia.on_ack(&ack(1000, 100), &flows);
        }
        lia.cwnd() - 20_000
    }

    #[test]
    fn siblings_slow_the_growth_and_unmeasured_ones_do_not() {
        for (name, others, expected) in [
            ("alone: a Reno", [].as_slice(), 960..=1000),
            ("not measured yet", &[flow(1, 20_000, 0)], 960..=1000),
            (
                "equal sibling: alpha 1/2, half of that is ours",
                &[flow(1, 20_000, 100_000)],
                240..=260,
            ),
            // alpha = 40 * (20/1^2) / (20/10 + 20/1)^2 = 1.65; ours is half of it.
            ("a faster sibling", &[flow(1, 20_000, 10_000)], 800..=840),
            // alpha/total = (2000/1) / (20 + 2000)^2 is next to nothing.
            ("a huge sibling", &[flow(1, 2_000_000, 100_000)], 5..=15),
        ] {
            let grown = growth(others);
            assert!(expected.contains(&grown), "{name}: {grown}");
        }
    }
}
