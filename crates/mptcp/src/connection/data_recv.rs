//! The receiving side of the connection: reassembly at the data level and the shared window.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{DataOffset, Instant, Payload, len64, usize64};
use manypath_tcp::{Reassembly, ReceiveWindow};

/// RCV.* of the data level.
#[derive(Debug)]
pub(crate) struct DataRecv {
    data: Reassembly<DataOffset>,
    queue: VecDeque<Bytes>,
    queued: u64,
    fin: Option<DataOffset>,
    window: ReceiveWindow<DataOffset>,
    /// The application does not read any more: what comes is counted and dropped.
    discarding: bool,
    /// Some bytes were dropped so.
    dropped: bool,
}

impl DataRecv {
    pub(crate) fn new(buffer: u32, max: u32) -> Self {
        Self {
            data: Reassembly::new(DataOffset(1)),
            queue: VecDeque::new(),
            queued: 0,
            fin: None,
            window: ReceiveWindow::new(DataOffset(1), buffer, max),
            discarding: false,
            dropped: false,
        }
    }

    /// What DATA_ACK says: the next offset expected, DATA_FIN counted.
    pub(crate) fn nxt(&self) -> DataOffset {
        let next = self.data.next();
        if self.fin == Some(next) { next + 1 } else { next }
    }

    /// Whether DATA_FIN and everything before it has come.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin == Some(self.data.next())
    }

    /// Takes mapped data in. What lies beyond the DATA_FIN, or beyond the whole buffer, is dropped.
    /// Returns whether there is more to read.
    ///
    /// **Differs** from RFC 8684 §3.3.4, which has everything beyond the window dropped: a sender
    /// may take an older, larger window on one subflow for the newest (Linux does), and what was
    /// acknowledged at the subflow and dropped here costs it a timeout.
    pub(crate) fn insert(&mut self, at: DataOffset, mut payload: Payload) -> bool {
        let edge = self.window.edge().max(self.data.next() + self.window.buffer());
        let edge = self.fin.map_or(edge, |fin| fin.min(edge));
        payload.truncate(usize64(edge.saturating_sub(at)));
        if payload.is_empty() {
            return false;
        }
        let before = self.data.next();
        let Self { data, queue, queued, discarding, dropped, .. } = self;
        data.insert(at, payload, |_, piece| {
            if *discarding {
                *dropped = true;
            } else {
                *queued += len64(piece.len());
                queue.extend(piece.into_chunks());
            }
        });
        self.data.next() > before
    }

    /// Bytes in order that wait to be read.
    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// DATA_FIN was announced; the first one decides where the stream ends.
    pub(crate) fn finish_at(&mut self, fin: DataOffset) {
        let beyond = self.data.ranges().next_back().is_some_and(|held| held.end > fin);
        if self.fin.is_none() && fin >= self.data.next() && !beyond {
            self.fin = Some(fin);
        }
    }

    /// The next chunk in order; see [`ReceiveWindow::on_read`] for `freely`.
    pub(crate) fn read(&mut self, freely: impl FnOnce() -> u64) -> Option<Bytes> {
        let chunk = self.queue.pop_front()?;
        self.queued -= len64(chunk.len());
        self.window.on_read(len64(chunk.len()), self.queued, freely);
        Some(chunk)
    }

    /// The application lost interest: nothing is kept, the window stays open.
    pub(crate) fn discard(&mut self) {
        self.discarding = true;
        self.dropped |= self.queued > 0;
        self.queue.clear();
        self.queued = 0;
    }

    /// Whether something came that the application will never read.
    pub(crate) fn has_dropped(&self) -> bool {
        self.dropped
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.queue.is_empty() || self.is_finished()
    }

    pub(crate) fn release_spare(&mut self) {
        self.data.release_spare();
        self.queue.shrink_to_fit();
    }

    /// Bytes that the buffer may hold now.
    pub(crate) fn buffer(&self) -> u64 {
        self.window.buffer()
    }

    /// Bytes held because something before them is missing.
    pub(crate) fn held(&self) -> u64 {
        self.data.held_bytes()
    }

    /// Has the buffer grow with what a round trip brings, see [`ReceiveWindow::adapt`].
    pub(crate) fn adapt_buffer(
        &mut self,
        now: Instant,
        freely: impl FnOnce() -> u64,
        rtt: impl FnOnce() -> Duration,
    ) {
        self.window.adapt(now, freely, rtt);
    }

    /// Moves the right edge where that is worth telling; called before a segment is made.
    pub(crate) fn advance_window(&mut self, mss: u32) {
        self.window.advance(self.nxt(), self.queued, mss);
    }

    /// The window to offer, in bytes from DATA_ACK.
    pub(crate) fn window(&self) -> u32 {
        let open = self.window.edge().saturating_sub(self.nxt());
        u32::try_from(open).unwrap_or(u32::MAX)
    }

    /// Whether the peer should hear at once that the window has opened.
    pub(crate) fn window_has_opened(&self, mss: u32) -> bool {
        self.window.has_opened(self.nxt(), self.queued, mss)
    }

    pub(crate) fn received(&self) -> u64 {
        self.data.next().saturating_sub(DataOffset(1))
    }
}
