//! Rows of paths for the tests of this crate, and the rule that all picks are held against.

use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{Mss, PathId, Rate};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::{Demand, MinRtt, PathView, Scheduler};

/// A living regular path of ten segments of 1000 bytes, all of them free.
pub(crate) fn path(id: u32, rtt_ms: u64) -> PathView {
    PathView {
        id: PathId(id),
        alive: true,
        backup: false,
        srtt: Duration::from_millis(rtt_ms),
        rtt_var: Duration::ZERO,
        cwnd: 10_000,
        in_flight: 0,
        room: 10_000,
        mss: Mss(1000),
        rate: Rate::default(),
    }
}

pub(crate) fn full(path: PathView) -> PathView {
    PathView { in_flight: path.cwnd, room: 0, ..path }
}

pub(crate) fn dead(path: PathView) -> PathView {
    PathView { alive: false, ..path }
}

pub(crate) fn backup(path: PathView) -> PathView {
    PathView { backup: true, ..path }
}

/// Any paths, with ids in any order, and few enough values that ties occur.
pub(crate) fn any_paths() -> impl Strategy<Value = Vec<PathView>> {
    let one = (any::<bool>(), any::<bool>(), 0u64..5, 0u32..3, 0u32..20_000);
    prop::collection::vec(one, 0..6).prop_flat_map(|rows| {
        let view = |(id, (alive, backup, rtt, room, in_flight)): (u32, _)| PathView {
            alive,
            backup,
            in_flight,
            room: room * 1000,
            ..path(id, rtt * 10)
        };
        Just((0..).zip(rows).map(view).collect::<Vec<_>>()).prop_shuffle()
    })
}

/// Whether a scheduler may pick `id`, in the words of RFC 8684 and nothing else.
pub(crate) fn may_carry(paths: &[PathView], id: PathId) -> bool {
    let regular_alive = paths.iter().any(|p| p.alive && !p.backup);
    let mut allowed = paths.iter().filter(|p| !(p.backup && regular_alive));
    allowed.any(|p| p.id == id && p.alive && p.room > 0)
}

/// Whether there is any path that a scheduler may pick.
pub(crate) fn any_may_carry(paths: &[PathView]) -> bool {
    paths.iter().any(|p| may_carry(paths, p.id))
}

/// Checks a pick of a scheduler that is lowest RTT but for waiting: it picks what lowest RTT picks,
/// or waits for a faster path that is full and in use. Returns whether it waited.
pub(crate) fn waits_only_for_a_faster_path(
    scheduler: &mut dyn Scheduler,
    demand: &Demand,
    paths: &[PathView],
) -> Result<bool, TestCaseError> {
    let lowest = MinRtt.pick(demand, paths);
    if let Some(id) = scheduler.pick(demand, paths) {
        prop_assert!(may_carry(paths, id));
        prop_assert_eq!(Some(id), lowest);
        return Ok(false);
    }
    if !any_may_carry(paths) {
        return Ok(false);
    }
    let usable = paths.iter().find(|p| Some(p.id) == lowest).expect("is a row");
    let awaited = |p: &PathView| p.alive && p.room == 0 && p.in_flight > 0 && p.srtt < usable.srtt;
    prop_assert!(paths.iter().any(awaited));
    Ok(true)
}
