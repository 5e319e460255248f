//! STTF: shortest transfer time first (Hurtig et al., IEEE/ACM `ToN` 2019).
//!
//! **Owns** the prediction of when what is queued would be delivered by each path. **Choice:** the
//! paper predicts for each segment of the queue and may send later ones first; a connection here
//! sends in order, so the question is whether the whole queue would be delivered by the fast path
//! before one segment by a slow one. **Leaves out** hysteresis ([`Ecf`](crate::Ecf) has it).

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates};

/// The path of the earliest predicted delivery; if that is full, none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sttf;

impl Scheduler for Sttf {
    fn name(&self) -> &'static str {
        "sttf"
    }

    /// Waits only for a path that has bytes in flight: their acknowledgment ends the wait.
    fn pick(&mut self, demand: &Demand, paths: &[PathView]) -> Option<PathId> {
        let usable = candidates(paths).filter(|p| p.room > 0 || p.in_flight > 0);
        let best = usable.min_by_key(|p| (delivery(demand, p), p.room == 0))?;
        Some(best.id).filter(|_| best.room > 0)
    }
}

/// Nanoseconds, doubled, until delivery: half a round trip for a segment that can leave now; where
/// the path is full, as many more round trips as it has windows of queue to send.
fn delivery(demand: &Demand, path: &PathView) -> u128 {
    let rtt = path.srtt.as_nanos().min(1 << 57);
    if path.room > 0 {
        return rtt;
    }
    let queued = u128::from(demand.unsent.max(path.mss.bytes().into()));
    rtt + 2 * rtt * queued / u128::from(path.cwnd.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_may_carry, any_paths, backup, dead, full, may_carry, path};
    use proptest::prelude::*;

    #[test]
    fn the_earliest_delivery_of_what_is_queued() {
        let (fast, slow) = (path(0, 20), path(1, 80));
        let unused = PathView { in_flight: 0, ..full(fast) };
        for (name, paths, unsent, expected) in [
            ("both have room", [slow, fast], 1_000_000, Some(0)),
            // 10 ms + 20 ms * k/10,000 against 40 ms: the fast one for k <= 15,000.
            ("14,999 by the fast path", [full(fast), slow], 14_999, None),
            ("15,001 by both", [full(fast), slow], 15_001, Some(1)),
            ("as late: no need to wait", [full(fast), slow], 15_000, Some(1)),
            ("nothing in flight to wait for", [unused, slow], 1_000, Some(1)),
            ("the fast path is dead", [dead(fast), slow], 1_000, Some(1)),
            ("a backup waits", [full(slow), backup(fast)], 1_000, None),
            ("both are full", [full(fast), full(slow)], 1_000_000, None),
        ] {
            let demand = Demand { unsent, window: u64::MAX };
            assert_eq!(Sttf.pick(&demand, &paths), expected.map(PathId), "{name}");
        }
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_waits_only_for_a_path_in_use(
            paths in any_paths(), unsent in prop_oneof![0u64..100_000, any::<u64>()],
        ) {
            match Sttf.pick(&Demand { unsent, window: u64::MAX }, &paths) {
                Some(id) => prop_assert!(may_carry(&paths, id)),
                None if any_may_carry(&paths) => {
                    prop_assert!(paths.iter().any(|p| p.alive && p.room == 0 && p.in_flight > 0));
                }
                None => {}
            }
        }
    }
}
