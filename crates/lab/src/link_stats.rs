//! What a link counted.

use crate::link::DropReason;

/// Packets and their bytes (IP length).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Counter {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: u64) {
        self.packets -= 1;
        self.bytes -= bytes;
    }
}

/// Counters of one direction of a link.
///
/// **Invariant**: `offered + duplicated = delivered + dropped (all reasons) + what is inside`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Handed in.
    pub offered: Counter,
    /// Taken out, copies included.
    pub delivered: Counter,
    /// Extra copies made.
    pub duplicated: Counter,
    /// Held back so that others pass.
    pub reordered: Counter,
    /// Found the queue full.
    pub dropped_queue_full: Counter,
    /// Lost on the wire.
    pub dropped_loss: Counter,
    /// Pushed into a cut link, or inside when it was cut.
    pub dropped_cut: Counter,
    /// Longer than the MTU.
    pub dropped_too_big: Counter,
    /// Waiting for the transmitter when the link was last touched.
    pub waiting: Counter,
    /// The most bytes that ever waited.
    pub max_waiting_bytes: u64,
}

impl LinkStats {
    /// What was dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> Counter {
        match reason {
            DropReason::QueueFull => self.dropped_queue_full,
            DropReason::Loss => self.dropped_loss,
            DropReason::Cut => self.dropped_cut,
            DropReason::TooBig => self.dropped_too_big,
        }
    }

    pub(crate) fn dropped_mut(&mut self, reason: DropReason) -> &mut Counter {
        match reason {
            DropReason::QueueFull => &mut self.dropped_queue_full,
            DropReason::Loss => &mut self.dropped_loss,
            DropReason::Cut => &mut self.dropped_cut,
            DropReason::TooBig => &mut self.dropped_too_big,
        }
    }

    pub(crate) fn note_waiting(&mut self) {
        self.max_waiting_bytes = self.max_waiting_bytes.max(self.waiting.bytes);
    }
}
