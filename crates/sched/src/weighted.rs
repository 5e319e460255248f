//! Weighted round robin: turns in proportion to a weight of each path.
//!
//! **Owns** the credits that spread the turns evenly (smooth weighted round robin). **Invariants**:
//! credits of the paths that take part sum to nothing after each turn, and none is beyond the sum
//! of their weights. **Leaves out** how many bytes a turn is: a chunk, as in
//! [`RoundRobin`](crate::RoundRobin).

use alloc::vec::Vec;

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates};

/// Turns by weight among the paths with room; a path without room misses its turn.
#[derive(Clone, Debug)]
pub struct Weighted {
    weight: fn(&PathView) -> u32,
    credits: Vec<(PathId, i64)>,
}

impl Weighted {
    /// Weights of one's own: whatever can be said of a path; 0 counts as 1.
    #[must_use]
    pub fn by(weight: fn(&PathView) -> u32) -> Self {
        Self { weight, credits: Vec::new() }
    }
}

impl Default for Weighted {
    /// Weights by what a path can carry: its window a round trip, in bytes a millisecond.
    fn default() -> Self {
        Self::by(|path| {
            let bytes = u128::from(path.cwnd) * 1_000_000 / path.srtt.as_nanos().max(1_000_000);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        })
    }
}

impl Scheduler for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    /// Every path with room earns its weight; who has most pays the sum of them.
    fn pick(&mut self, _: &Demand, paths: &[PathView]) -> Option<PathId> {
        let Self { weight, credits } = self;
        credits.retain(|&(id, _)| paths.iter().any(|p| p.id == id));
        let (mut total, mut best) = (0, None);
        for path in candidates(paths).filter(|p| p.room > 0) {
            let earned = i64::from(weight(path)).max(1);
            total += earned;
            let at = credits.iter().position(|&(id, _)| id == path.id).unwrap_or_else(|| {
                credits.push((path.id, 0));
                credits.len() - 1
            });
            credits[at].1 = credits[at].1.saturating_add(earned);
            if best.is_none_or(|(_, most)| credits[at].1 > most) {
                best = Some((at, credits[at].1));
            }
        }
        let (at, _) = best?;
        credits[at].1 = credits[at].1.saturating_sub(total);
        Some(credits[at].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_may_carry, any_paths, backup, dead, full, may_carry, path};
    use proptest::prelude::*;

    const DEMAND: Demand = Demand { unsent: 1_000_000, window: 1_000_000 };

    /// Weights 1, 2, 3 for paths 0, 1, 2.
    fn by_number() -> Weighted {
        Weighted::by(|p| p.id.0 + 1)
    }

    fn turns(weighted: &mut Weighted, paths: &[PathView], n: usize) -> Vec<u32> {
        let picks = core::iter::from_fn(|| weighted.pick(&DEMAND, paths));
        picks.take(n).map(|id| id.0).collect()
    }

    #[test]
    fn turns_are_in_proportion_and_spread() {
        let (a, b, c) = (path(0, 80), path(1, 20), path(2, 50));
        for (name, paths, expected) in [
            ("1 : 2", [a, b].as_slice(), [1, 0, 1, 1, 0, 1].as_slice()),
            ("1 : 2 : 3", &[a, b, c], &[2, 1, 0, 2, 1, 2]),
            ("without the full one 1 : 3", &[a, full(b), c], &[2, 0, 2, 2]),
            ("without the dead one", &[a, dead(b), c], &[2, 0, 2, 2]),
            ("a backup waits", &[backup(a), b, c], &[2, 1, 2, 1, 2]),
            ("all full", &[full(a), full(b)], &[]),
        ] {
            let picks = turns(&mut by_number(), paths, expected.len().max(1));
            assert_eq!(picks, expected, "{name}");
        }
    }

    #[test]
    fn by_default_the_weight_is_the_rate() {
        // 10,000 bytes in 20 ms against 80 ms: four turns to one.
        let picks = turns(&mut Weighted::default(), &[path(0, 20), path(1, 80)], 100);
        assert_eq!(picks.iter().filter(|&&id| id == 0).count(), 80);
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_none_only_if_there_is_none(
            rounds in prop::collection::vec(any_paths(), 1..10),
        ) {
            let mut weighted = Weighted::default();
            for paths in rounds {
                match weighted.pick(&DEMAND, &paths) {
                    Some(id) => prop_assert!(may_carry(&paths, id)),
                    None => prop_assert!(!any_may_carry(&paths)),
                }
                prop_assert!(weighted.credits.len() <= paths.len());
            }
        }

        #[test]
        fn over_a_whole_cycle_turns_are_the_weights(n in 1u32..6, cycles in 1u32..5) {
            let paths: Vec<_> = (0..n).map(|id| path(id, 20)).collect();
            let cycle = n * (n + 1) / 2 * cycles;
            let mut weighted = by_number();
            let picks = turns(&mut weighted, &paths, manypath_base::usize64(cycle.into()));
            for id in 0..n {
                let count = picks.iter().filter(|&&pick| pick == id).count();
                prop_assert_eq!(count, manypath_base::usize64((cycles * (id + 1)).into()));
            }
        }
    }
}
