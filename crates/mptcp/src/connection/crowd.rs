//! What a connection may take of what all connections of a host share: queues, and the caches through
//! which every byte goes.
//!
//! **Owns** how receive buffers depend on how many are busy. **Leaves out** who is busy: the endpoint
//! knows.

use manypath_tcp::FREELY;

use super::Connection;

/// Bytes that the receive buffers of all busy connections may have without further ado.
const BUFFERS: u64 = 64 << 20;
/// And each at least, if it is configured to have as many: a few of the largest super-segments.
const LEAST: u64 = 256 << 10;

/// Up to how many bytes a receive buffer grows freely, of so many connections.
pub(super) fn buffer(crowd: u32) -> u64 {
    (BUFFERS / u64::from(crowd.max(1))).clamp(LEAST, FREELY)
}

/// How many bytes the receive buffer of the next of so many connections begins with, where it would
/// be `usual` of a few.
pub(crate) fn first_buffer(connections: usize, usual: u32) -> u32 {
    let share = buffer(u32::try_from(connections).unwrap_or(u32::MAX));
    u32::try_from(share).unwrap_or(u32::MAX).min(usual)
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
            [(0, 1 << 20), (64, 1 << 20), (128, 512 << 10), (9_999, 256 << 10)]
        {
            assert_eq!(first_buffer(connections, 1 << 20), first, "{connections}");
        }
        assert_eq!(first_buffer(9_999, 5_000), 5_000, "as configured");
        assert_eq!([buffer(1), buffer(8), buffer(16)], [FREELY, FREELY, FREELY / 2]);
    }
}
