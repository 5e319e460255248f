//! Redundant: every path carries everything, for latency that no single loss can harm.
//!
//! **Owns** that each path gets its turn, the fastest first. The stream then advances with whichever
//! copy is first. **Leaves out** which bytes those are: the connection gives a path what it has not
//! carried yet ([`Scheduler::copies`]), and skips what was acknowledged meanwhile, so that a slow
//! path does not fall behind for ever.

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates, lowest_rtt};

/// Every regular path in turn of its round-trip time; backups carry no copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redundant;

impl Scheduler for Redundant {
    fn name(&self) -> &'static str {
        "redundant"
    }

    fn pick(&mut self, _: &Demand, paths: &[PathView]) -> Option<PathId> {
        lowest_rtt(candidates(paths)).map(|p| p.id)
    }

    fn copies(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{backup, dead, full, path};

    #[test]
    fn whoever_has_room_gets_its_copy() {
        let demand = Demand { unsent: 1_000_000, window: 1_000_000 };
        let (a, b) = (path(0, 20), path(1, 80));
        for (name, paths, expected) in [
            ("the fastest first", [b, a], Some(0)),
            ("then the next", [full(a), b], Some(1)),
            ("no copies on backups", [full(a), backup(b)], None),
            ("until nobody else is left", [dead(a), backup(b)], Some(1)),
        ] {
            assert_eq!(Redundant.pick(&demand, &paths), expected.map(PathId), "{name}");
        }
        assert!(Redundant.copies());
    }
}
