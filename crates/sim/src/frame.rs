//! What travels through a simulated network.

use std::net::{IpAddr, Ipv6Addr};

use manypath_base::Mss;
use manypath_mptcp::Departure;
use manypath_wire::{Checksum, Datagram, Packet, Transport};

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

    /// Its IPv6 address: `fd00::` with the IPv4 address as its last four bytes (RFC 4193 §3.1).
    #[must_use]
    pub fn addr6(self) -> Ipv6Addr {
        (PREFIX | u128::from(u32::from_be_bytes(self.addr()))).into()
    }

    /// The interface that has an address, of either kind, and what tells it from others of its kind.
    fn of_ip(addr: IpAddr) -> Option<(Self, u32)> {
        let own = match addr {
            IpAddr::V4(addr) => u32::from(addr),
            IpAddr::V6(addr) => u32::try_from(u128::from(addr) ^ PREFIX).ok()?,
        };
        Self::of_addr(own.to_be_bytes()).map(|port| (port, own))
    }

    /// The interface that has an address.
    #[must_use]
    pub fn of_addr(addr: [u8; 4]) -> Option<Self> {
        let [ten, a, b, iface] = addr;
        (ten == 10).then(|| Self(u32::from_be_bytes([0, a, b, iface.wrapping_sub(1)])))
    }
}

/// Before the part of an IPv6 address that tells hosts apart.
const PREFIX: u128 = 0xfd00 << 112;

/// One packet under way. What links and switches look at stands beside the packet, which is not
/// touched on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length in bytes, IP header included.
    pub bytes: u32,
    /// Where it goes.
    pub to: Port,
    /// A hash of its addresses and ports, for switches that spread flows.
    pub flow: u32,
    /// Its place in line among the flows that go the same way, where switches take turns.
    pub(crate) turn: Turn,
    /// Sequence and acknowledgment number.
    numbers: [u32; 2],
    /// What it is.
    pub content: Content,
}

/// The place of a flow among those between the same two interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// A hash of the interfaces.
    pub(crate) pair: u32,
    /// How many flows of the pair came before, as far as switches have not used it up.
    pub(crate) left: u32,
}

/// In what form packets of endpoints travel. Both give the same trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carriage {
    /// As the values that they were made from: nothing is written and read again.
    #[default]
    Values,
    /// As bytes, like on a real network.
    Bytes,
}

/// What a packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A packet between two endpoints, as a value.
    Packet(Box<Packet>),
    /// The same as bytes.
    Datagram(Box<Datagram>),
    /// Traffic of the flow with this number that only takes place.
    Filler(u32),
}

/// Where a packet without IP options or extension headers has what tells flows apart. Of IPv6
/// addresses the last four bytes do.
struct Layout {
    from: usize,
    to: usize,
    /// The TCP header, with the ports first and the sequence number after them.
    tcp: usize,
}

impl Layout {
    const V4: Self = Self { from: 12, to: 16, tcp: 20 };
    const V6: Self = Self { from: 20, to: 36, tcp: 40 };
    const TCP: u8 = 6;

    fn of(header: &[u8]) -> Option<Self> {
        match (header.first()?, header.get(6)?) {
            (0x45, _) => Some(Self::V4),
            (0x60..=0x6f, &Self::TCP) => Some(Self::V6),
            _ => None,
        }
    }
}

impl Frame {
    /// The packet of an endpoint; `None` if it is none that this network carries (TCP).
    #[must_use]
    pub fn of(packet: Packet) -> Option<Self> {
        let ((_, from), (to, to_addr)) = (Port::of_ip(packet.ip.src)?, Port::of_ip(packet.ip.dst)?);
        let Transport::Tcp(segment) = &packet.transport else { return None };
        let bytes = u32::try_from(packet.wire_len()).ok()?;
        let ports = u32::from(segment.src_port) << 16 | u32::from(segment.dst_port);
        let flow = flow_hash(from, to_addr, ports);
        let numbers = [segment.seq.0, segment.ack.0];
        Some(Self {
            bytes,
            to,
            flow,
            turn: Turn::default(),
            numbers,
            content: Content::Packet(Box::new(packet)),
        })
    }

    /// The same from bytes.
    #[must_use]
    pub fn of_bytes(datagram: Datagram) -> Option<Self> {
        let bytes = u32::try_from(datagram.len()).ok()?;
        let header = &datagram.header;
        let at = Layout::of(header)?;
        let (from, to, ports) =
            (word(header, at.from)?, word(header, at.to)?, word(header, at.tcp)?);
        let flow = flow_hash(from, to, ports);
        let to = Port::of_addr(to.to_be_bytes())?;
        let numbers = [word(header, at.tcp + 4)?, word(header, at.tcp + 8)?];
        Some(Self {
            bytes,
            to,
            flow,
            turn: Turn::default(),
            numbers,
            content: Content::Datagram(Box::new(datagram)),
        })
    }

    /// A packet of a source without a protocol.
    #[must_use]
    pub fn filler(source: u32, to: Port, bytes: u32) -> Self {
        let (turn, numbers) = (Turn::default(), [source, 0]);
        Self { bytes, to, flow: source, turn, numbers, content: Content::Filler(source) }
    }

    /// What the trace remembers of it: length and, of TCP, sequence and acknowledgment number.
    #[must_use]
    pub fn summary(&self) -> u64 {
        let [seq, ack] = self.numbers;
        (u64::from(seq) << 32 | u64::from(ack)) ^ u64::from(self.bytes) << 16 ^ u64::from(self.flow)
    }
}

/// The lower half of a hash over addresses and ports.
fn flow_hash(from: u32, to: u32, ports: u32) -> u32 {
    let flow = mix(mix(u64::from(from) << 32 | u64::from(to)) ^ u64::from(ports));
    let [_, _, _, _, a, b, c, d] = flow.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

impl Carried for Frame {
    fn mark_congestion(&mut self) -> bool {
        match &mut self.content {
            Content::Packet(packet) => packet.mark_congestion(),
            Content::Datagram(datagram) => datagram.mark_congestion(),
            Content::Filler(_) => false,
        }
    }
}

/// The frames of what an endpoint sends, a super-segment cut into packets.
pub(crate) fn frames(departure: Departure, carriage: Carriage, mut each: impl FnMut(Frame)) {
    let Departure { packet, gso_mss, .. } = departure;
    match carriage {
        Carriage::Values if is_whole(&packet, gso_mss) => {
            Frame::of(packet).into_iter().for_each(each);
        }
        Carriage::Values => packet.cut(gso_mss).filter_map(Frame::of).for_each(each),
        Carriage::Bytes => {
            let datagram = packet.emit(gso_mss, Checksum::Offloaded);
            packets(datagram, |d| Frame::of_bytes(d).into_iter().for_each(&mut each));
        }
    }
}

/// Whether nothing is to be cut: most packets need no iterator.
fn is_whole(packet: &Packet, mss: Option<Mss>) -> bool {
    match &packet.transport {
        Transport::Tcp(segment) => mss.is_none_or(|mss| segment.payload.len() <= mss.0.into()),
        Transport::Icmp(_) => true,
    }
}

/// Cuts a super-segment into packets. Their TCP checksums stay as they are, left to a device as on
/// a TUN with checksum offload: this network harms no bits.
fn packets(datagram: Datagram, mut each: impl FnMut(Datagram)) {
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
    use manypath_wire::{Ecn, Flags, IpHeader, Options, Segment};

    fn packet(ecn: Ecn, bytes: usize) -> Packet {
        let addr = |host| Ipv4Addr::from(Port::new(host, 0).addr()).into();
        packet_between(addr(1), addr(2), ecn, bytes)
    }

    fn packet_between(src: IpAddr, dst: IpAddr, ecn: Ecn, bytes: usize) -> Packet {
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
        Packet { ip, transport: segment.into() }
    }

    fn departure(packet: Packet, gso_mss: Option<Mss>) -> Departure {
        Departure { iface: manypath_base::IfaceId(0), packet, gso_mss }
    }

    fn sent(departure: &Departure, carriage: Carriage) -> Vec<Frame> {
        let mut sent = Vec::new();
        frames(departure.clone(), carriage, |frame| sent.push(frame));
        sent
    }

    /// The packet that its receiver will see.
    fn read(frame: &Frame) -> Packet {
        match &frame.content {
            Content::Packet(packet) => (**packet).clone(),
            Content::Datagram(datagram) => Packet::parse(datagram).unwrap(),
            Content::Filler(_) => panic!("it was a packet"),
        }
    }

    /// A reader checks the sum of every IPv4 header, so that a marked packet must have a right one.
    #[test]
    fn a_mark_is_what_a_reader_finds_and_others_stay_unmarked() {
        let cases = [(Ecn::Ect0, Ecn::Ce), (Ecn::Ce, Ecn::Ce), (Ecn::NotEct, Ecn::NotEct)];
        for carriage in [Carriage::Values, Carriage::Bytes] {
            for (before, after) in cases {
                let mut frame = sent(&departure(packet(before, 10), None), carriage).remove(0);
                assert_eq!(frame.mark_congestion(), before != Ecn::NotEct);
                assert_eq!(read(&frame).ip.ecn, after, "{carriage:?}");
            }
        }
        assert!(!Frame::filler(0, Port(0), 100).mark_congestion());
    }

    #[test]
    fn values_and_bytes_are_cut_into_the_same_frames() {
        let addr = |host| Port::new(host, 0).addr6().into();
        let v6 = packet_between(addr(1), addr(2), Ecn::NotEct, 2_500);
        for (packet, header) in [(packet(Ecn::NotEct, 2_500), 40), (v6, 60)] {
            cut_alike(packet, header);
        }
    }

    fn cut_alike(packet: Packet, header: u32) {
        let whole = departure(packet, Some(Mss(1_000)));
        let (values, bytes) = (sent(&whole, Carriage::Values), sent(&whole, Carriage::Bytes));
        let seen =
            |frame: &Frame| (frame.bytes, frame.to, frame.flow, frame.summary(), read(frame));
        let (values, bytes): (Vec<_>, Vec<_>) =
            (values.iter().map(seen).collect(), bytes.iter().map(seen).collect());
        assert_eq!(values, bytes);
        let expected = [1_000, 1_000, 500].map(|payload| (payload + header, Port::new(2, 0)));
        assert_eq!(values.iter().map(|seen| (seen.0, seen.1)).collect::<Vec<_>>(), expected);
    }
}
