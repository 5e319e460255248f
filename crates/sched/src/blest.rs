//! BLEST: a slow path is left idle where its bytes would hold up the fast one (Ferlin et al.,
//! IFIP Networking 2016).
//!
//! **Owns** the estimate of what the fast path could send in a round trip of the slow one, and
//! lambda, which corrects it by experience. **Leaves out** to find out that the window blocked: the
//! connection says so.

use core::time::Duration;

use manypath_base::PathId;

use crate::{Demand, PathView, Scheduler, candidates, lowest_rtt, worth_waiting};

/// Lowest round-trip time first, but a slower path only where the shared window has room for its
/// segment and for what the fast path sends meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Blest {
    /// The factor on what the fast path needs, in percent.
    lambda: u32,
}

impl Blest {
    /// Where lambda begins, and its least value: the estimate as it is.
    const LEAST: u32 = 100;
    /// Its largest value, as in the Linux implementation of its authors.
    const MOST: u32 = 130;
    /// What one blocking adds.
    const UP: u32 = 4;
    /// What each pick of a slow path takes off. **Choice:** the authors count round trips; here is
    /// no clock.
    const DOWN: u32 = 1;

    /// Whether a segment on `slow` takes window that the faster paths need within a round trip of `slow`;
    /// where F is the only one:
    ///
    /// > lambda * `MSS_F` * (`CWND_F` + (r-1)/2) * r > |M| - `MSS_S` * (`inflight_S` + 1)
    ///
    /// with r = `RTT_S`/`RTT_F` and the window of `fast` growing by a segment a round trip.
    ///
    /// **Differs**: the paper's |M| is the whole window, and what `slow` has in flight is all that is
    /// taken of it. Here also what came over `fast` and waits behind bytes of `slow` is taken: the right
    /// side is what is left beyond all that was sent, plus what `fast` has in flight, less a segment.
    /// Where little is left a slow segment blocks at once; `docs/experiments.md` has what it gains.
    ///
    /// **Choice:** of several faster paths, on which the paper has no word, all need their part: beside
    /// the fastest alone, which may carry little, a third path would hold up the second.
    fn would_block(self, slow: &PathView, paths: &[PathView], demand: &Demand) -> bool {
        let faster = |p: &&PathView| p.srtt < slow.srtt && p.room == 0 && p.in_flight > 0;
        let (mut needed, mut left) = (0, u128::from(demand.window));
        for fast in candidates(paths).filter(faster) {
            needed += needs(fast, slow.srtt);
            left += u128::from(fast.in_flight);
        }
        needed * u128::from(self.lambda) / 100 > left.saturating_sub(slow.mss.bytes().into())
    }
}

impl Default for Blest {
    fn default() -> Self {
        Self { lambda: Self::LEAST }
    }
}

/// Binary places of the ratio of two round-trip times.
const RATIO_BITS: u32 = 16;
/// Largest ratio that is told apart; also keeps the products within 128 bits.
const MAX_RATIO: u128 = 1 << 16;

impl Scheduler for Blest {
    fn name(&self) -> &'static str {
        "blest"
    }

    /// `None` also where waiting for the fastest path blocks less than using one with room. It
    /// waits only for a path that has bytes in flight: their acknowledgment ends the wait.
    fn pick(&mut self, demand: &Demand, paths: &[PathView]) -> Option<PathId> {
        let slow = lowest_rtt(candidates(paths))?;
        if worth_waiting(slow, paths).is_none() {
            return Some(slow.id);
        }
        if self.would_block(slow, paths, demand) {
            return None;
        }
        self.lambda = self.lambda.saturating_sub(Self::DOWN).max(Self::LEAST);
        Some(slow.id)
    }

    fn on_blocked(&mut self) {
        self.lambda = (self.lambda + Self::UP).min(Self::MOST);
    }
}

/// The window that a path takes in the round trip of a slower one: `(CWND_F + (r-1)/2) * r`, in bytes.
fn needs(fast: &PathView, slow: Duration) -> u128 {
    let r = ratio(slow, fast.srtt);
    let grown = u128::from(fast.mss.bytes()) * (r - (1 << RATIO_BITS)) / 2;
    let average = (u128::from(fast.cwnd) << RATIO_BITS) + grown;
    (average * r) >> (2 * RATIO_BITS)
}

/// `longer / shorter` in 1/65,536, at least one.
fn ratio(longer: Duration, shorter: Duration) -> u128 {
    let (longer, shorter) = (longer.as_nanos().min(u128::from(u64::MAX)), shorter.as_nanos());
    let ratio = (longer << RATIO_BITS) / shorter.max(1);
    ratio.clamp(1 << RATIO_BITS, MAX_RATIO << RATIO_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_paths, backup, dead, full, path, waits_only_for_a_faster_path};
    use proptest::prelude::*;

    #[test]
    fn a_slow_path_is_used_only_where_the_window_has_room_for_both() {
        // r = 4, so the fast path needs 1000 * (10 + 3/2) * 4 = 46,000 bytes; the right side is
        // the window + 10,000 in flight on the fast path - 1000.
        let (fast, slow) = (path(0, 20), path(1, 80));
        let unused = PathView { in_flight: 0, ..full(fast) };
        for (name, paths, window, expected) in [
            ("the fast path has room", [fast, slow], 0, Some(0)),
            ("room for both", [full(fast), slow], 37_000, Some(1)),
            ("a byte short", [full(fast), slow], 36_999, None),
            ("no window left", [full(fast), slow], 0, None),
            ("the full one is slower", [fast, full(slow)], 0, Some(0)),
            ("equally slow", [full(fast), path(1, 20)], 0, Some(1)),
            ("the fast path is dead", [dead(fast), slow], 0, Some(1)),
            ("nothing in flight to wait for", [unused, slow], 0, Some(1)),
            ("the fast one is a backup", [full(backup(fast)), slow], 0, Some(1)),
            ("the slow one is a backup", [full(fast), backup(slow)], u64::MAX, None),
            ("both are full", [full(fast), full(slow)], u64::MAX, None),
        ] {
            let demand = Demand { unsent: 1_000_000, window };
            assert_eq!(Blest::default().pick(&demand, &paths), expected.map(PathId), "{name}");
        }
    }

    #[test]
    fn all_faster_paths_need_their_part() {
        // The fastest needs 46,000 bytes as above, the other 1000 * (10 + 1/2) * 2 = 21,000; both have
        // 10,000 in flight.
        let paths = [full(path(0, 20)), full(path(1, 40)), path(2, 80)];
        for (window, expected) in [(48_000, Some(PathId(2))), (47_999, None)] {
            let demand = Demand { unsent: 1_000_000, window };
            assert_eq!(Blest::default().pick(&demand, &paths), expected);
        }
    }

    #[test]
    fn what_waits_behind_the_slow_path_takes_room() {
        // Of a window of 60,000 bytes 10,000 are in flight on the fast path. 46,000 are needed.
        let paths = [full(path(0, 20)), path(1, 80)];
        for (waiting, expected) in [(13_000, Some(PathId(1))), (13_001, None)] {
            let demand = Demand { unsent: 1_000_000, window: 50_000 - waiting };
            assert_eq!(Blest::default().pick(&demand, &paths), expected);
        }
    }

    #[test]
    fn lambda_rises_with_each_blocking_and_falls_with_each_slow_pick() {
        // As above 46,000 bytes at lambda 1; 47,840 at 1.04, so that 1,840 more are needed.
        let paths = [full(path(0, 20)), path(1, 80)];
        let picks = |blest: &mut Blest, window| {
            blest.pick(&Demand { unsent: 1_000_000, window }, &paths).is_some()
        };
        let mut blest = Blest::default();
        assert!(picks(&mut blest, 37_000), "never below 1");
        blest.on_blocked();
        assert!(!picks(&mut blest, 38_839));
        assert!(picks(&mut blest, 38_840), "a pick: 1.03 now, 47,380");
        assert!(!picks(&mut blest, 38_379));
        assert!(picks(&mut blest, 38_380));
        for _ in 0..100 {
            blest.on_blocked();
        }
        // 1.3 * 46,000 = 59,800, less 10,000 in flight, and a segment more.
        assert!(!picks(&mut blest, 50_799));
        assert!(picks(&mut blest, 50_800));
    }

    proptest! {
        #[test]
        fn picks_whom_it_may_and_waits_only_for_a_faster_path_in_use(
            paths in any_paths(), window in prop_oneof![0u64..100_000, any::<u64>()],
        ) {
            let demand = Demand { unsent: 1_000_000, window };
            let waited = waits_only_for_a_faster_path(&mut Blest::default(), &demand, &paths)?;
            prop_assert!(!waited || window < 1 << 49, "an ample window never waits");
        }
    }
}
