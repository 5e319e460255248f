//! The receive window: how large it is, that it never shrinks, and when it opens (RFC 9293
//! §3.8.6.2.2).

use core::ops::{Add, Sub};

/// A receive window: of one flow, or shared by the flows of a connection.
///
/// **Invariant**: the right edge never moves left.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow<T> {
    /// Bytes the buffer may hold now.
    buffer: u64,
    max: u64,
    /// Right edge promised to the peer.
    edge: T,
    /// Bytes read since the buffer last grew.
    read: u64,
}

impl<T> ReceiveWindow<T>
where
    T: Copy + Ord + Add<u64, Output = T> + Sub<Output = u64>,
{
    /// A window of `buffer` bytes from `next`, the first byte expected; it grows up to `max`.
    #[must_use]
    pub fn new(next: T, buffer: u32, max: u32) -> Self {
        let edge = next + u64::from(buffer);
        Self { buffer: buffer.into(), max: max.max(buffer).into(), edge, read: 0 }
    }

    /// Right edge promised to the peer.
    #[must_use]
    pub const fn edge(&self) -> T {
        self.edge
    }

    /// The application read `bytes` and `left` remain. A buffer that was read through once while
    /// little waited in it was too small, or will soon be: it doubles.
    pub fn on_read(&mut self, bytes: u64, left: u64) {
        self.read += bytes;
        if self.read >= self.buffer && left < self.buffer / 2 {
            self.read = 0;
            self.buffer = (self.buffer * 2).min(self.max);
        }
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
        window.on_read(1_000, 900);
        assert_eq!(window.buffer, 1_000, "a slow reader gets no more");
        window.on_read(1, 0);
        window.on_read(2_000, 0);
        assert_eq!(window.buffer, 3_000);
    }
}
