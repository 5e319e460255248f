//! What a link counted.

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

/// Why a packet did not come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue was full.
    QueueFull,
    /// The queue's discipline dropped it before that.
    Early,
    /// Lost on the wire.
    Loss,
    /// The link was cut.
    Cut,
    /// Longer than the MTU of the link.
    TooBig,
}

/// Counters of one direction of a link.
///
/// **Invariant**: `offered + duplicated = delivered + dropped (all reasons) + what is inside`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Handed in.
    pub offered: Counter,
    /// Left the transmitter, those that are lost on the wire included.
    pub transmitted: Counter,
    /// Taken out, copies included.
    pub delivered: Counter,
    /// Extra copies made.
    pub duplicated: Counter,
    /// Held back so that others pass.
    pub reordered: Counter,
    /// Marked with congestion experienced.
    pub marked: Counter,
    /// Found the queue full.
    pub dropped_queue_full: Counter,
    /// Dropped by the queue's discipline.
    pub dropped_early: Counter,
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
    /// What was dropped, for any reason.
    #[must_use]
    pub fn dropped(&self) -> Counter {
        let all = [
            self.dropped_queue_full,
            self.dropped_early,
            self.dropped_loss,
            self.dropped_cut,
            self.dropped_too_big,
        ];
        Counter {
            packets: all.iter().map(|c| c.packets).sum(),
            bytes: all.iter().map(|c| c.bytes).sum(),
        }
    }

    pub(crate) fn dropped_mut(&mut self, reason: DropReason) -> &mut Counter {
        match reason {
            DropReason::QueueFull => &mut self.dropped_queue_full,
            DropReason::Early => &mut self.dropped_early,
            DropReason::Loss => &mut self.dropped_loss,
            DropReason::Cut => &mut self.dropped_cut,
            DropReason::TooBig => &mut self.dropped_too_big,
        }
    }
}
