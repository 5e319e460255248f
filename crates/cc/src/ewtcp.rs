//! EWTCP: equally weighted TCP (Honda et al., PFLDNeT 2009; as a baseline in Wischik et al., NSDI
//! 2011 §2.1).
//!
//! **Owns** the weight: each of n paths grows by 1/n^2 of a segment a round trip, which makes it
//! 1/n of a TCP in rate, since the rate of increase `a` and halving is sqrt(2a/p)/rtt. The paper
//! prints 1/sqrt(n), which would make the whole take more than one TCP. **Leaves out** any look at
//! congestion: a bad path is used as much as a good one. That is what it is compared for.

use crate::coupling::{measured, product};
use crate::{AckSample, Config, FlowView, Window, WindowBased};

/// One of n paths as the n-th part of a TCP.
#[derive(Clone, Debug)]
pub struct Ewtcp {
    window: Window,
}

impl Ewtcp {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { window: Window::new(config) }
    }
}

impl WindowBased for Ewtcp {
    const NAME: &'static str = "ewtcp";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]) {
        self.window.grow_fixed(increase(&self.window, ack, flows));
    }
}

/// acked * mss / (n^2 * cwnd), in 1/65,536 byte.
fn increase(window: &Window, ack: &AckSample, flows: &[FlowView]) -> u64 {
    let n = u128::from(u16::try_from(measured(flows).count()).unwrap_or(u16::MAX)).max(1);
    let alone = product(window, ack) << Window::FRACTION_BITS;
    u64::try_from(alone / (n * n * u128::from(window.cwnd()))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, any_rows, avoiding, flows_of};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_increase_is_that_of_a_reno_over_n_squared(
            rows in any_rows(), acked in 1u32..100_000,
        ) {
            let flows = flows_of(&rows);
            let window = avoiding(rows[0].0);
            let (w, n) = (u128::from(window.cwnd()), rows.len() as u128);
            let exact = (product(&window, &ack(acked, 100)) << 16) / (w * n * n);
            let got = u128::from(increase(&window, &ack(acked, 100), &flows));
            prop_assert!(got.abs_diff(exact) <= 1, "{got} for {exact}");
        }
    }

    #[test]
    fn a_path_that_is_not_measured_yet_does_not_count() {
        let (window, ack) = (avoiding(20_000), ack(1000, 100));
        let alone = increase(&window, &ack, &flows_of(&[(20_000, 1000)]));
        assert_eq!(increase(&window, &ack, &flows_of(&[(20_000, 1000), (20_000, 0)])), alone);
        assert_eq!(increase(&window, &ack, &flows_of(&[(20_000, 1000); 2])), alone / 4);
    }
}
