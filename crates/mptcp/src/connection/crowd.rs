//! What a connection may take of what all connections of a host share: queues, and the caches through
//! which every byte goes.
//!
//! **Owns** how receive buffers depend on how many are busy. **Leaves out** who is busy: the endpoint
//! knows.

use manypath_base::PathId;
use manypath_tcp::FREELY;

use super::{Connection, Subflow};

/// Bytes that the receive buffers of all busy connections may have without further ado.
const BUFFERS: u64 = 128 << 20;
/// And all of them, with two at least, where the round trip is as short as to a host beside this one: what
/// waits there is read from memory in place of a cache, and much less fills such a path. A few of
/// them are read faster from further away than from the second-level cache of another processor.
const NEARBY: u64 = 16 << 20;
/// What each has of these at least.
const NEARBY_LEAST: u64 = 2 << 20;
/// And each at least, if it is configured to have as many: a few of the largest super-segments.
const LEAST: u64 = 256 << 10;

/// Up to how many bytes a receive buffer grows freely, of so many connections; `near` by round trip.
fn buffer(crowd: u32, near: bool) -> u64 {
    let share = |all| all / u64::from(crowd.max(1));
    let most = if near { share(NEARBY).clamp(NEARBY_LEAST, FREELY) } else { FREELY };
    share(BUFFERS).clamp(LEAST, most)
}

/// How many bytes the receive buffer of the next of so many connections begins with, where it would
/// be `usual` of a few.
pub(crate) fn first_buffer(connections: usize, usual: u32) -> u32 {
    let share = buffer(u32::try_from(connections).unwrap_or(u32::MAX), false);
    u32::try_from(share).unwrap_or(u32::MAX).min(usual)
}

/// The same of a connection with these subflows.
pub(super) fn free_buffer(crowd: u32, subflows: &[Subflow]) -> u64 {
    buffer(crowd, all_near(subflows))
}

/// Whether all subflows lead to where no path is long, whatever round-trip times under load say.
pub(super) fn all_near(subflows: &[Subflow]) -> bool {
    let path = |sub: &Subflow| PathId::from(sub.id);
    subflows.iter().all(|sub| sub.flow.is_near(path(sub)) || sub.flow.is_beside(path(sub)))
}

impl Connection {
    /// So many connections of the host are busy at once, this one among them.
    pub(crate) fn note_crowd(&mut self, crowd: u32) {
        self.crowd = crowd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_have_all_and_each_of_many_its_share() {
        for (connections, first) in
            [(0, 1 << 20), (128, 1 << 20), (256, 512 << 10), (9_999, 256 << 10)]
        {
            assert_eq!(first_buffer(connections, 1 << 20), first, "{connections}");
        }
        assert_eq!(first_buffer(9_999, 5_000), 5_000, "as configured");
        let far = [1, 16, 32].map(|crowd| buffer(crowd, false));
        assert_eq!(far, [FREELY, FREELY, FREELY / 2]);
        let near = [1, 4, 8, 64, 128].map(|crowd| buffer(crowd, true) >> 20);
        assert_eq!(near, [8, 4, 2, 2, 1]);
    }
}
