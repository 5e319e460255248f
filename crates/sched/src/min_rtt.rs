//! Lowest round-trip time first: fills the fastest path, then the next.

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates, lowest_rtt};

/// The lowest smoothed round-trip time among the paths with room.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinRtt;

impl Scheduler for MinRtt {
    fn name(&self) -> &'static str {
        "lowest-rtt"
    }

    fn pick(&mut self, _: &Demand, paths: &[PathView]) -> Option<PathId> {
        lowest_rtt(candidates(paths)).map(|p| p.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_may_carry, any_paths, backup, dead, full, may_carry, path};
    use proptest::prelude::*;

    const DEMAND: Demand = Demand { unsent: 1_000_000, window: 1_000_000 };

    #[test]
    fn the_fastest_path_with_room() {
        for (name, paths, expected) in [
            ("no path at all", [].as_slice(), None),
            ("the faster of two", &[path(0, 80), path(1, 20)], Some(1)),
            ("the first of equals", &[path(0, 20), path(1, 20)], Some(0)),
            ("the faster is full", &[path(0, 80), full(path(1, 20))], Some(0)),
            ("the faster is dead", &[path(0, 80), dead(path(1, 20))], Some(0)),
            ("without a sample: first", &[path(0, 80), path(1, 0)], Some(1)),
            ("a backup waits", &[path(0, 80), backup(path(1, 20))], Some(0)),
            ("even for a full path", &[full(path(0, 80)), backup(path(1, 20))], None),
            ("but not for a dead one", &[dead(path(0, 80)), backup(path(1, 20))], Some(1)),
            ("only backups", &[backup(path(0, 80)), backup(path(1, 20))], Some(1)),
            ("all full", &[full(path(0, 80)), full(path(1, 20))], None),
        ] {
            assert_eq!(MinRtt.pick(&DEMAND, paths), expected.map(PathId), "{name}");
        }
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_none_only_if_there_is_none(paths in any_paths()) {
            match MinRtt.pick(&DEMAND, &paths) {
                Some(id) => prop_assert!(may_carry(&paths, id)),
                None => prop_assert!(!any_may_carry(&paths)),
            }
        }
    }
}
