//! Handover: one path at a time, the next when it fails.
//!
//! **Owns** the present path. For radios that cost energy or money while they are in use, and for
//! applications that want one round-trip time. **Leaves out** to judge a path: the views say
//! whether it is alive.

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates};

/// The path of the lowest round-trip time, kept until it is not alive any more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handover {
    present: Option<PathId>,
}

impl Scheduler for Handover {
    fn name(&self) -> &'static str {
        "handover"
    }

    /// `None` where the present path is full, whatever room others have.
    fn pick(&mut self, _: &Demand, paths: &[PathView]) -> Option<PathId> {
        let present = candidates(paths).find(|p| Some(p.id) == self.present);
        let chosen = present.or_else(|| candidates(paths).min_by_key(|p| p.srtt))?;
        self.present = Some(chosen.id);
        Some(chosen.id).filter(|_| chosen.room > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_paths, backup, dead, full, may_carry, path};
    use proptest::prelude::*;

    const DEMAND: Demand = Demand { unsent: 1_000_000, window: 1_000_000 };

    #[test]
    fn a_path_is_kept_while_it_lives() {
        let (a, b) = (path(0, 20), path(1, 80));
        let mut handover = Handover::default();
        for (name, paths, expected) in [
            ("the fastest", [a, b].as_slice(), Some(0)),
            ("kept when it is full", &[full(a), b], None),
            ("kept when it becomes slower", &[path(0, 200), b], Some(0)),
            ("left when it dies", &[dead(a), b], Some(1)),
            ("not gone back to", &[a, b], Some(1)),
            ("unless the other dies", &[a, dead(b)], Some(0)),
            ("or is made a backup", &[dead(a), backup(b)], Some(1)),
            ("which waits for regular ones", &[a, backup(b)], Some(0)),
            ("all dead", &[dead(a), dead(b)], None),
        ] {
            assert_eq!(handover.pick(&DEMAND, paths), expected.map(PathId), "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_same_paths_get_the_same_answer(paths in any_paths()) {
            let mut handover = Handover::default();
            let first = handover.pick(&DEMAND, &paths);
            prop_assert!(first.is_none_or(|id| may_carry(&paths, id)));
            prop_assert_eq!(handover.pick(&DEMAND, &paths), first);
        }
    }
}
