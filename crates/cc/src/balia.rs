//! BALIA: the balanced linked adaptation (Peng et al., IEEE/ACM `ToN` 2016;
//! draft-walid-mptcp-congestion-control-04).
//!
//! **Owns** increase and decrease, both by a = max x / `x_r`, how far this path's rate x = w/rtt is
//! behind the fastest one's: between LIA (friendly) and OLIA (responsive) by design. **Invariants**:
//! with one measured path it is [`NewReno`](crate::NewReno); it never grows faster than that.
//! **Leaves out** slow start ([`Window`]).

use manypath_base::PathId;

use crate::coupling::{Rates, product};
use crate::{AckSample, Config, Decrease, FlowView, Window, WindowBased};

/// Balanced linked adaptation for one of the paths.
#[derive(Clone, Debug)]
pub struct Balia {
    window: Window,
    /// Which path this is, known from the first acknowledgment.
    path: Option<PathId>,
}

impl Balia {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { window: Window::new(config), path: None }
    }
}

impl WindowBased for Balia {
    const NAME: &'static str = "balia";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn observe(&mut self, ack: &AckSample) {
        self.path = Some(ack.path);
    }

    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]) {
        self.window.grow_fixed(increase(&self.window, ack, flows));
    }

    /// All but w/2 * min(a, 1.5). A mark takes two fifths of what a loss takes, as it does of a TCP
    /// (RFC 8511 §3.1).
    fn keep(&self, flows: &[FlowView]) -> Decrease {
        let rates = self.path.and_then(|path| Rates::seen_from(path, flows));
        let lost = rates.map_or(50, |r| (50 * r.max / r.own).min(75));
        let lost = u32::try_from(lost).expect("at most 75");
        Decrease { loss: 100 - lost, ecn: 100 - lost * 2 / 5, floor: 2 }
    }
}

/// x/(rtt * X^2) * (1+a)/2 * (4+a)/5 a segment. With `own`, `sum` and `max` as in [`Rates`] and
/// a = max/own this is (own + max)/sum * (4 own + max)/sum / (10 w); in 1/65,536 byte. The two
/// factors are at most 2 and 5, so that with their 32 binary places the product stays below 2^116.
fn increase(window: &Window, ack: &AckSample, flows: &[FlowView]) -> u64 {
    let factors = Rates::seen_from(ack.path, flows)
        .map_or(10 << 64, |r| r.of_sum(r.own + r.max) * r.of_sum(4 * r.own + r.max));
    let parts = product(window, ack) * factors / (10 * u128::from(window.cwnd()));
    u64::try_from(parts >> (64 - Window::FRACTION_BITS)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, any_rows, avoiding, flow, flows_of, per_rtt, ratio};
    use crate::{Controller, Signal};
    use alloc::vec::Vec;
    use manypath_base::Instant;
    use proptest::prelude::*;

    proptest! {
        /// The draft's formula with x as a rational: all round-trip times divide one number.
        #[test]
        fn the_increase_is_the_formula_in_rationals(
            rows in any_rows(), acked in 1u32..100_000,
        ) {
            let window = avoiding(rows[0].0);
            let got = u128::from(increase(&window, &ack(acked, 100), &flows_of(&rows)));
            let rates: Vec<_> = rows.iter().map(|&(w, rtt)| u128::from(w) * per_rtt(rtt)).collect();
            let (own, sum) = (rates[0], rates.iter().sum::<u128>());
            let max = rates.iter().copied().fold(0, u128::max);
            let product = product(&window, &ack(acked, 100));
            // product/w * ((own + max)/sum) * ((4 own + max)/sum) / 10, in steps that fit.
            let step = (product << 48) / u128::from(rows[0].0) / 10;
            let exact = ratio(ratio(step, own + max, sum), 4 * own + max, sum) >> 32;
            prop_assert!(got.abs_diff(exact) <= 2 + exact / 1000, "{got} for {exact}");
        }

        #[test]
        fn no_size_overflows_and_no_path_outgrows_a_tcp(
            rows in prop::collection::vec((1u32.., any::<u64>()), 0..20),
            initial in 1u32.., acked in any::<u32>(),
        ) {
            let flows: Vec<_> = (0..).zip(&rows).map(|(i, &(w, rtt))| flow(i, w, rtt)).collect();
            let mut balia = Balia { window: avoiding(initial), path: Some(PathId(0)) };
            let before = balia.cwnd();
            balia.avoid(&ack(acked, 100), &flows);
            prop_assert!(balia.cwnd() - before <= 1000);
            balia.on_signal(Instant::ZERO, Signal::Loss, balia.cwnd(), &flows);
            prop_assert!(balia.cwnd() >= (before / 5).max(1000));
        }
    }

    #[test]
    fn the_slower_path_falls_further() {
        for (name, rows, left) in [
            ("alone: a Reno", [(40_000, 1000)].as_slice(), 20_000),
            ("the fastest: a Reno", &[(40_000, 1000), (40_000, 5000)], 20_000),
            ("a = 1.25", &[(40_000, 1000), (50_000, 1000)], 15_200),
            ("a = 5, counted as 1.5", &[(40_000, 5000), (40_000, 1000)], 10_000),
        ] {
            let mut balia = Balia { window: avoiding(40_000), path: Some(PathId(0)) };
            balia.on_signal(Instant::ZERO, Signal::Loss, 40_000, &flows_of(rows));
            assert_eq!(balia.cwnd(), left, "{name}");
            balia.on_spurious();
            assert_eq!(balia.cwnd(), 40_000, "{name}: undone");
        }
    }
}
