//! Cutting a super-segment that is still a value: what `gso` does to bytes, for a carrier that
//! hands on packets as they were made.
//!
//! **Invariant**: the packets are those that a reader makes of the bytes that `gso` cuts. **Leaves
//! out** checksums and the identification of IPv4, which no value has.

use manypath_base::{Mss, len32};

use crate::{Flags, Packet, Segment, Transport};

impl Packet {
    /// Length in bytes of what [`Packet::emit`] makes of it.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        let carried = match &self.transport {
            Transport::Tcp(segment) => segment.wire_len(),
            Transport::Icmp(error) => error.wire_len(),
        };
        self.ip.wire_len() + carried
    }

    /// The packets of a super-segment that is cut at `mss` bytes of payload, in order; a packet
    /// that is no longer comes out as it is. Sequence numbers advance, FIN and PSH stay on the last
    /// packet, CWR on the first (RFC 3168 §6.1.2).
    pub fn cut(self, mss: Option<Mss>) -> Cut {
        let limit = mss.map_or(usize::MAX, |mss| usize::from(mss.0).max(1));
        Cut { rest: Some(self), limit, first: true }
    }
}

/// The packets of a super-segment, from [`Packet::cut`].
#[derive(Debug)]
pub struct Cut {
    rest: Option<Packet>,
    limit: usize,
    first: bool,
}

impl Iterator for Cut {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        let mut packet = self.rest.take()?;
        if let Transport::Tcp(segment) = &mut packet.transport {
            if !core::mem::take(&mut self.first) {
                segment.flags = segment.flags.without(Flags::CWR);
            }
            if segment.payload.len() > self.limit {
                let rest = Packet { ip: packet.ip, transport: segment.split(self.limit).into() };
                self.rest = Some(rest);
            }
        }
        Some(packet)
    }
}

impl Segment {
    /// Leaves the first `at` bytes of payload here and returns the rest, with the same options.
    fn split(&mut self, at: usize) -> Self {
        let rest = Self {
            seq: self.seq.wrapping_add(len32(at)),
            payload: self.payload.slice(at, self.payload.len()),
            options: self.options.clone(),
            ..*self
        };
        self.payload.truncate(at);
        self.flags = self.flags.without(Flags::FIN | Flags::PSH);
        rest
    }
}
