//! Receive buffers, used again once nobody holds what was received into them.
//!
//! **Owns** a small set of large buffers. **Invariant**: the first free one is taken, so a reader
//! that keeps up stays within few buffers and within the cache; fresh memory costs a page fault
//! for every 4 KiB.

use bytes::{Bytes, BytesMut};

/// Buffers kept; beyond, what a slow reader holds is allocated and freed.
const KEPT: usize = 64;

/// What `buffer` holds, of a packet received into `room` bytes. One shorter than a quarter of that is
/// copied, so that no packet that waits pins more than four times its length.
pub(crate) fn packet_of(buffer: &mut BytesMut, room: usize) -> Bytes {
    if buffer.len() < room / 4 { Bytes::copy_from_slice(buffer) } else { buffer.split().freeze() }
}

/// Buffers of one length.
#[derive(Debug)]
pub(crate) struct ReceiveBuffers {
    len: usize,
    kept: Vec<BytesMut>,
}

impl ReceiveBuffers {
    pub(crate) fn new(len: usize) -> Self {
        Self { len, kept: vec![BytesMut::with_capacity(len)] }
    }

    /// An empty buffer with room for the whole length.
    pub(crate) fn free(&mut self) -> &mut BytesMut {
        let len = self.len;
        let found = self.kept.iter_mut().position(|buffer| {
            buffer.clear();
            buffer.try_reclaim(len)
        });
        let i = found.unwrap_or_else(|| {
            if self.kept.len() == KEPT {
                self.kept.pop();
            }
            self.kept.push(BytesMut::with_capacity(len));
            self.kept.len() - 1
        });
        &mut self.kept[i]
    }

    /// As [`ReceiveBuffers::free`], taken out; [`ReceiveBuffers::give_back`] keeps what is left of it.
    pub(crate) fn take(&mut self) -> BytesMut {
        std::mem::take(self.free())
    }

    /// Keeps a buffer for later: at the place of the one that was taken out.
    pub(crate) fn give_back(&mut self, buffer: BytesMut) {
        if let Some(place) = self.kept.iter_mut().find(|kept| kept.capacity() == 0) {
            *place = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffers: &mut ReceiveBuffers) -> Bytes {
        let buffer = buffers.free();
        assert!(buffer.is_empty() && buffer.capacity() >= 1_000);
        buffer.extend_from_slice(&[7; 1_000]);
        buffer.split().freeze()
    }

    #[test]
    fn a_buffer_is_used_again_only_when_nobody_holds_it() {
        let mut buffers = ReceiveBuffers::new(1_000);
        let first = fill(&mut buffers);
        let at = first.as_ptr();
        let second = fill(&mut buffers);
        assert_ne!(second.as_ptr(), at);
        drop(first);
        assert_eq!(fill(&mut buffers).as_ptr(), at);
    }

    #[test]
    fn the_buffers_kept_are_bounded() {
        let mut buffers = ReceiveBuffers::new(1_000);
        let held: Vec<Bytes> = (0..200).map(|_| fill(&mut buffers)).collect();
        assert!(buffers.kept.len() <= KEPT);
        assert!(held.iter().all(|bytes| bytes.iter().all(|b| *b == 7)));
    }
}
