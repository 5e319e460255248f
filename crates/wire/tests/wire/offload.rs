//! Cutting and joining super-segments against the dumbest model: bytes with their places.

use manypath_base::{Mss, Payload, SeqNum, len16, len32};
use manypath_wire::{
    Checksum, Coalescer, Datagram, Dss, DssMapping, DssNumber, Error, Flags, Packet, Run, Segment,
    Transport, segment, segment_offloaded,
};
use proptest::prelude::*;

use crate::flat;
use crate::strategies::{payload, tcp_packet};

fn tcp(packet: &Packet) -> &Segment {
    match &packet.transport {
        Transport::Tcp(segment) => segment,
        Transport::Icmp(error) => panic!("{error:?}"),
    }
}

fn tcp_mut(packet: &mut Packet) -> &mut Segment {
    match &mut packet.transport {
        Transport::Tcp(segment) => segment,
        Transport::Icmp(error) => panic!("{error:?}"),
    }
}

fn checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![Just(Checksum::Complete), Just(Checksum::Offloaded)]
}

/// What cutting must give, packet by packet.
fn model(packet: &Packet, mss: usize) -> Vec<Packet> {
    let bytes = tcp(packet).payload.to_vec();
    let parts: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(mss).collect() };
    let last = parts.len() - 1;
    let cut = |(i, part): (usize, &&[u8])| {
        let mut packet = packet.clone();
        let segment = tcp_mut(&mut packet);
        segment.seq = segment.seq.wrapping_add(len32(i * mss));
        segment.payload = bytes::Bytes::copy_from_slice(part).into();
        if i != 0 {
            segment.flags = segment.flags.without(Flags::CWR);
        }
        if i != last {
            segment.flags = segment.flags.without(Flags::PSH | Flags::FIN);
        }
        packet
    };
    parts.iter().enumerate().map(cut).collect()
}

fn push_all(packets: impl IntoIterator<Item = Datagram>) -> Vec<Datagram> {
    let mut coalescer = Coalescer::default();
    let mut out: Vec<_> = packets.into_iter().filter_map(|d| coalescer.push(d)).collect();
    out.extend(coalescer.flush());
    assert_eq!(coalescer.flush(), None);
    out
}

/// Every byte with its flow, place and acknowledgment; a packet without data as one place.
fn places(packets: &[Datagram]) -> Vec<(u16, SeqNum, SeqNum, Option<u8>)> {
    let mut out = Vec::new();
    for d in packets {
        let packet = Packet::parse(d).unwrap();
        let tcp = tcp(&packet);
        let at = |n| tcp.seq.wrapping_add(n);
        if tcp.payload.is_empty() {
            out.push((tcp.src_port, tcp.seq, tcp.ack, None));
        }
        let bytes = (0..).zip(tcp.payload.to_vec());
        out.extend(bytes.map(|(n, byte)| (tcp.src_port, at(n), tcp.ack, Some(byte))));
    }
    out
}

proptest! {
    /// What is left to the device, a device that cuts again completes; what is complete, stays so.
    #[test]
    fn cutting_with_checksums_left_out_and_completing_them_is_cutting(
        packet in tcp_packet(900), mss in 1u16..600, checksum in checksum(),
    ) {
        let whole = packet.emit(Some(Mss(mss)), checksum);
        let cut: Vec<_> = segment_offloaded(whole.clone()).collect();
        prop_assert!(cut.iter().all(|d| (d.gso_mss, d.checksum) == (None, checksum)));
        let completed: Vec<_> = cut.into_iter().flat_map(segment).collect();
        prop_assert_eq!(completed, segment(whole).collect::<Vec<_>>());
    }

    #[test]
    fn cutting_is_that_of_the_model(
        packet in tcp_packet(900), mss in 1u16..600, checksum in checksum(),
    ) {
        let whole = packet.emit(Some(Mss(mss)), checksum);
        let cut: Vec<_> = segment(whole).collect();
        for (i, d) in cut.iter().enumerate() {
            prop_assert_eq!((d.gso_mss, d.checksum), (None, Checksum::Complete));
            if packet.ip.src.is_ipv4() {
                prop_assert_eq!(d.header[4..6].to_vec(), len16(i).to_be_bytes().to_vec());
            }
        }
        // Parsing verifies every checksum.
        let parsed: Result<Vec<_>, Error> = cut.iter().map(Packet::parse).collect();
        prop_assert_eq!(parsed, Ok(model(&packet, mss.into())));
    }

    /// Who hands on values cuts them into what a reader of the bytes would see.
    #[test]
    fn cutting_a_value_is_that_of_the_model(packet in tcp_packet(900), mss in 1u16..600) {
        let cut: Vec<_> = packet.clone().cut(Some(Mss(mss))).collect();
        for packet in &cut {
            prop_assert_eq!(packet.wire_len(), packet.emit(None, Checksum::Complete).len());
        }
        prop_assert_eq!(cut, model(&packet, mss.into()));
        prop_assert_eq!(packet.clone().cut(None).collect::<Vec<_>>(), vec![packet]);
    }

    #[test]
    fn one_packet_with_offload_is_completed(packet in tcp_packet(200)) {
        let cut: Vec<_> = segment(packet.emit(None, Checksum::Offloaded)).collect();
        prop_assert_eq!(cut, vec![packet.emit(None, Checksum::Complete)]);
    }

    #[test]
    fn joining_undoes_cutting(
        mut packet in tcp_packet(900), data in payload(900), mss in 1u16..600,
        flags in prop_oneof![Just(Flags::default()), Just(Flags::PSH), Just(Flags::CWR),
            Just(Flags::FIN), Just(Flags::ECE | Flags::FIN | Flags::PSH | Flags::CWR)],
        in_one_piece: bool,
    ) {
        prop_assume!(data.len() > usize::from(mss));
        tcp_mut(&mut packet).payload = data;
        tcp_mut(&mut packet).flags = Flags::ACK | flags;
        let cut: Vec<_> = segment(packet.emit(Some(Mss(mss)), Checksum::Offloaded)).collect();
        let on_the_wire = |d: &Datagram| if in_one_piece { crate::received(&flat(d)) } else { d.clone() };
        let joined = push_all(cut.iter().map(on_the_wire));
        prop_assert_eq!(joined.len(), 1);
        prop_assert_eq!(&joined[0].gso_mss, &Some(Mss(mss)));
        // The same as if it had been sent so: also a device would take it.
        let sent = packet.emit(Some(Mss(mss)), Checksum::Offloaded);
        prop_assert_eq!(flat(&joined[0]), flat(&sent));
        let again: Vec<_> = segment(joined[0].clone()).map(|d| flat(&d)).collect();
        prop_assert_eq!(again, cut.iter().map(flat).collect::<Vec<_>>());
    }

    /// Whatever comes in whatever order, no byte is lost, changed or overtaken.
    #[test]
    fn joining_keeps_every_byte_and_the_order(
        packet in tcp_packet(30),
        steps in prop::collection::vec((0u16..2, 0u32..2, 0u32..2, 0usize..6, any::<bool>()), 0..30),
    ) {
        let mut seq = tcp(&packet).seq;
        let sent: Vec<_> = steps.into_iter().map(|(flow, skip, ack, len, push)| {
            let mut packet = packet.clone();
            let tcp = tcp_mut(&mut packet);
            tcp.src_port = flow;
            tcp.seq = seq.wrapping_add(skip);
            tcp.ack = SeqNum(ack);
            tcp.flags = if push { Flags::ACK | Flags::PSH } else { Flags::ACK };
            tcp.payload = Payload::from(&b"manypath"[..]).slice(0, len);
            seq = tcp.seq.wrapping_add(len32(len));
            packet.emit(None, Checksum::Complete)
        }).collect();
        prop_assert_eq!(places(&push_all(sent.clone())), places(&sent));
    }
}

/// What makes the second packet of [`pair`] differ.
type Change<'a> = &'a dyn Fn(&mut Segment);

/// Two full packets of one flow, the second directly behind the first.
fn pair(change: impl FnOnce(&mut Segment)) -> Vec<Datagram> {
    let (_, bytes, _) = crate::captures::packets()
        .find(|(name, ..)| *name == "DSS with 4-byte data ACK, mapping and data")
        .expect("in the file");
    let mut first = Packet::parse(&crate::received(&bytes)).unwrap();
    tcp_mut(&mut first).flags = Flags::ACK;
    let mut second = first.clone();
    let next = tcp_mut(&mut second);
    next.seq = next.seq.wrapping_add(len32(next.payload.len()));
    change(next);
    vec![first.emit(None, Checksum::Complete), second.emit(None, Checksum::Complete)]
}

#[test]
fn only_packets_that_say_the_same_are_joined() {
    let another_mapping = |segment: &mut Segment| {
        let mapping = DssMapping { dsn: DssNumber::Eight(7), ssn: 12, len: 11, checksum: None };
        segment.options.mptcp.dss = Some(Dss { mapping: Some(mapping), ..Dss::default() });
    };
    let cases: [(&str, Change<'_>, usize); 9] = [
        ("the same", &|_| {}, 1),
        ("PSH on the last", &|s| s.flags |= Flags::PSH, 1),
        ("another DSS mapping", &another_mapping, 2),
        ("another window", &|s| s.window += 1, 2),
        ("another acknowledgment", &|s| s.ack = s.ack.wrapping_add(1), 2),
        ("a gap", &|s| s.seq = s.seq.wrapping_add(1), 2),
        ("window reduced", &|s| s.flags |= Flags::CWR, 2),
        ("reset", &|s| s.flags |= Flags::RST, 2),
        ("longer than the first", &|s| s.payload.append(s.payload.clone()), 2),
    ];
    for (name, change, expected) in cases {
        assert_eq!(push_all(pair(change)).len(), expected, "{name}");
    }
}

#[test]
fn nothing_follows_a_short_packet() {
    let mut packets = pair(|s| s.payload.truncate(5));
    let mut third = Packet::parse(&packets[1]).unwrap();
    tcp_mut(&mut third).seq = tcp(&third).seq.wrapping_add(5);
    packets.push(third.emit(None, Checksum::Complete));
    let out = push_all(packets);
    let lens: Vec<_> = out.iter().map(|d| tcp(&Packet::parse(d).unwrap()).payload.len()).collect();
    assert_eq!(lens, [11 + 5, 5]);
}

#[test]
fn a_damaged_packet_is_not_joined_and_stays_damaged() {
    let mut packets = pair(|_| {});
    packets[1] = crate::received(&{
        let mut bytes = flat(&packets[1]);
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    });
    let out = push_all(packets);
    assert_eq!(out.len(), 2);
    assert_eq!(Packet::parse(&out[1]), Err(Error::BadChecksum));
}

#[test]
fn a_super_segment_stays_below_64_kb() {
    let mut packet = Packet::parse(&pair(|_| {})[0]).unwrap();
    tcp_mut(&mut packet).payload = Payload::from(&[7; 1_000][..]);
    let sent = (0..100).map(|_| {
        let d = packet.emit(None, Checksum::Complete);
        let tcp = tcp_mut(&mut packet);
        tcp.seq = tcp.seq.wrapping_add(1_000);
        d
    });
    let out = push_all(sent);
    assert!(out.iter().all(|d| d.len() <= Run::MAX_LEN));
    assert_eq!(out.len(), 2);
    assert_eq!(
        out.iter().map(|d| Packet::parse(d).map(|p| tcp(&p).payload.len()).unwrap()).sum::<usize>(),
        100_000
    );
}
