//! The emulator between devices in memory: no root, no kernel.

use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex};

use manypath_base::{Mss, Payload, Rate, SeqNum};
use manypath_device::{Device as _, MemoryPort, Offload, memory};
use manypath_lab::{
    Direction, EmulatedLink, Emulator, Limit, LinkConfig, LinkHandle, Tap, TapPoint, Transmitter,
};
use manypath_wire::{
    Checksum, Datagram, Ecn, Flags, IpHeader, Options, Packet, Segment, Transport,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Two hosts' ports and the link between them.
fn lab(config: LinkConfig, tap: Option<Tap>) -> (MemoryPort, MemoryPort, Emulator) {
    lab_that(false, config, tap)
}

/// The same, where what is due together may be joined.
fn lab_that(
    joins: bool,
    config: LinkConfig,
    tap: Option<Tap>,
) -> (MemoryPort, MemoryPort, Emulator) {
    let pair = || memory::pair(1_500, Offload::FULL).expect("descriptors are left");
    let ((host_a, a), (host_b, b)) = (pair(), pair());
    let (a, b) = (Box::new(a), Box::new(b));
    let link = EmulatedLink { name: "link".into(), a, b, up: config.clone(), down: config, joins };
    let emulator = Emulator::start(vec![link], 0, tap).expect("the emulator starts");
    (host_a, host_b, emulator)
}

fn link(emulator: &Emulator) -> &LinkHandle {
    &emulator.links()[0]
}

/// A super-segment of `bytes` payload bytes, to be cut every 1,000.
fn super_segment(bytes: usize) -> Datagram {
    let ip = IpHeader {
        src: Ipv4Addr::new(10, 0, 0, 1).into(),
        dst: Ipv4Addr::new(10, 0, 0, 2).into(),
        dscp: 0,
        hop_limit: 64,
        flow_label: 0,
        ecn: Ecn::NotEct,
    };
    let segment = Segment {
        src_port: 1,
        dst_port: 2,
        seq: SeqNum(7),
        ack: SeqNum(0),
        flags: Flags::ACK,
        window: 1_000,
        urgent: 0,
        options: Options::default(),
        payload: Payload::from(&*vec![0x61; bytes].leak()),
    };
    let packet = Packet { ip, transport: segment.into() };
    packet.emit(Some(Mss(1_000)), Checksum::Offloaded)
}

fn small(tag: u8) -> Datagram {
    Datagram { payload: Payload::from(&*vec![tag; 3].leak()), ..Datagram::default() }
}

/// Waits for the next `count` packets.
fn receive(port: &mut MemoryPort, count: usize) -> Vec<Datagram> {
    let mut out = Vec::new();
    while out.len() < count {
        let mut fds = [PollFd::new(port.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::from(30_000u16)).expect("poll works");
        assert_eq!(ready, 1, "{} of {count} packets came", out.len());
        let missing = count - out.len();
        port.recv(&mut out, missing).expect("the port works");
    }
    out
}

#[test]
fn a_link_that_joins_carries_packets_and_hands_over_super_segments() {
    let delay = std::time::Duration::from_millis(5);
    let (mut host_a, mut host_b, emulator) =
        lab_that(true, LinkConfig { delay, ..LinkConfig::default() }, None);
    host_a.send(&super_segment(10_000)).expect("the port works");
    let mut bytes = 0;
    while bytes < 10_000 {
        let packet = receive(&mut host_b, 1).remove(0);
        let Ok(Packet { transport: Transport::Tcp(segment), .. }) = Packet::parse(&packet) else {
            panic!("{packet:?}");
        };
        assert_eq!(segment.seq, SeqNum(7).wrapping_add(bytes), "in order");
        bytes += u32::try_from(segment.payload.len()).expect("a packet is short");
    }
    let stats = link(&emulator).stats(Direction::Up);
    assert_eq!((stats.offered.packets, stats.delivered.packets), (10, 10));
    assert_eq!(emulator.stats().delivered, 10);
}

#[test]
fn super_segments_are_cut_before_they_meet_the_queue() {
    let transmitter = Transmitter::Constant(Rate::from_bits_per_sec(100_000_000));
    let config = LinkConfig { transmitter, limit: Limit::Packets(2), ..LinkConfig::default() };
    let (mut host_a, mut host_b, emulator) = lab(config, None);
    host_a.send(&super_segment(10_000)).expect("the port works");
    let packets = receive(&mut host_b, 3);
    assert!(packets.iter().all(|packet| packet.len() == 1_040 && packet.gso_mss.is_none()));
    assert!(packets.iter().all(|packet| Packet::parse(packet).is_ok()), "checksums are complete");
    let stats = link(&emulator).stats(Direction::Up);
    assert_eq!((stats.offered.packets, stats.max_waiting_bytes), (10, 2_080));
    assert!(stats.dropped_queue_full.packets > 0, "{stats:?}");
}

#[test]
fn both_directions_carry_packets_and_a_cut_stops_both() {
    let (mut host_a, mut host_b, emulator) = lab(LinkConfig::default(), None);
    host_a.send(&small(1)).expect("the port works");
    host_b.send(&small(2)).expect("the port works");
    assert_eq!(receive(&mut host_b, 1), [small(1)]);
    assert_eq!(receive(&mut host_a, 1), [small(2)]);
    link(&emulator).cut();
    host_a.send(&small(3)).expect("the port works");
    while link(&emulator).stats(Direction::Up).dropped_cut.packets == 0 {
        std::thread::yield_now();
    }
    link(&emulator).restore();
    host_a.send(&small(4)).expect("the port works");
    assert_eq!(receive(&mut host_b, 1), [small(4)]);
}

#[test]
fn a_changed_configuration_wakes_the_emulator() {
    let transmitter = Transmitter::Constant(Rate::default());
    let stopped = LinkConfig { transmitter, ..LinkConfig::default() };
    let (mut host_a, mut host_b, emulator) = lab(stopped, None);
    host_a.send(&small(1)).expect("the port works");
    while link(&emulator).stats(Direction::Up).offered.packets == 0 {
        std::thread::yield_now();
    }
    link(&emulator).set(Direction::Up, LinkConfig::default());
    assert_eq!(receive(&mut host_b, 1), [small(1)]);
}

#[test]
fn a_tap_sees_packets_before_and_after_the_link() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let tap: Tap = Box::new(move |tapped| {
        let mut notes = notes.lock().expect("no one panics");
        notes.push((tapped.link, tapped.direction, tapped.point, tapped.packet.len()));
    });
    let (mut host_a, mut host_b, emulator) = lab(LinkConfig::default(), Some(tap));
    host_b.send(&small(1)).expect("the port works");
    receive(&mut host_a, 1);
    drop(emulator);
    let expected = [TapPoint::Sent, TapPoint::Delivered].map(|at| (0, Direction::Down, at, 3));
    assert_eq!(*seen.lock().expect("no one panics"), expected);
}

#[test]
fn a_middlebox_stands_before_the_link_and_may_send_both_ways() {
    let (mut host_a, mut host_b, emulator) = lab(LinkConfig::default(), None);
    link(&emulator).set_middlebox(Some(Box::new(|direction, packets| {
        assert_eq!(direction, Direction::Up);
        let forth = packets.iter().map(|_| (Direction::Up, small(7)));
        let back = packets.iter().map(|_| (Direction::Down, small(8)));
        forth.chain(back).collect()
    })));
    host_a.send(&small(1)).expect("the port works");
    assert_eq!(receive(&mut host_b, 1), [small(7)]);
    assert_eq!(receive(&mut host_a, 1), [small(8)]);
    link(&emulator).set_middlebox(None);
    host_a.send(&small(2)).expect("the port works");
    assert_eq!(receive(&mut host_b, 1), [small(2)]);
}

#[test]
fn devices_are_closed_when_the_emulator_is_dropped() {
    let (mut host_a, _host_b, emulator) = lab(LinkConfig::default(), None);
    drop(emulator);
    host_a.send(&small(1)).expect("a drop is no error");
    assert_eq!(host_a.dropped(), 1);
}
