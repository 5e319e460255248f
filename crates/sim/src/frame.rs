//! What travels through a simulated network.

use manypath_base::Mss;
use manypath_wire::{Datagram, Sum};

use crate::Carried;
use crate::hash::mix;

/// An interface of a host, as packets name it: host in the upper bits, interface in the lower 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

impl Port {
    /// Interface `iface` of host number `host`.
    #[must_use]
    pub fn new(host: u32, iface: u8) -> Self {
        Self(host << 8 | u32::from(iface))
    }

    /// The number of the host.
    #[must_use]
    pub fn host(self) -> u32 {
        self.0 >> 8
    }

    /// Its IPv4 address: `10.h.h.i`, with interfaces counted from 1.
    #[must_use]
    pub fn addr(self) -> [u8; 4] {
        let [_, a, b, iface] = self.0.to_be_bytes();
        [10, a, b, iface.wrapping_add(1)]
    }

    /// The interface that has an address.
    #[must_use]
    pub fn of_addr(addr: [u8; 4]) -> Option<Self> {
        let [ten, a, b, iface] = addr;
        (ten == 10).then(|| Self(u32::from_be_bytes([0, a, b, iface.wrapping_sub(1)])))
    }
}

/// One packet under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length in bytes, IP header included.
    pub bytes: u32,
    /// Where it goes.
    pub to: Port,
    /// A hash of its addresses and ports, for switches that spread flows.
    pub flow: u32,
    /// What it is.
    pub content: Content,
}

/// What a packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A packet between two endpoints.
    Datagram(Datagram),
    /// Traffic of the flow with this number that only takes place.
    Filler(u32),
}

/// Where an IPv4 header has its addresses, which the ports follow in our packets.
const ADDRESSES_AT: usize = 12;
/// Where the sequence number is.
const SEQ_AT: usize = 24;

impl Frame {
    /// The packet of an endpoint; `None` if it is none that this network carries (IPv4).
    #[must_use]
    pub fn of(datagram: Datagram) -> Option<Self> {
        let bytes = u32::try_from(datagram.len()).ok()?;
        let header = &datagram.header;
        let from = word(header, ADDRESSES_AT)?;
        let to = word(header, ADDRESSES_AT + 4)?;
        let ports = word(header, ADDRESSES_AT + 8)?;
        if header.first() != Some(&0x45) {
            return None;
        }
        let flow = mix(mix(u64::from(from) << 32 | u64::from(to)) ^ u64::from(ports));
        let [_, _, _, _, a, b, c, d] = flow.to_be_bytes();
        let flow = u32::from_be_bytes([a, b, c, d]);
        let to = Port::of_addr(to.to_be_bytes())?;
        Some(Self { bytes, to, flow, content: Content::Datagram(datagram) })
    }

    /// A packet of a source without a protocol.
    #[must_use]
    pub fn filler(source: u32, to: Port, bytes: u32) -> Self {
        Self { bytes, to, flow: source, content: Content::Filler(source) }
    }

    /// What the trace remembers of it: length and, of TCP, sequence and acknowledgment number.
    #[must_use]
    pub fn summary(&self) -> u64 {
        let (seq, ack) = match &self.content {
            Content::Datagram(d) => {
                (word(&d.header, SEQ_AT).unwrap_or(0), word(&d.header, SEQ_AT + 4).unwrap_or(0))
            }
            Content::Filler(source) => (*source, 0),
        };
        (u64::from(seq) << 32 | u64::from(ack)) ^ u64::from(self.bytes) << 16 ^ u64::from(self.flow)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// Where an IPv4 header has its code point, whose last two bits are ECN (RFC 3168 §5).
const ECN_AT: usize = 1;
const CHECKSUM_AT: usize = 10;

impl Carried for Box<Frame> {
    fn mark_congestion(&mut self) -> bool {
        let Content::Datagram(datagram) = &mut self.content else { return false };
        let header = &mut datagram.header;
        if header.len() < 20 || header[ECN_AT] & 3 == 0 {
            return false;
        }
        header[ECN_AT] |= 3;
        header[CHECKSUM_AT..CHECKSUM_AT + 2].fill(0);
        let mut sum = Sum::new();
        sum.add(&header[..20]);
        let checksum = sum.checksum().to_be_bytes();
        header[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&checksum);
        true
    }
}

/// Cuts a super-segment into packets. Their TCP checksums stay as they are, left to a device as on
/// a TUN with checksum offload: this network harms no bits.
pub(crate) fn packets(datagram: Datagram, mut each: impl FnMut(Datagram)) {
    let whole = |mss: Mss| datagram.payload.len() <= usize::from(mss.0);
    match datagram.gso_mss {
        Some(mss) if !whole(mss) => manypath_wire::segment_offloaded(datagram).for_each(each),
        Some(_) | None => each(Datagram { gso_mss: None, ..datagram }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use manypath_base::{Payload, SeqNum};
    use manypath_wire::{Checksum, Ecn, Flags, IpHeader, Options, Packet, Segment, Transport};

    fn packet(ecn: Ecn, bytes: usize) -> Packet {
        let addr = |host| Ipv4Addr::from(Port::new(host, 0).addr()).into();
        let (src, dst) = (addr(1), addr(2));
        let ip = IpHeader { src, dst, ecn, dscp: 0, hop_limit: 64, flow_label: 0 };
        let segment = Segment {
            src_port: 1,
            dst_port: 2,
            seq: SeqNum(1_000),
            ack: SeqNum(7),
            flags: Flags::ACK,
            window: 9,
            urgent: 0,
            options: Options::default(),
            payload: Payload::from(bytes::Bytes::from(vec![5; bytes])),
        };
        Packet { ip, transport: Transport::Tcp(segment) }
    }

    /// A reader checks the sum of every IPv4 header, so that a marked packet must have a right one.
    #[test]
    fn a_mark_is_what_a_reader_finds_and_others_stay_unmarked() {
        for (before, after) in
            [(Ecn::Ect0, Ecn::Ce), (Ecn::Ce, Ecn::Ce), (Ecn::NotEct, Ecn::NotEct)]
        {
            let sent = packet(before, 10).emit(None, Checksum::Complete);
            let mut frame = Box::new(Frame::of(sent).unwrap());
            assert_eq!(frame.mark_congestion(), before != Ecn::NotEct);
            let Content::Datagram(marked) = frame.content else { panic!("it was a datagram") };
            assert_eq!(Packet::parse(&marked).unwrap().ip.ecn, after);
        }
        assert!(!Box::new(Frame::filler(0, Port(0), 100)).mark_congestion());
    }

    #[test]
    fn a_super_segment_is_cut_and_nobody_sums_its_payload() {
        let whole = packet(Ecn::NotEct, 2_500).emit(Some(Mss(1_000)), Checksum::Offloaded);
        let mut cut = Vec::new();
        packets(whole, |packet| cut.push(packet));
        let read = |d: &Datagram| match Packet::parse(d).unwrap().transport {
            Transport::Tcp(segment) => (segment.seq.0, segment.payload.len()),
            Transport::Icmp(_) => panic!("it was TCP"),
        };
        assert!(cut.iter().all(|d| d.checksum == Checksum::Offloaded));
        let cut: Vec<_> = cut.iter().map(read).collect();
        assert_eq!(cut, [(1_000, 1_000), (2_000, 1_000), (3_000, 500)]);
    }
}
