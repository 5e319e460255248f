//! Rows of paths for the tests of this crate, and the rule that all picks are held against.

use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{Mss, PathId, Rate};
use proptest::prelude::*;

use crate::PathView;

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
