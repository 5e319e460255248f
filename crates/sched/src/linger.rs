//! Least linger time: the default scheduler of Linux since 5.12 (`mptcp_subflow_get_send` in
//! `net/mptcp/protocol.c`).
//!
//! **Owns** the estimate how long what a path has queued will linger there (bytes queued over its
//! average pacing rate), and bursts of 64 KB, so that a path is not left after each packet.
//! **Differs** from Linux, where a subflow queues beyond its window: here a path has queued what is
//! in flight, and one without room is passed over.

use alloc::vec::Vec;

use manypath_base::{PathId, Rate};

use crate::{Demand, PathView, Scheduler, candidates};

/// The path that will be done with what it has queued first, for a burst.
#[derive(Clone, Debug, Default)]
pub struct LeastLinger {
    /// The path of the present burst, and bytes left of it.
    burst: Option<(PathId, u64)>,
    /// Average pace of each path in bytes per second, weighted by bytes.
    pace: Vec<(PathId, u64)>,
}

impl LeastLinger {
    /// Bytes of a burst (`MPTCP_SEND_BURST_SIZE`).
    pub const BURST: u64 = (1 << 16) - 1;

    /// The average pace of a path, its present one at first.
    fn pace(&self, path: &PathView) -> u64 {
        let known = self.pace.iter().find(|&&(id, _)| id == path.id);
        known.map_or_else(|| present_pace(path), |&(_, pace)| pace).max(1)
    }

    /// Nanoseconds that what is queued will linger.
    fn linger(&self, path: &PathView) -> u128 {
        u128::from(path.in_flight) * 1_000_000_000 / u128::from(self.pace(path))
    }

    /// A burst begins: the present pace counts by its bytes, the average by those queued.
    fn begin_burst(&mut self, path: &PathView, burst: u64) {
        let (queued, burst) = (u128::from(path.in_flight), u128::from(burst.max(1)));
        let (old, new) = (u128::from(self.pace(path)), u128::from(present_pace(path)));
        let average = u64::try_from((old * queued + new * burst) / (queued + burst));
        self.pace.retain(|&(id, _)| id != path.id);
        self.pace.push((path.id, average.unwrap_or(u64::MAX)));
    }
}

/// The window a round trip, in bytes per second.
fn present_pace(path: &PathView) -> u64 {
    Rate::from_transfer(path.cwnd.into(), path.srtt).bytes_per_sec()
}

impl Scheduler for LeastLinger {
    fn name(&self) -> &'static str {
        "least-linger"
    }

    fn pick(&mut self, demand: &Demand, paths: &[PathView]) -> Option<PathId> {
        self.pace.retain(|&(id, _)| paths.iter().any(|p| p.id == id));
        let with_room = || candidates(paths).filter(|p| p.room > 0);
        let present = self.burst.filter(|&(_, left)| left > 0);
        let present =
            present.and_then(|(id, left)| Some((with_room().find(|p| p.id == id)?, left)));
        let (path, left) = match present {
            Some(going_on) => going_on,
            None => {
                let path = with_room().min_by_key(|p| self.linger(p))?;
                let burst = Self::BURST.min(demand.window.max(path.mss.bytes().into()));
                self.begin_burst(path, burst);
                (path, burst)
            }
        };
        let taken = u64::from(path.room).min(demand.unsent.max(1));
        self.burst = Some((path.id, left.saturating_sub(taken)));
        Some(path.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_may_carry, any_paths, backup, dead, full, may_carry, path};
    use proptest::prelude::*;

    const DEMAND: Demand = Demand { unsent: 1_000_000, window: 1_000_000 };

    /// A path of 10,000 bytes a round trip with so many in flight.
    fn queued(id: u32, rtt_ms: u64, bytes: u32) -> PathView {
        PathView { in_flight: bytes, room: 10_000 - bytes, ..path(id, rtt_ms) }
    }

    #[test]
    fn the_shortest_linger_time_among_those_with_room() {
        for (name, paths, expected) in [
            // 4,000 of 10,000 in 20 ms linger 8 ms; 2,000 of 10,000 in 80 ms linger 16 ms.
            ("8 ms before 16", [queued(0, 20, 4000), queued(1, 80, 2000)], Some(0)),
            ("18 ms after 16", [queued(0, 20, 9000), queued(1, 80, 2000)], Some(1)),
            ("an empty one first", [queued(0, 20, 1000), queued(1, 80, 0)], Some(1)),
            ("a full one is passed over", [full(path(0, 20)), queued(1, 80, 9000)], Some(1)),
            ("a dead one too", [dead(path(0, 20)), queued(1, 80, 9000)], Some(1)),
            ("a backup waits", [backup(path(0, 20)), full(path(1, 80))], None),
        ] {
            let picked = LeastLinger::default().pick(&DEMAND, &paths);
            assert_eq!(picked, expected.map(PathId), "{name}");
        }
    }

    #[test]
    fn a_burst_stays_on_its_path_while_that_has_room() {
        let wide = PathView { room: 20_000, ..queued(0, 20, 0) };
        let later = PathView { in_flight: 9_000, ..wide };
        let other = path(1, 80);
        let mut linger = LeastLinger::default();
        let picks = [wide, later, later, later, later].map(|a| linger.pick(&DEMAND, &[a, other]));
        // 20,000 a pick: the fourth begins with 5,535 left of 65,535.
        assert_eq!(picks.map(|p| p.map(|id| id.0)), [0, 0, 0, 0, 1].map(Some));
        let mut linger = LeastLinger::default();
        let picks = [wide, full(wide)].map(|a| linger.pick(&DEMAND, &[a, other]));
        assert_eq!(picks.map(|p| p.map(|id| id.0)), [0, 1].map(Some), "no room, no burst");
    }

    #[test]
    fn the_pace_is_an_average_by_bytes() {
        let mut linger = LeastLinger::default();
        linger.begin_burst(&queued(0, 20, 0), 1000);
        assert_eq!(linger.pace(&path(0, 20)), 500_000, "10,000 in 20 ms");
        // 5,000 queued at 500,000 and 15,000 more at 100,000.
        linger.begin_burst(&queued(0, 100, 5000), 15_000);
        assert_eq!(linger.pace(&path(0, 20)), 200_000);
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_none_only_if_there_is_none(
            rounds in prop::collection::vec(any_paths(), 1..10),
        ) {
            let mut linger = LeastLinger::default();
            for paths in rounds {
                match linger.pick(&DEMAND, &paths) {
                    Some(id) => prop_assert!(may_carry(&paths, id)),
                    None => prop_assert!(!any_may_carry(&paths)),
                }
                prop_assert!(linger.pace.len() <= paths.len());
            }
        }
    }
}
