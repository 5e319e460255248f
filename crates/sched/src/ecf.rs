//! ECF: earliest completion first (Lim et al., `CoNEXT` 2017).
//!
//! **Owns** two questions, asked where the fastest path is full: would what is queued be done sooner
//! by waiting for it than by using the next one; and would the next one really be that slow? Between
//! waiting and not there is hysteresis, `beta`. **Leaves out** the shared window: that is BLEST's
//! concern ([`Blest`](crate::Blest)).

use core::time::Duration;

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates, lowest_rtt, worth_waiting};

/// Lowest round-trip time first, but a slower path only where it brings the end of what is queued
/// forward.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ecf {
    waiting: bool,
}

impl Scheduler for Ecf {
    fn name(&self) -> &'static str {
        "ecf"
    }

    fn pick(&mut self, demand: &Demand, paths: &[PathView]) -> Option<PathId> {
        let slow = lowest_rtt(candidates(paths))?;
        let Some(fast) = worth_waiting(slow, paths) else { return Some(slow.id) };
        let queued = u128::from(demand.unsent);
        if !self.is_sooner(queued, fast, slow) {
            self.waiting = false;
        } else if is_too_slow(queued, fast, slow) {
            self.waiting = true;
            return None;
        }
        Some(slow.id)
    }
}

impl Ecf {
    /// Algorithm 1, line 6, with sigma the deviations: waiting for `fast` is sooner if
    ///
    /// > (1 + k/`CWND_f`) `RTT_f` < (1 + waiting * beta) (`RTT_s` + delta), delta = max(sigma)
    ///
    /// with beta = 1/4. Both sides are multiplied by 4 `CWND_f`.
    fn is_sooner(self, queued: u128, fast: &PathView, slow: &PathView) -> bool {
        let cwnd = u128::from(fast.cwnd.max(1));
        let quarters = if self.waiting { 5 } else { 4 };
        let limit = nanos(slow.srtt) + margin(fast, slow);
        4 * (cwnd + queued) * nanos(fast.srtt) < quarters * cwnd * limit
    }
}

/// Algorithm 1, line 7: (k/`CWND_s`) `RTT_s` >= 2 `RTT_f` + delta. Otherwise the slow path is done
/// before the fast one has even made room.
fn is_too_slow(queued: u128, fast: &PathView, slow: &PathView) -> bool {
    let cwnd = u128::from(slow.cwnd.max(1));
    queued * nanos(slow.srtt) >= cwnd * (2 * nanos(fast.srtt) + margin(fast, slow))
}

fn margin(fast: &PathView, slow: &PathView) -> u128 {
    nanos(fast.rtt_var.max(slow.rtt_var))
}

/// At most 2^57 nanoseconds, some years: products with queues stay within 128 bits.
fn nanos(d: Duration) -> u128 {
    d.as_nanos().min(1 << 57)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_paths, backup, dead, full, path, waits_only_for_a_faster_path};
    use proptest::prelude::*;

    fn pick(ecf: &mut Ecf, unsent: u64, paths: &[PathView]) -> Option<u32> {
        ecf.pick(&Demand { unsent, window: u64::MAX }, paths).map(|id| id.0)
    }

    #[test]
    fn waits_while_the_fast_path_is_done_sooner() {
        let (fast, slow) = (path(0, 20), path(1, 80));
        let shaky = PathView { rtt_var: Duration::from_millis(20), ..slow };
        let unused = PathView { in_flight: 0, ..full(fast) };
        for (name, paths, unsent, expected) in [
            ("the fast path has room", [fast, slow], 20_000, Some(0)),
            // (1 + k/10,000) * 20 < 80 for k < 30,000.
            ("29,999 are sooner by waiting", [full(fast), slow], 29_999, None),
            ("30,000 are not", [full(fast), slow], 30_000, Some(1)),
            // k/10,000 * 80 >= 40 for k >= 5,000.
            ("5,000 take two round trips", [full(fast), slow], 5_000, None),
            ("4,999 are done before", [full(fast), slow], 4_999, Some(1)),
            // delta = 20: k < 40,000 and k >= 7,500.
            ("deviation: 39,999", [full(fast), shaky], 39_999, None),
            ("deviation: 40,000", [full(fast), shaky], 40_000, Some(1)),
            ("deviation: 7,499", [full(fast), shaky], 7_499, Some(1)),
            ("deviation: 7,500", [full(fast), shaky], 7_500, None),
            ("nothing in flight to wait for", [unused, slow], 20_000, Some(1)),
            ("the fast path is dead", [dead(fast), slow], 20_000, Some(1)),
            ("the fast one is a backup", [full(backup(fast)), slow], 20_000, Some(1)),
            ("both are full", [full(fast), full(slow)], 20_000, None),
        ] {
            assert_eq!(pick(&mut Ecf::default(), unsent, &paths), expected, "{name}");
        }
    }

    #[test]
    fn once_it_waits_it_goes_on_to_a_quarter_more() {
        // While waiting (1 + k/10,000) * 20 < 1.25 * 80: k < 40,000.
        let paths = [full(path(0, 20)), path(1, 80)];
        let mut ecf = Ecf::default();
        assert_eq!(pick(&mut ecf, 30_000, &paths), Some(1));
        assert_eq!(pick(&mut ecf, 29_999, &paths), None);
        assert_eq!(pick(&mut ecf, 39_999, &paths), None);
        assert_eq!(pick(&mut ecf, 40_000, &paths), Some(1));
        assert_eq!(pick(&mut ecf, 39_999, &paths), Some(1), "it waits no more");
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_waits_only_for_a_faster_path_in_use(
            paths in any_paths(), unsent in prop_oneof![0u64..100_000, any::<u64>()],
        ) {
            let demand = Demand { unsent, window: u64::MAX };
            waits_only_for_a_faster_path(&mut Ecf::default(), &demand, &paths)?;
        }
    }
}
