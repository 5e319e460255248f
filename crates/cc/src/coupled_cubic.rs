//! Coupled CUBIC: LIA's promise kept at a high bandwidth-delay product.
//!
//! LIA, OLIA and BALIA grow by at most a segment a round trip, so that after a loss on a path of
//! 3,000 packets and 300 ms they need minutes, while a single CUBIC needs seconds: coupled flows
//! get less than the one TCP that they are entitled to, and shift load slowly. Uncoupled CUBIC is
//! fast and takes a share for each path. This controller is CUBIC with C and the Reno-friendly
//! bound scaled down, so that all paths together take what one CUBIC would take on the best.
//!
//! **Design.** Of a CUBIC the rate on path r, at loss p, is x^_r = k (C / (p^3 rtt))^(1/4)
//! (RFC 9438 §5.1). With `g_r` C in place of C it is `x_r` = `g_r`^(1/4) x^_r. Three things are
//! wanted, as of LIA (RFC 6356 §2): that all together take what one takes on the best path,
//! X = max x^; that no path takes more than a CUBIC there, `g_r` <= 1; and that load leaves the
//! lossier path, but not all of it, since a path not probed is not known. With `s_r` = `x_r` / X
//! the share of a path, take
//!
//! ```text
//!   g_r = (s_r * max s)^2
//! ```
//!
//! Then `x_r`^4 = `s_r`^2 (max s)^2 x^_r^4, that is `x_r` X = (max s) x^_r^2: rates go with the square
//! of what a CUBIC would get there, which is just how LIA splits by what a Reno would get
//! (`x_r` ~ 1/p ~ x^_r^2). For the path of the largest share it reads X^2 = x^_r^2: the first
//! demand; and the second holds because shares are at most 1. n equal paths have 1/n^4 of C each,
//! where LIA has 1/n^2 of a segment: the fourth root and the square root both make it 1/n of a rate.
//!
//! The Reno-friendly bound grows by LIA's increase in place of Reno's, since there rates go as a
//! Reno's do. A lone path is plain [`Cubic`].
//!
//! **Owns** the two factors. **Leaves out** the curve, decrease and undo, which are [`Cubic`]'s.
//! An epoch keeps its scale unless that changes fourfold, as when a sibling dies: a curve whose
//! scale moved with every acknowledgment would jump.

use crate::coupling::Rates;
use crate::cubic::Haste;
use crate::lia::Coupling;
use crate::{AckSample, Config, Cubic, FlowView, Window};

/// A coupled CUBIC for one of the paths, in slow start.
#[must_use]
pub fn coupled_cubic(config: Config) -> Cubic {
    Cubic::with("coupled-cubic", haste, config)
}

/// (own/sum * max/sum)^2 of the curve, LIA's part of Reno; all of both while the path has no
/// round-trip time.
fn haste(ack: &AckSample, flows: &[FlowView]) -> Haste {
    let whole = Haste::WHOLE;
    let Some(rates) = Rates::seen_from(ack.path, flows) else { return whole };
    let shares = (rates.of_sum(rates.own) * rates.of_sum(rates.max)) >> 32;
    let curve = (shares * shares) >> (64 - Window::FRACTION_BITS);
    let reno = Coupling::of(flows).map(|c| c.part(ack.path, flows));
    let at_most_all = |part: u128| u32::try_from(part).unwrap_or(u32::MAX).min(whole.curve);
    Haste { curve: at_most_all(curve).max(1), reno: at_most_all(reno.unwrap_or(u128::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, any_rows, flow, flows_of, per_rtt};
    use crate::{Controller, Signal};
    use alloc::vec::Vec;
    use core::time::Duration;
    use manypath_base::{Instant, Mss};
    use proptest::prelude::*;

    const ONE: u32 = 1 << 16;

    #[test]
    fn factors_worked_out_by_hand() {
        for (name, rows, curve, reno) in [
            ("alone", [(40_000, 1000)].as_slice(), ONE, ONE),
            ("two equal: 1/2^4 and 1/2^2", &[(40_000, 1000); 2], ONE / 16, ONE / 4),
            ("four equal: 1/4^4 and 1/4^2", &[(40_000, 1000); 4], ONE / 256, ONE / 16),
            // s = 1/4 and 3/4: (3/16)^2; LIA: 1 * 3 / 4^2.
            (
                "a third of the other",
                &[(10_000, 1000), (30_000, 1000)],
                ONE * 9 / 256,
                ONE * 3 / 16,
            ),
            // Rates 1 and 4: s = 1/5, (1 * 4 / 25)^2; LIA: w_r max(w/rtt^2)/(SUM w/rtt)^2
            // = 1 * 16 / 25, seen with round-trip times of 1 and 1/4.
            ("four times as slow", &[(40_000, 4000), (40_000, 1000)], 1677, ONE * 16 / 25),
        ] {
            let got = haste(&ack(1000, 100), &flows_of(rows));
            assert!(got.curve.abs_diff(curve) <= 1, "{name}: {got:?} for {curve}");
            assert!(got.reno.abs_diff(reno) <= 1 + reno / 1000, "{name}: {got:?} for {reno}");
        }
    }

    proptest! {
        #[test]
        fn the_curve_is_the_formula_in_rationals(rows in any_rows()) {
            let rates: Vec<_> = rows.iter().map(|&(w, rtt)| u128::from(w) * per_rtt(rtt)).collect();
            let (sum, max) = rates.iter().fold((0, 0), |(s, m), &x| (s + x, x.max(m)));
            let shares = ((rates[0] << 40) / sum * max) / sum;
            let exact = (shares * shares) >> 64;
            let got = u128::from(haste(&ack(1000, 100), &flows_of(&rows)).curve);
            prop_assert!(got.abs_diff(exact.max(1)) <= 1 + exact / 1000, "{got} for {exact}");
        }

        #[test]
        fn no_size_overflows(
            rows in prop::collection::vec((1u32.., any::<u64>()), 0..10), mss in 1u16..,
            steps in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 1..10),
        ) {
            let flows: Vec<_> = (0..).zip(rows).map(|(i, (w, rtt))| flow(i, w, rtt)).collect();
            let mut cubic = coupled_cubic(Config { mss: Mss(mss), initial_window: 1 << 20 });
            for (acked, now, rtt) in steps {
                cubic.on_signal(Instant::ZERO, Signal::Loss, acked, &flows);
                let (now, srtt) = (Instant::from_nanos(now), Duration::from_nanos(rtt));
                for _ in 0..3 {
                    let before = cubic.cwnd();
                    cubic.on_ack(&AckSample { now, srtt, ..ack(acked, 1) }, &flows);
                    prop_assert!(cubic.cwnd() >= before);
                }
            }
        }
    }

    /// The window after `ms` milliseconds of 100 ms round trips, from a loss at 1,000 segments.
    fn after(cubic: &mut Cubic, from: Instant, ms: u64, others: &[FlowView]) -> Instant {
        let mut now = from;
        while now.since(from) < Duration::from_millis(ms) {
            let own = flow(0, cubic.cwnd(), 100_000);
            let flows: Vec<_> = core::iter::once(own).chain(others.iter().copied()).collect();
            cubic.on_ack(&AckSample { now, ..ack(1000, 100) }, &flows);
            now += Duration::from_nanos(100_000_000_000 / u64::from(cubic.cwnd()));
        }
        now
    }

    #[test]
    fn a_sibling_that_leaves_sets_the_curve_free() {
        let config = Config { mss: Mss(1000), initial_window: 1_000_000 };
        let mut cubic = coupled_cubic(config);
        cubic.on_signal(Instant::ZERO, Signal::Loss, 1_000_000, &[]);
        // K is cbrt(16) = 2.52 times that of a lone CUBIC, 9.09 s: after 5 s,
        // 1000 - 0.4/16 * (22.9 - 5)^3 = 857 segments.
        let now = after(&mut cubic, Instant::ZERO, 5_000, &[flow(1, 700_000, 100_000)]);
        assert!((830_000..880_000).contains(&cubic.cwnd()), "{}", cubic.cwnd());
        // Alone it has K = cbrt(143 / 0.4) = 7.1 s from there on.
        after(&mut cubic, now, 7_100, &[]);
        assert!((985_000..1_010_000).contains(&cubic.cwnd()), "{}", cubic.cwnd());
    }

    #[test]
    fn decrease_and_undo_are_those_of_cubic() {
        let mut cubic = coupled_cubic(Config { mss: Mss(1000), initial_window: 100_000 });
        cubic.on_signal(Instant::ZERO, Signal::Loss, 100_000, &flows_of(&[(100_000, 1000); 2]));
        assert_eq!(cubic.cwnd(), 70_000);
        cubic.on_spurious();
        assert_eq!((cubic.cwnd(), cubic.ssthresh()), (100_000, u32::MAX));
    }
}
