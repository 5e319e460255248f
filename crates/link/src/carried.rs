//! What links carry.
//!
//! **Owns** how a congestion mark (RFC 3168) is put on a packet. **Leaves out** when.

use bytes::Bytes;
use manypath_base::Payload;
use manypath_wire::{Datagram, Ecn, Packet, Sum};

/// What a link carries.
pub trait Carried: Clone {
    /// Marks the packet with congestion experienced (RFC 3168 §5), if its sender allows it.
    /// Returns whether it did.
    fn mark_congestion(&mut self) -> bool {
        false
    }
}

impl Carried for Packet {
    fn mark_congestion(&mut self) -> bool {
        let allowed = self.ip.ecn != Ecn::NotEct;
        if allowed {
            self.ip.ecn = Ecn::Ce;
        }
        allowed
    }
}

impl Carried for Datagram {
    fn mark_congestion(&mut self) -> bool {
        if !self.header.is_empty() {
            return mark(&mut self.header);
        }
        // The headers are in what may be shared with others: only a packet that is marked is copied.
        let Some(mut first) = self.payload.chunks().first().map(|chunk| chunk.to_vec()) else {
            return false;
        };
        if !mark(&mut first) {
            return false;
        }
        let rest = std::mem::take(&mut self.payload).into_chunks().skip(1);
        self.payload = Payload::from(Bytes::from(first));
        rest.for_each(|chunk| self.payload.push(chunk));
        true
    }
}

/// Length of an IPv4 header without options, which is the least.
const IPV4_LEN: usize = 20;
/// Where an IPv4 header has its checksum.
const CHECKSUM_AT: usize = 10;

/// Marks an IP header, if it allows it. The code point is the last two bits of the second byte in
/// IPv4, and the third and fourth of it in IPv6, whose traffic class begins in the first.
fn mark(header: &mut [u8]) -> bool {
    match header.first().map(|first| first >> 4) {
        Some(4) => mark_v4(header),
        Some(6) => set(header, 0x30),
        _ => false,
    }
}

/// Puts all of `bits` into the second byte, if it has one of them.
fn set(header: &mut [u8], bits: u8) -> bool {
    let Some(class) = header.get_mut(1).filter(|class| **class & bits != 0) else { return false };
    *class |= bits;
    true
}

/// Marks an IPv4 header and completes its checksum (RFC 791 §3.1).
fn mark_v4(header: &mut [u8]) -> bool {
    let words = usize::from(header[0] & 15);
    let len = (words * 4).max(IPV4_LEN);
    if header.len() < len || !set(header, 3) {
        return false;
    }
    header[CHECKSUM_AT..CHECKSUM_AT + 2].fill(0);
    let mut sum = Sum::new();
    sum.add(&header[..len]);
    let checksum = sum.checksum().to_be_bytes();
    header[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&checksum);
    true
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use manypath_base::SeqNum;
    use manypath_wire::{Checksum, Flags, IpHeader, Options, Segment};

    use super::*;

    fn packet(addrs: [&str; 2], ecn: Ecn) -> Packet {
        let [src, dst] = addrs.map(|addr| addr.parse::<IpAddr>().unwrap());
        let ip = IpHeader { src, dst, ecn, dscp: 5, hop_limit: 64, flow_label: 0 };
        let segment = Segment {
            src_port: 1,
            dst_port: 2,
            seq: SeqNum(1_000),
            ack: SeqNum(7),
            flags: Flags::ACK,
            window: 9,
            urgent: 0,
            options: Options::default(),
            payload: Payload::from(Bytes::from_static(b"hello")),
        };
        Packet { ip, transport: segment.into() }
    }

    /// The same as a device delivers it: in one piece.
    fn whole(datagram: &Datagram) -> Datagram {
        let mut bytes = datagram.header.to_vec();
        bytes.extend(datagram.payload.to_vec());
        let payload = Payload::from(Bytes::from(bytes));
        Datagram { header: Default::default(), payload, ..datagram.clone() }
    }

    /// A reader checks the sum of every IPv4 header, so that a marked packet must have a right one.
    #[test]
    fn a_mark_is_what_a_reader_finds_and_others_stay_unmarked() {
        for addrs in [["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]] {
            for (before, after) in
                [(Ecn::Ect0, Ecn::Ce), (Ecn::Ce, Ecn::Ce), (Ecn::NotEct, Ecn::NotEct)]
            {
                let (sent, expected) = (packet(addrs, before), packet(addrs, after));
                let apart = sent.emit(None, Checksum::Complete);
                for mut datagram in [whole(&apart), apart] {
                    assert_eq!(datagram.mark_congestion(), before != Ecn::NotEct);
                    assert_eq!(Packet::parse(&datagram).unwrap(), expected);
                }
                let mut value = sent;
                assert_eq!(value.mark_congestion(), before != Ecn::NotEct);
                assert_eq!(value, expected);
            }
        }
    }

    #[test]
    fn what_is_no_whole_header_stays_as_it_is() {
        for bytes in [&b""[..], &[0x45], &[0x45, 3, 0, 0], &[0x60], &[0x15; 40], &[0x4f, 1]] {
            let mut datagram = Datagram {
                payload: Payload::from(Bytes::copy_from_slice(bytes)),
                ..Datagram::default()
            };
            assert!(!datagram.mark_congestion());
            assert_eq!(datagram.payload.to_vec(), bytes);
        }
    }
}
