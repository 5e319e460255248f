//! The receive sequence space: reassembly, the window, and when to acknowledge.

mod ack_policy;
mod sack;
mod window;

pub(crate) use ack_policy::AckPolicy;
pub(crate) use sack::SackReport;
pub use window::{FREELY, ReceiveWindow};

use alloc::collections::VecDeque;

use manypath_base::{Payload, SeqNum, SubflowOffset, len64};

use crate::Reassembly;

/// RCV.* of RFC 9293 §3.3.1 and what was received.
#[derive(Debug)]
pub(crate) struct RecvSpace {
    /// IRS; meaningless until the peer's SYN has come.
    pub(crate) isn: SeqNum,
    pub(crate) data: Reassembly<SubflowOffset>,
    /// In order, and not yet read.
    queue: VecDeque<(SubflowOffset, Payload)>,
    queued: u64,
    /// Offset of the peer's FIN, once it has come, in order or not.
    pub(crate) fin: Option<SubflowOffset>,
    pub(crate) window: ReceiveWindow<SubflowOffset>,
    pub(crate) acks: AckPolicy,
    pub(crate) sack: SackReport,
    /// Last.ACK.sent of RFC 7323 §4.3.
    pub(crate) last_ack_sent: SubflowOffset,
}

impl RecvSpace {
    pub(crate) fn new(isn: SeqNum, window: ReceiveWindow<SubflowOffset>, acks: AckPolicy) -> Self {
        Self {
            isn,
            data: Reassembly::new(SubflowOffset(1)),
            queue: VecDeque::new(),
            queued: 0,
            fin: None,
            window,
            acks,
            sack: SackReport::default(),
            last_ack_sent: SubflowOffset(1),
        }
    }

    /// RCV.NXT.
    pub(crate) fn nxt(&self) -> SubflowOffset {
        let next = self.data.next();
        if self.fin == Some(next) { next + 1 } else { next }
    }

    /// Whether FIN and all data before it have come.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin == Some(self.data.next())
    }

    /// Bytes in order that wait to be read.
    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// Takes data in; returns bytes newly in order.
    pub(crate) fn insert(&mut self, start: SubflowOffset, payload: Payload) -> u64 {
        let before = self.queued;
        let Self { data, queue, queued, .. } = self;
        data.insert(start, payload, |at, piece| {
            *queued += len64(piece.len());
            queue.push_back((at, piece));
        });
        self.queued - before
    }

    pub(crate) fn release_spare(&mut self) {
        self.data.release_spare();
        self.queue.shrink_to_fit();
        self.sack.release_spare(&self.data);
    }

    /// The next run of bytes in order.
    pub(crate) fn read(&mut self) -> Option<(SubflowOffset, Payload)> {
        let (at, payload) = self.queue.pop_front()?;
        self.queued -= len64(payload.len());
        self.window.on_read(len64(payload.len()), self.queued, || FREELY);
        Some((at, payload))
    }
}
