//! What the ready-made middleboxes make of packets.

use std::net::Ipv4Addr;

use manypath_base::{Payload, SeqNum};
use manypath_lab::{Direction, Middlebox, middlebox};
use manypath_wire::{
    Checksum, Datagram, Dss, DssNumber, Ecn, Flags, IpHeader, Options, Packet, Segment, Transport,
};

const DATA: &[u8] = b"0123456789";

/// A segment from port 1 to port 2 with a DSS option.
fn segment(flags: Flags, seq: u32, payload: &'static [u8]) -> Segment {
    let mut options = Options::default();
    options.mptcp.dss =
        Some(Dss { data_fin: false, data_ack: Some(DssNumber::Four(5)), mapping: None });
    Segment {
        src_port: 1,
        dst_port: 2,
        seq: SeqNum(seq),
        ack: SeqNum(100),
        flags,
        window: 1_000,
        urgent: 0,
        options,
        payload: Payload::from(payload),
    }
}

fn packet(segment: Segment) -> Datagram {
    let ip = IpHeader {
        src: Ipv4Addr::new(10, 0, 0, 1).into(),
        dst: Ipv4Addr::new(10, 0, 0, 2).into(),
        dscp: 0,
        hop_limit: 64,
        flow_label: 0,
        ecn: Ecn::NotEct,
    };
    Packet { ip, transport: segment.into() }.emit(None, Checksum::Complete)
}

/// What comes out, parsed, which also verifies the checksums.
fn through(
    middlebox: &mut Middlebox,
    direction: Direction,
    segments: &[Segment],
) -> Vec<(Direction, Segment)> {
    let packets = segments.iter().cloned().map(packet).collect();
    let parsed = |packet: Datagram| match Packet::parse(&packet).expect("it is whole").transport {
        Transport::Tcp(segment) => *segment,
        Transport::Icmp(_) => unreachable!("nothing makes one"),
    };
    middlebox(direction, packets).into_iter().map(|(way, packet)| (way, parsed(packet))).collect()
}

#[test]
fn options_are_stripped_where_the_test_says() {
    let mut strip = middlebox::strip_mptcp(|_, segment| segment.flags.has(Flags::SYN));
    let (syn, ack) = (segment(Flags::SYN, 1, b""), segment(Flags::ACK, 2, DATA));
    let out = through(&mut strip, Direction::Up, &[syn.clone(), ack.clone()]);
    let bare = Segment { options: Options::default(), ..syn };
    assert_eq!(out, [(Direction::Up, bare), (Direction::Up, ack)]);
}

#[test]
fn segments_vanish_where_the_test_says() {
    let mut discard = middlebox::discard(|way, _| way == Direction::Down);
    let data = [segment(Flags::ACK, 2, DATA)];
    assert_eq!(through(&mut discard, Direction::Up, &data).len(), 1);
    assert_eq!(through(&mut discard, Direction::Down, &data), []);
}

#[test]
fn shifted_numbers_are_shifted_back_for_the_other_end() {
    let mut shift = middlebox::shift_sequence_numbers(1);
    let (_, up) = through(&mut shift, Direction::Up, &[segment(Flags::ACK, 7, DATA)]).remove(0);
    assert_ne!(up.seq, SeqNum(7));
    let mut answer = Segment { src_port: 2, dst_port: 1, ..segment(Flags::ACK, 100, b"") };
    answer.ack = up.seq.wrapping_add(10);
    answer.options.sack.push(up.seq.wrapping_add(20)..up.seq.wrapping_add(30));
    let (_, down) = through(&mut shift, Direction::Down, &[answer]).remove(0);
    assert_eq!((down.ack, &down.options.sack[..]), (SeqNum(17), &[SeqNum(27)..SeqNum(37)][..]));
    // What this end sent before is what the other end acknowledges now.
    assert_eq!(up.ack, SeqNum(100).wrapping_add(100u32.wrapping_sub(down.seq.0)));
}

#[test]
fn what_is_split_and_joined_again_is_what_it_was() {
    let whole = segment(Flags::ACK | Flags::PSH, 5, DATA);
    let pieces = through(&mut middlebox::split(4), Direction::Up, std::slice::from_ref(&whole));
    let shape: Vec<_> =
        pieces.iter().map(|(_, p)| (p.seq.0, p.payload.len(), p.flags.has(Flags::PSH))).collect();
    assert_eq!(shape, [(5, 4, false), (9, 4, false), (13, 2, true)]);
    assert!(pieces.iter().all(|(_, piece)| piece.options == whole.options));
    let pieces: Vec<_> = pieces.into_iter().map(|(_, piece)| piece).collect();
    let joined = through(&mut middlebox::coalesce(), Direction::Up, &pieces);
    assert_eq!(joined, [(Direction::Up, whole)]);
}

#[test]
fn a_reset_goes_to_both_ends_once_and_is_what_each_expects() {
    let mut reset = middlebox::reset_after(Direction::Up, 10);
    let data = [5, 15, 25].map(|seq| segment(Flags::ACK, seq, DATA));
    let out = through(&mut reset, Direction::Up, &data);
    let shape: Vec<_> = out
        .iter()
        .map(|(way, s)| (*way, s.src_port, s.seq.0, s.flags.has(Flags::RST), s.payload.len()))
        .collect();
    let (up, down) = (Direction::Up, Direction::Down);
    let expected = [
        (up, 1, 5, false, 10),
        (up, 1, 15, true, 0),
        (down, 2, 100, true, 0),
        (up, 1, 25, false, 10),
    ];
    assert_eq!(shape, expected);
}

#[test]
fn what_leaves_a_hole_is_answered_with_a_reset_and_nothing_passes_after_it() {
    let mut reset = middlebox::reset_out_of_order(Direction::Up);
    let begin = segment(Flags::SYN, 4, b"");
    let data = [5, 15, 5, 35, 25].map(|seq| segment(Flags::ACK, seq, DATA));
    let sent = [&[begin][..], &data].concat();
    let out = through(&mut reset, Direction::Up, &sent);
    let shape: Vec<_> =
        out.iter().map(|(way, s)| (*way, s.seq.0, s.flags.has(Flags::RST))).collect();
    let (up, down) = (Direction::Up, Direction::Down);
    let passed = [(up, 4, false), (up, 5, false), (up, 15, false), (up, 5, false)];
    assert_eq!(shape, [&passed[..], &[(down, 100, true)]].concat());
}
