//! Round robin: paths take turns, a chunk each.

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates};

/// The next path with room after the last one picked, in the order of their ids.
///
/// One pick is one turn: what the connection sends for it, a full chunk, is the unit that is dealt
/// out. Paths without room are skipped, so in the end windows decide the shares.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin {
    last: Option<PathId>,
}

impl Scheduler for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn pick(&mut self, _: &Demand, paths: &[PathView]) -> Option<PathId> {
        let with_room = || candidates(paths).filter(|p| p.room > 0).map(|p| p.id);
        let after_last = with_room().filter(|&id| self.last.is_some_and(|last| id > last)).min();
        let next = after_last.or_else(|| with_room().min())?;
        self.last = Some(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_may_carry, any_paths, backup, dead, full, may_carry, path};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const DEMAND: Demand = Demand { unsent: 1_000_000, window: 1_000_000 };

    #[test]
    fn paths_take_turns() {
        let (a, b, c) = (path(0, 80), path(1, 20), path(2, 50));
        for (name, paths, expected) in [
            ("all in turn", [a, b, c].as_slice(), [0, 1, 2, 0, 1, 2].as_slice()),
            ("in any order of rows", &[c, a, b], &[0, 1, 2, 0]),
            ("a full one is skipped", &[a, full(b), c], &[0, 2, 0, 2]),
            ("a dead one is skipped", &[dead(a), b, c], &[1, 2, 1, 2]),
            ("a backup waits", &[a, backup(b), c], &[0, 2, 0, 2]),
            ("even for full ones", &[full(a), backup(b), full(c)], &[]),
            ("backups take turns too", &[dead(a), backup(b), backup(c)], &[1, 2, 1, 2]),
            ("no path at all", &[], &[]),
        ] {
            let mut scheduler = RoundRobin::default();
            let picks = core::iter::from_fn(|| scheduler.pick(&DEMAND, paths));
            let picks: Vec<_> = picks.take(expected.len() + 1).map(|id| id.0).collect();
            assert_eq!(picks.get(..expected.len()), Some(expected), "{name}: {picks:?}");
            assert!(!expected.is_empty() || picks.is_empty(), "{name}: {picks:?}");
        }
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_none_only_if_there_is_none(
            rounds in prop::collection::vec(any_paths(), 1..10),
        ) {
            let mut scheduler = RoundRobin::default();
            for paths in rounds {
                match scheduler.pick(&DEMAND, &paths) {
                    Some(id) => prop_assert!(may_carry(&paths, id)),
                    None => prop_assert!(!any_may_carry(&paths)),
                }
            }
        }

        #[test]
        fn no_one_is_picked_twice_before_all_were_once(paths in any_paths()) {
            let mut waiting: Vec<_> =
                paths.iter().map(|p| p.id).filter(|&id| may_carry(&paths, id)).collect();
            let mut scheduler = RoundRobin::default();
            while !waiting.is_empty() {
                let pick = scheduler.pick(&DEMAND, &paths).expect("someone still waits");
                prop_assert!(waiting.contains(&pick));
                waiting.retain(|&id| id != pick);
            }
        }
    }
}
