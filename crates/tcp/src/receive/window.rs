//! The receive window: how large it is, that it never shrinks, and when it opens (RFC 9293
//! §3.8.6.2.2).

use core::ops::{Add, Sub};
use core::time::Duration;

use manypath_base::Instant;

/// Up to this size a buffer that is read through doubles without further ado, where there is but one;
/// beyond, only what a round trip brings can make it grow, since a window that no long path needs
/// only fills queues and caches.
pub const FREELY: u64 = 8 << 20;
/// The least time over which arrivals count: what was held up comes in bursts.
const LEAST_ROUND: Duration = Duration::from_millis(10);
/// Round trips of arrivals that a buffer has room for: the next one's twice as many in slow start,
/// and those of another while a loss is repaired.
const ROUNDS: u64 = 4;

/// A receive window: of one flow, or shared by the flows of a connection.
///
/// **Invariant**: the right edge never moves left, also where the buffer becomes smaller.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow<T> {
    /// Bytes the buffer may hold now.
    buffer: u64,
    max: u64,
    /// Right edge promised to the peer.
    edge: T,
    /// Bytes read since the buffer last grew, or since the round began.
    read: u64,
    /// When a round of reading began.
    round: Instant,
}

impl<T> ReceiveWindow<T>
where
    T: Copy + Ord + Add<u64, Output = T> + Sub<Output = u64>,
{
    /// A window of `buffer` bytes from `next`, the first byte expected; it grows up to `max`.
    #[must_use]
    pub fn new(next: T, buffer: u32, max: u32) -> Self {
        let edge = next + u64::from(buffer);
        Self {
            buffer: buffer.into(),
            max: max.max(buffer).into(),
            edge,
            read: 0,
            round: Instant::ZERO,
        }
    }

    /// Right edge promised to the peer.
    #[must_use]
    pub const fn edge(&self) -> T {
        self.edge
    }

    /// Bytes the buffer may hold now.
    #[must_use]
    pub const fn buffer(&self) -> u64 {
        self.buffer
    }

    /// The application read `bytes` and `left` remain. A small buffer that was read through once
    /// while little waited in it was too small, or will soon be: it doubles, up to `freely`.
    pub fn on_read(&mut self, bytes: u64, left: u64, freely: impl FnOnce() -> u64) {
        self.read += bytes;
        if self.buffer == self.max || self.read < self.buffer || left >= self.buffer / 2 {
            return;
        }
        let freely = self.max.min(freely());
        if self.buffer < freely {
            self.read = 0;
            self.buffer = (self.buffer * 2).min(freely);
        }
    }

    /// Has a large buffer grow to four times what was read in a round trip (dynamic
    /// right-sizing, Fisk and Feng 2001), and one that is larger than that and than its share
    /// become smaller again: `freely` is less than [`FREELY`] where others need theirs. To be
    /// called as time goes by; `rtt` is the longest of the paths, without which it does not grow.
    /// Up to `freely` it grows as it is read.
    pub fn adapt(
        &mut self,
        now: Instant,
        freely: impl FnOnce() -> u64,
        rtt: impl FnOnce() -> Duration,
    ) {
        if now.since(self.round) < LEAST_ROUND {
            return;
        }
        let freely = freely();
        let share = if freely < FREELY { freely.min(self.buffer) } else { self.buffer };
        if self.buffer < freely || share == self.max {
            return;
        }
        let (rtt, elapsed) = (rtt(), now.since(self.round));
        if elapsed < rtt {
            return;
        }
        let read = u128::from(core::mem::take(&mut self.read));
        let wanted = read * u128::from(ROUNDS) * rtt.as_nanos() / elapsed.as_nanos().max(1);
        self.round = now;
        self.buffer = u64::try_from(wanted).unwrap_or(u64::MAX).clamp(share, self.max);
    }

    /// The window to promise at RCV.NXT `nxt` with `queued` bytes unread. The edge moves only by
    /// steps worth sending (RFC 9293 §3.8.6.2.2, MUST-39).
    pub fn advance(&mut self, nxt: T, queued: u64, mss: u32) -> u64 {
        let candidate = nxt + self.buffer.saturating_sub(queued);
        if self.worth_telling(candidate, mss) {
            self.edge = candidate;
        }
        ahead(nxt, self.edge)
    }

    /// Whether the window has opened so far that the peer should be told at once: it is twice
    /// what the peer knows, or more.
    #[must_use]
    pub fn has_opened(&self, nxt: T, queued: u64, mss: u32) -> bool {
        let candidate = nxt + self.buffer.saturating_sub(queued);
        let open = ahead(nxt, self.edge);
        self.worth_telling(candidate, mss) && ahead(nxt, candidate) >= 2 * open
    }

    fn worth_telling(&self, candidate: T, mss: u32) -> bool {
        ahead(self.edge, candidate) >= u64::from(mss).min(self.buffer / 2)
    }
}

/// Bytes from `from` forward to `to`, 0 where `to` lies behind.
fn ahead<T: Ord + Sub<Output = u64>>(from: T, to: T) -> u64 {
    if to > from { to - from } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manypath_base::SubflowOffset;

    #[test]
    fn the_edge_never_moves_left_and_moves_right_by_whole_segments() {
        let mut window = ReceiveWindow::new(SubflowOffset(1), 1_000, 1_000);
        assert_eq!(window.advance(SubflowOffset(1), 0, 100), 1_000);
        assert_eq!(window.advance(SubflowOffset(501), 500, 100), 500, "unread: the edge stays");
        assert_eq!(window.advance(SubflowOffset(501), 450, 100), 500, "50 bytes are not worth it");
        assert_eq!(window.advance(SubflowOffset(501), 400, 100), 600);
    }

    #[test]
    fn a_buffer_that_is_read_through_grows_up_to_its_limit() {
        let mut window = ReceiveWindow::new(SubflowOffset(1), 1_000, 3_000);
        window.on_read(1_000, 900, || FREELY);
        assert_eq!(window.buffer, 1_000, "a slow reader gets no more");
        window.on_read(1, 0, || FREELY);
        window.on_read(2_000, 0, || FREELY);
        assert_eq!(window.buffer, 3_000);
    }

    /// Reads 125 MB a second for two: a bandwidth-delay product of 12.5 MB over 100 ms, of 12.5 KB over
    /// 0.1 ms.
    fn read_fast(window: &mut ReceiveWindow<SubflowOffset>, freely: u64, rtt_us: u64) {
        for ms in 1..=2_000 {
            window.on_read(125_000, 0, || freely);
            window.adapt(Instant::from_millis(ms), || freely, || Duration::from_micros(rtt_us));
        }
    }

    #[test]
    fn a_large_buffer_grows_only_where_a_round_trip_fills_it() {
        for (rtt_us, buffer) in [(100_000, 50_000_000), (100, 8 << 20), (0, 8 << 20)] {
            let mut window = ReceiveWindow::new(SubflowOffset(1), 1 << 20, 64 << 20);
            read_fast(&mut window, FREELY, rtt_us);
            assert!(window.buffer.abs_diff(buffer) < 1 << 20, "{rtt_us} us: {}", window.buffer);
        }
    }

    /// Many share what one has freely; a long path has what it needs all the same.
    #[test]
    fn beyond_its_share_a_buffer_grows_only_where_a_round_trip_fills_it() {
        for (rtt_us, buffer) in [(100_000, 50_000_000), (100, 1 << 20)] {
            let mut window = ReceiveWindow::new(SubflowOffset(1), 1 << 20, 64 << 20);
            read_fast(&mut window, 1 << 20, rtt_us);
            assert!(window.buffer.abs_diff(buffer) < 1 << 20, "{rtt_us} us: {}", window.buffer);
        }
    }

    /// Who had more before others came gives it back, but for what a long path needs; what was promised
    /// stays promised.
    #[test]
    fn beyond_its_share_a_buffer_becomes_smaller() {
        for (rtt_us, buffer) in [(100_000, 50_000_000), (100, 1 << 20)] {
            let mut window = ReceiveWindow::new(SubflowOffset(1), 56 << 20, 64 << 20);
            let edge = window.edge();
            read_fast(&mut window, 1 << 20, rtt_us);
            assert!(window.buffer.abs_diff(buffer) < 1 << 20, "{rtt_us} us: {}", window.buffer);
            window.advance(SubflowOffset(2_000), 0, 1_460);
            assert_eq!(window.edge(), edge, "{rtt_us} us");
        }
    }

    /// What waited while the application was away, and is read at once, is no round trip's.
    #[test]
    fn a_burst_of_reading_is_not_taken_for_a_fast_path() {
        let mut window = ReceiveWindow::new(SubflowOffset(1), 8 << 20, 64 << 20);
        for ms in 1..=2_000 {
            window.on_read(if ms % 100 == 0 { 8 << 20 } else { 0 }, 0, || FREELY);
            window.adapt(Instant::from_millis(ms), || FREELY, || Duration::from_millis(1));
        }
        assert_eq!(window.buffer, 8 << 20);
    }
}
