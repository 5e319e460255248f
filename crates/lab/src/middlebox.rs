//! Boxes in the middle of a link that look into packets and change them, as firewalls and
//! optimisers do (RFC 8684 §3.7, RFC 6182 §2).
//!
//! **Owns** ready-made boxes for the changes that are known from the Internet. **Invariants**: what
//! a box made has complete checksums; what it left alone passes bit for bit. **Leaves out** rates
//! and losses, which are the link's, and state that would need a timer.

use std::collections::BTreeMap;

use manypath_base::{Rng, SeqNum, len32, len64};
use manypath_wire::{
    Checksum, Coalescer, Datagram, Flags, IpHeader, MptcpOptions, Options, Packet, Segment,
    Transport,
};

use crate::emulator::Direction;

/// Gets the packets that came in together at one end of a link, each no longer than its sender's
/// MTU, and gives what goes on instead, and which way. It runs in the emulator's thread: it must be
/// quick.
pub type Middlebox = Box<dyn FnMut(Direction, Vec<Datagram>) -> Vec<(Direction, Datagram)> + Send>;

/// Lets `change` change every TCP segment.
#[must_use]
pub fn edit(mut change: impl FnMut(Direction, &mut Segment) + Send + 'static) -> Middlebox {
    Box::new(move |direction, packets| {
        let each = packets.into_iter();
        each.map(|packet| (direction, edited(packet, |s| change(direction, s)))).collect()
    })
}

/// Removes the MPTCP options of the segments that `which` picks.
#[must_use]
pub fn strip_mptcp(
    mut which: impl FnMut(Direction, &Segment) -> bool + Send + 'static,
) -> Middlebox {
    edit(move |direction, segment| {
        if which(direction, segment) {
            segment.options.mptcp = MptcpOptions::default();
        }
    })
}

/// Drops the TCP segments that `which` picks.
#[must_use]
pub fn discard(mut which: impl FnMut(Direction, &Segment) -> bool + Send + 'static) -> Middlebox {
    Box::new(move |direction, packets| {
        let each = packets.into_iter();
        let passes = |p: &Datagram| !tcp(p).is_some_and(|(_, segment)| which(direction, &segment));
        each.filter(passes).map(|packet| (direction, packet)).collect()
    })
}

/// Adds to the sequence numbers of each direction of each flow a number of its own, as firewalls do
/// that do not trust the ends' initial numbers; acknowledgments and SACK blocks follow.
#[must_use]
pub fn shift_sequence_numbers(seed: u64) -> Middlebox {
    let mut rng = Rng::seeded(seed);
    let mut shifts: BTreeMap<(u16, u16), [u32; 2]> = BTreeMap::new();
    edit(move |direction, segment| {
        let (flow, this, other) = match direction {
            Direction::Up => ((segment.src_port, segment.dst_port), 0, 1),
            Direction::Down => ((segment.dst_port, segment.src_port), 1, 0),
        };
        let shift = shifts.entry(flow).or_insert_with(|| [rng.u32(), rng.u32()]);
        let back = |seq: SeqNum| seq.wrapping_add(shift[other].wrapping_neg());
        segment.seq = segment.seq.wrapping_add(shift[this]);
        if segment.flags.has(Flags::ACK) {
            segment.ack = back(segment.ack);
        }
        for block in &mut segment.options.sack {
            *block = back(block.start)..back(block.end);
        }
    })
}

/// Cuts segments so that none has more than `bytes` of payload; the pieces have the options of the
/// whole, as after TSO.
#[must_use]
pub fn split(bytes: usize) -> Middlebox {
    Box::new(move |direction, packets| {
        let pieces = packets.into_iter().flat_map(|packet| pieces(packet, bytes));
        pieces.map(|packet| (direction, packet)).collect()
    })
}

/// Joins neighbouring segments of a flow that arrive together and whose options are the same, as
/// GRO does, into packets of up to 65,000 bytes: for a link with such an MTU.
#[must_use]
pub fn coalesce() -> Middlebox {
    Box::new(move |direction, packets| {
        let mut joined = Coalescer::default();
        let mut out: Vec<_> = packets.into_iter().filter_map(|p| joined.push(p)).collect();
        out.extend(joined.flush());
        out.into_iter().map(|packet| (direction, in_one(packet))).collect()
    })
}

/// Once `bytes` of payload went by in `direction`, swallows the next segment with payload and sends
/// a RST to both ends of its flow instead, once.
#[must_use]
pub fn reset_after(direction: Direction, bytes: u64) -> Middlebox {
    let (mut passed, mut done) = (0, false);
    Box::new(move |way, packets| {
        let mut out = Vec::new();
        for packet in packets {
            let data = tcp(&packet).filter(|(_, s)| way == direction && !s.payload.is_empty());
            match data {
                Some((ip, segment)) if passed >= bytes && !done => {
                    done = true;
                    out.extend(resets(way, &ip, &segment));
                }
                Some((_, segment)) => {
                    passed += len64(segment.payload.len());
                    out.push((way, packet));
                }
                None => out.push((way, packet)),
            }
        }
        out
    })
}

/// Answers the first segment that leaves a hole behind what went by in `direction` of its flow by a
/// RST to its sender, and lets nothing of that flow pass in this direction from then on: a firewall
/// that sees the whole of each connection, or thinks so.
#[must_use]
pub fn reset_out_of_order(direction: Direction) -> Middlebox {
    // What comes next of each flow; nothing once it was reset.
    let mut edges: BTreeMap<(u16, u16), Option<SeqNum>> = BTreeMap::new();
    Box::new(move |way, packets| {
        let mut out = Vec::new();
        for packet in packets {
            let Some((ip, segment)) = tcp(&packet).filter(|_| way == direction) else {
                out.push((way, packet));
                continue;
            };
            let len = len32(segment.payload.len()) + u32::from(segment.flags.has(Flags::SYN));
            let end = segment.seq.wrapping_add(len);
            let state = edges.entry((segment.src_port, segment.dst_port)).or_insert(Some(end));
            match *state {
                Some(edge) if edge.before(segment.seq) => {
                    *state = None;
                    let [_, answer] = resets(way, &ip, &segment);
                    out.push(answer);
                }
                Some(edge) => {
                    *state = Some(if edge.before(end) { end } else { edge });
                    out.push((way, packet));
                }
                None => {}
            }
        }
        out
    })
}

fn tcp(packet: &Datagram) -> Option<(IpHeader, Segment)> {
    match Packet::parse(packet).ok()? {
        Packet { ip, transport: Transport::Tcp(segment) } => Some((ip, *segment)),
        Packet { ip: _, transport: Transport::Icmp(_) } => None,
    }
}

fn datagram(ip: IpHeader, segment: Segment) -> Datagram {
    Packet { ip, transport: segment.into() }.emit(None, Checksum::Complete)
}

fn edited(packet: Datagram, change: impl FnOnce(&mut Segment)) -> Datagram {
    let Some((ip, before)) = tcp(&packet) else { return packet };
    let mut segment = before.clone();
    change(&mut segment);
    if segment == before { packet } else { datagram(ip, segment) }
}

fn pieces(packet: Datagram, bytes: usize) -> Vec<Datagram> {
    let long = tcp(&packet).filter(|(_, segment)| segment.payload.len() > bytes);
    let Some((ip, whole)) = long else { return vec![packet] };
    let len = whole.payload.len();
    let piece = |start: usize| {
        let end = len.min(start + bytes);
        let ends = if end < len { Flags::FIN | Flags::PSH } else { Flags::default() };
        let mut piece = whole.clone();
        piece.seq = whole.seq.wrapping_add(len32(start));
        piece.flags = whole.flags.without(ends);
        piece.payload = whole.payload.slice(start, end);
        datagram(ip, piece)
    };
    (0..len).step_by(bytes).map(piece).collect()
}

/// A super-segment as the one long packet that it describes.
fn in_one(packet: Datagram) -> Datagram {
    match tcp(&packet).filter(|_| packet.checksum == Checksum::Offloaded) {
        Some((ip, segment)) => datagram(ip, segment),
        None => packet,
    }
}

/// What ends the flow of `segment` at both ends, if they expect just this segment.
fn resets(way: Direction, ip: &IpHeader, segment: &Segment) -> [(Direction, Datagram); 2] {
    let back = match way {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
    };
    let bare = |segment: &Segment| Segment {
        flags: Flags::RST | Flags::ACK,
        options: Options::default(),
        payload: manypath_base::Payload::new(),
        ..segment.clone()
    };
    let forth = bare(segment);
    let answer = Segment {
        src_port: segment.dst_port,
        dst_port: segment.src_port,
        seq: segment.ack,
        ack: segment.seq,
        ..bare(segment)
    };
    let turned = IpHeader { src: ip.dst, dst: ip.src, ..*ip };
    [(way, datagram(*ip, forth)), (back, datagram(turned, answer))]
}
