//! The receive window: how large it is, that it never shrinks, and when it opens (RFC 9293
//! §3.8.6.2.2).

use manypath_base::SubflowOffset;

/// The window of one flow, where it has one of its own.
///
/// **Invariant**: the right edge never moves left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveWindow {
    /// Bytes the buffer may hold now.
    buffer: u64,
    max: u64,
    /// Right edge promised to the peer.
    edge: SubflowOffset,
    /// Bytes read since the buffer last grew.
    read: u64,
}

impl ReceiveWindow {
    pub(crate) fn new(buffer: u32, max: u32) -> Self {
        let edge = SubflowOffset(1) + u64::from(buffer);
        Self { buffer: buffer.into(), max: max.max(buffer).into(), edge, read: 0 }
    }

    /// Right edge promised to the peer.
    pub(crate) const fn edge(&self) -> SubflowOffset {
        self.edge
    }

    /// The application read `bytes` and `left` remain. A buffer that was read through once while
    /// little waited in it was too small, or will soon be: it doubles.
    pub(crate) fn on_read(&mut self, bytes: u64, left: u64) {
        self.read += bytes;
        if self.read >= self.buffer && left < self.buffer / 2 {
            self.read = 0;
            self.buffer = (self.buffer * 2).min(self.max);
        }
    }

    /// The window to promise at RCV.NXT `nxt` with `queued` bytes unread. The edge moves only by
    /// steps worth sending (RFC 9293 §3.8.6.2.2, MUST-39).
    pub(crate) fn advance(&mut self, nxt: SubflowOffset, queued: u64, mss: u32) -> u64 {
        let candidate = nxt + self.buffer.saturating_sub(queued);
        if self.worth_telling(candidate, mss) {
            self.edge = candidate;
        }
        self.edge.saturating_sub(nxt)
    }

    /// Whether the window has opened so far that the peer should be told at once: it was nearly
    /// closed and is not.
    pub(crate) fn has_opened(&self, nxt: SubflowOffset, queued: u64, mss: u32) -> bool {
        let candidate = nxt + self.buffer.saturating_sub(queued);
        let open = self.edge.saturating_sub(nxt);
        self.worth_telling(candidate, mss) && open < self.buffer / 2
    }

    fn worth_telling(&self, candidate: SubflowOffset, mss: u32) -> bool {
        candidate.saturating_sub(self.edge) >= u64::from(mss).min(self.buffer / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_never_moves_left_and_moves_right_by_whole_segments() {
        let mut window = ReceiveWindow::new(1_000, 1_000);
        assert_eq!(window.advance(SubflowOffset(1), 0, 100), 1_000);
        assert_eq!(window.advance(SubflowOffset(501), 500, 100), 500, "unread: the edge stays");
        assert_eq!(window.advance(SubflowOffset(501), 450, 100), 500, "50 bytes are not worth it");
        assert_eq!(window.advance(SubflowOffset(501), 400, 100), 600);
    }

    #[test]
    fn a_buffer_that_is_read_through_grows_up_to_its_limit() {
        let mut window = ReceiveWindow::new(1_000, 3_000);
        window.on_read(1_000, 900);
        assert_eq!(window.buffer, 1_000, "a slow reader gets no more");
        window.on_read(1, 0);
        window.on_read(2_000, 0);
        assert_eq!(window.buffer, 3_000);
    }
}
