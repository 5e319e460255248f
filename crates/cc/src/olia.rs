//! OLIA: the opportunistic linked increases algorithm (Khalili et al., `CoNEXT` 2012;
//! draft-khalili-mptcp-congestion-control-05).
//!
//! **Owns** the increase: a term that pools resources as far as theory allows, and one that moves
//! window from paths that have the most of it to the best ones, so that load follows congestion
//! without flapping. **Invariants**: with one measured path it is [`NewReno`](crate::NewReno); the
//! second terms of all paths sum to nothing. **Leaves out** slow start ([`Window`]).

use crate::coupling::{Rates, measured, micros, product};
use crate::{AckSample, Config, Decrease, FlowView, Window, WindowBased};

/// Opportunistic linked increases for one of the paths.
#[derive(Clone, Debug)]
pub struct Olia {
    window: Window,
}

impl Olia {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { window: Window::new(config) }
    }
}

impl WindowBased for Olia {
    const NAME: &'static str = "olia";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]) {
        let pooled = pooled(&self.window, ack, flows);
        match shift(ack, flows) {
            Shift::None => self.window.grow_fixed(pooled),
            Shift::Gain(parts) => {
                self.window.grow_fixed(pooled.saturating_add(share(&self.window, ack, parts)));
            }
            Shift::Yield(parts) => {
                let share = share(&self.window, ack, parts);
                self.window.grow_fixed(pooled.saturating_sub(share));
                self.window.shrink_fixed(share.saturating_sub(pooled));
            }
        }
    }

    /// Half; with several paths down to one segment and not two, to keep off congested paths (§2
    /// of the draft).
    fn keep(&self, flows: &[FlowView]) -> Decrease {
        let floor = if measured(flows).nth(1).is_some() { 1 } else { 2 };
        Decrease { floor, ..Decrease::HALF }
    }
}

/// The first term, (w/rtt^2) / (SUM w/rtt)^2 a segment: (w/S)^2 / w, in 1/65,536 byte.
fn pooled(window: &Window, ack: &AckSample, flows: &[FlowView]) -> u64 {
    let part = Rates::seen_from(ack.path, flows).map_or(1 << 32, |r| r.of_sum(r.own));
    let parts = product(window, ack) * (part * part) / u128::from(window.cwnd());
    u64::try_from(parts >> (64 - Window::FRACTION_BITS)).unwrap_or(u64::MAX)
}

/// acked * mss / (`parts` * cwnd), in 1/65,536 byte.
fn share(window: &Window, ack: &AckSample, parts: u64) -> u64 {
    let alone = product(window, ack) << Window::FRACTION_BITS;
    u64::try_from(alone / (u128::from(parts) * u128::from(window.cwnd()))).unwrap_or(u64::MAX)
}

/// The second term's alpha: one over the number given, towards this path or away from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    None,
    Gain(u64),
    Yield(u64),
}

/// A best path whose window is not among the largest gains 1/(n |B\M|), a path of the largest
/// window yields 1/(n |M|); with B the best paths and M those of the largest window, in segments.
fn shift(ack: &AckSample, flows: &[FlowView]) -> Shift {
    let segments = |f: &FlowView| f.cwnd / f.mss.bytes().max(1);
    let most = measured(flows).map(segments).max();
    let is_largest = |f: &FlowView| Some(segments(f)) == most;
    let is_best = |f: &FlowView| measured(flows).all(|other| !is_better(other, f));
    let count = |test: &dyn Fn(&FlowView) -> bool| {
        measured(flows).filter(|f| test(f)).fold(0u64, |n, _| n + 1)
    };
    let collected = |f: &FlowView| is_best(f) && !is_largest(f);
    let (n, gaining) = (count(&|_| true), count(&collected));
    let Some(me) = measured(flows).find(|f| f.path == ack.path).filter(|_| gaining > 0) else {
        return Shift::None;
    };
    if is_largest(me) {
        Shift::Yield(n * count(&is_largest))
    } else if is_best(me) {
        Shift::Gain(n * gaining)
    } else {
        Shift::None
    }
}

/// Whether l/rtt^2 of `a` is larger than that of `b`: the square of what a TCP would get there. l
/// is the larger of what was acknowledged between the last two losses and since the last.
fn is_better(a: &FlowView, b: &FlowView) -> bool {
    let run = |f: &FlowView| u128::from(f.since_loss.max(f.between_losses).min(1 << 62));
    let (rtt_a, rtt_b) = (micros(a.srtt), micros(b.srtt));
    run(a) * rtt_b * rtt_b > run(b) * rtt_a * rtt_a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, any_rows, avoiding, flow, flows_of, per_rtt, ratio};
    use crate::{Controller, Signal};
    use manypath_base::Instant;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_term_is_the_formula_in_rationals(
            rows in any_rows(), acked in 1u32..100_000,
        ) {
            let window = avoiding(rows[0].0);
            let got = u128::from(pooled(&window, &ack(acked, 100), &flows_of(&rows)));
            let rates = rows.iter().map(|&(w, rtt)| u128::from(w) * per_rtt(rtt));
            let (own, sum) = (u128::from(rows[0].0) * per_rtt(rows[0].1), rates.sum::<u128>());
            let product = product(&window, &ack(acked, 100));
            let alone = (product << 48) / u128::from(rows[0].0);
            let exact = ratio(ratio(alone, own, sum), own, sum) >> 32;
            prop_assert!(got.abs_diff(exact) <= 1 + exact / 1000, "{got} for {exact}");
        }

        #[test]
        fn no_size_overflows_and_growth_is_that_of_two_tcps_at_most(
            rows in prop::collection::vec((1u32.., any::<u64>(), any::<u64>()), 0..20),
            initial in 1u32.., acked in any::<u32>(),
        ) {
            let flows: alloc::vec::Vec<_> = (0..).zip(&rows)
                .map(|(i, &(w, rtt, l))| FlowView { since_loss: l, ..flow(i, w, rtt) }).collect();
            let mut olia = Olia { window: avoiding(initial) };
            let before = olia.cwnd();
            olia.avoid(&ack(acked, 100), &flows);
            prop_assert!(olia.cwnd() <= before.saturating_add(2000));
            prop_assert!(olia.cwnd() >= before.saturating_sub(1000).max(1000));
        }
    }

    #[test]
    fn window_moves_from_the_largest_to_the_best() {
        let row = |id, cwnd, since_loss| FlowView { since_loss, ..flow(id, cwnd, 100_000) };
        let (small, large) = (row(0, 10_000, 900), row(1, 20_000, 100));
        for (name, flows, expected) in [
            ("the best is small: it gains 1/2", [small, large].as_slice(), Shift::Gain(2)),
            ("the best is the largest", &[row(0, 20_000, 900), row(1, 10_000, 100)], Shift::None),
            (
                "we are the largest and another is best",
                &[row(0, 20_000, 1), row(1, 1000, 9)],
                Shift::Yield(2),
            ),
            (
                "two largest share the burden",
                &[row(0, 20_000, 1), row(1, 20_000, 1), row(2, 1000, 9)],
                Shift::Yield(6),
            ),
            (
                "neither best nor largest",
                &[row(0, 5_000, 1), row(1, 20_000, 1), row(2, 1000, 9)],
                Shift::None,
            ),
            ("alone", &[small], Shift::None),
            ("no row", &[], Shift::None),
        ] {
            assert_eq!(shift(&ack(1000, 100), flows), expected, "{name}");
        }
    }

    #[test]
    fn a_loss_halves_and_several_paths_go_down_to_one_segment() {
        let mut olia = Olia { window: avoiding(3_000) };
        let flows = flows_of(&[(3_000, 1000), (9_000, 1000)]);
        olia.on_signal(Instant::ZERO, Signal::Loss, 3_000, &flows);
        assert_eq!(olia.cwnd(), 1_500);
        olia.on_signal(Instant::ZERO, Signal::Loss, 1_500, &flows);
        assert_eq!(olia.cwnd(), 1_000);
        olia.on_spurious();
        assert_eq!(olia.cwnd(), 1_500);
        olia.on_signal(Instant::ZERO, Signal::Loss, 1_500, &flows[..1]);
        assert_eq!(olia.ssthresh(), 2_000, "alone: RFC 5681");
    }
}
