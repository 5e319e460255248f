//! COUPLED: all paths as one window (Kelly and Voice 2005; Han et al. 2006; as a baseline in
//! Wischik et al., NSDI 2011 §2.2).
//!
//! **Owns** growth of 1/`w_total` for each acknowledged segment and a decrease by half of `w_total`,
//! on whichever path. In equilibrium only the paths of least loss are used: all of the resource
//! pooling, and no probing. **Leaves out** what practice needs: round-trip times do not count, and
//! a path that lost its window hardly wins it back. That is what it is compared for.

use crate::coupling::{measured, product};
use crate::{AckSample, Config, Decrease, FlowView, Window, WindowBased};

/// One of the paths of a single window.
#[derive(Clone, Debug)]
pub struct Coupled {
    window: Window,
}

impl Coupled {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { window: Window::new(config) }
    }

    /// `w_total`: the windows of all paths, this one counted as it is now.
    fn total(&self, flows: &[FlowView]) -> u64 {
        let all: u64 = measured(flows).map(|f| u64::from(f.cwnd)).sum();
        all.max(self.window.cwnd().into())
    }
}

impl WindowBased for Coupled {
    const NAME: &'static str = "coupled";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]) {
        let parts = product(&self.window, ack) << Window::FRACTION_BITS;
        let parts = parts / u128::from(self.total(flows));
        self.window.grow_fixed(u64::try_from(parts).unwrap_or(u64::MAX));
    }

    /// All but `w_total`/2, at least one segment where there are other paths. A mark takes two
    /// fifths of what a loss takes, as it does of a TCP (RFC 8511 §3.1).
    fn keep(&self, flows: &[FlowView]) -> Decrease {
        let total = self.total(flows);
        let lost = (50 * total / u64::from(self.window.cwnd())).min(100);
        let lost = u32::try_from(lost).expect("at most 100");
        let floor = if total > self.window.cwnd().into() { 1 } else { 2 };
        Decrease { loss: 100 - lost, ecn: 100 - lost * 2 / 5, floor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, any_rows, avoiding, flows_of};
    use crate::{Controller, Signal};
    use alloc::vec::Vec;
    use manypath_base::Instant;
    use proptest::prelude::*;

    fn coupled(cwnd: u32) -> Coupled {
        Coupled { window: avoiding(cwnd) }
    }

    proptest! {
        #[test]
        fn a_whole_window_acknowledged_is_worth_its_share_of_a_segment(rows in any_rows()) {
            let flows = flows_of(&rows);
            let mut coupled = coupled(rows[0].0);
            let total: u64 = rows.iter().map(|&(w, _)| u64::from(w)).sum();
            let exact = 1000 * u64::from(rows[0].0) / total;
            coupled.avoid(&ack(rows[0].0, 100), &flows);
            prop_assert_eq!(u64::from(coupled.cwnd() - rows[0].0), exact);
        }
    }

    #[test]
    fn a_loss_takes_half_of_all_windows_from_one() {
        for (name, own, others, left) in [
            ("alone: a Reno", 40_000, &[] as &[u32], 20_000),
            ("equal: nothing is left but a segment", 40_000, &[40_000], 1_000),
            ("a small sibling", 40_000, &[8_000], 16_000),
            ("a large sibling", 8_000, &[40_000], 1_000),
        ] {
            let rows: Vec<_> =
                core::iter::once(own).chain(others.iter().copied()).map(|w| (w, 1000)).collect();
            let mut coupled = coupled(own);
            coupled.on_signal(Instant::ZERO, Signal::Loss, own, &flows_of(&rows));
            assert_eq!(coupled.cwnd(), left, "{name}");
            coupled.on_spurious();
            assert_eq!(coupled.cwnd(), own, "{name}: undone");
        }
    }
}
