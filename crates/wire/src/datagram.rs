//! What a device carries: one IP packet, or one super-segment that stands for many.

use manypath_base::{Mss, Payload};
use smallvec::SmallVec;

/// What is known of the TCP checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// The field holds the whole checksum; a receiver must verify it.
    #[default]
    Complete,
    /// Sending: the field holds the sum of the pseudo-header only, the device does the rest.
    /// Receiving: the device has verified it, or the packet never left the host.
    Offloaded,
}

/// One IP packet, or one super-segment: a packet longer than the path's MTU that the device cuts
/// at `gso_mss` (TSO), or that it joined from several (GRO).
///
/// **Invariant**: the IP and TCP headers are contiguous, either in `header` or, where `header` is
/// empty, at the start of the first chunk of `payload`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// IP and TCP headers with options; empty if `payload` holds the whole packet.
    pub header: SmallVec<[u8; 104]>,
    /// What follows `header`.
    pub payload: Payload,
    /// Payload bytes per packet, where this is a super-segment.
    pub gso_mss: Option<Mss>,
    /// What is known of the TCP checksum.
    pub checksum: Checksum,
}

impl Datagram {
    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.len() + self.payload.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
