//! One-ended multipath through whole endpoints: when it begins, what is told, and what is remembered.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{World, addr, addr6, link, ms, simple_interface};
use manypath_base::{IfaceId, Rng, SeqNum};
use manypath_mptcp::{
    ConnectOptions, ConnectionMode, Event, FallbackReason, PathDownReason, Protocol,
};
use manypath_wire::{
    Checksum, Ecn, Flags, IcmpError, IcmpKind, IpHeader, Packet, Segment, Transport,
};

/// Two links, and a client that has the address of the first on both.
fn world() -> World {
    let mut world = World::new(1, &[link(20, ms(10)), link(10, ms(40))]);
    let now = world.now;
    world.client.endpoint.add_interface(now, simple_interface(1, addr(0, 1)));
    world
}

fn one_ended() -> ConnectOptions {
    ConnectOptions { mode: ConnectionMode::OneEnded, ..ConnectOptions::default() }
}

fn protocol(world: &World) -> Protocol {
    let conn = world.client.conn.expect("it is open");
    world.client.endpoint.info(conn).expect("it is known").protocol
}

fn tells(world: &World, wanted: impl Fn(&Event) -> bool) -> bool {
    world.client.events.iter().any(|(_, event)| wanted(event))
}

fn strip(packet: &mut Packet) {
    if let Transport::Tcp(segment) = &mut packet.transport {
        segment.options.mptcp = Default::default();
    }
}

#[test]
fn a_connection_that_fell_back_goes_on_over_both_paths() {
    let mut world = world();
    world.middlebox = Some(Box::new(|_, packet| {
        strip(packet);
        true
    }));
    world.start(20 << 20, 1 << 20);
    assert!(world.run(Duration::from_secs(20)), "{}", world.describe());
    assert!(tells(&world, |e| matches!(e, Event::FellBack(_, FallbackReason::NotSupported))));
    assert!(tells(&world, |e| matches!(e, Event::PathUp { subflow, .. } if subflow.0 == 1)));
    let sent = world.client.sent_by_subflow();
    assert!(sent[&1] > 4 << 20, "{sent:?}");
    assert_eq!(protocol(&world), Protocol::OneEnded);
}

#[test]
fn ipv6_is_spread_as_well() {
    let mut world = World::mixed(1, &[link(20, ms(10)), link(10, ms(40))], &[true, true]);
    let now = world.now;
    world.client.endpoint.add_interface(now, simple_interface(1, addr6(0, 1)));
    world.start_with(20 << 20, 1 << 20, &one_ended());
    assert!(world.run(Duration::from_secs(20)), "{}", world.describe());
    let sent = world.client.sent_by_subflow();
    assert!(sent[&1] > 4 << 20, "{sent:?}");
    assert_eq!(protocol(&world), Protocol::OneEnded);
}

#[test]
fn without_being_asked_for_or_fallen_back_there_is_one_path() {
    for mode in [ConnectionMode::PlainTcp, ConnectionMode::OneEnded] {
        let mut world = world();
        if mode == ConnectionMode::PlainTcp {
            world.start_with(1 << 20, 0, &ConnectOptions { mode, ..ConnectOptions::default() });
        } else {
            let now = world.now;
            world.client.endpoint.remove_interface(now, IfaceId(1));
            world.start_with(1 << 20, 0, &one_ended());
        }
        assert!(world.run(Duration::from_secs(20)), "{}", world.describe());
        assert_eq!(world.client.sent_by_subflow().len(), 1);
        assert_eq!(protocol(&world), Protocol::PlainTcp);
    }
}

#[test]
fn an_interface_that_comes_and_goes_is_a_path_that_does() {
    let mut world = world();
    let now = world.now;
    world.client.endpoint.remove_interface(now, IfaceId(1));
    world.start_with(20 << 20, 0, &one_ended());
    world.run_for(ms(1_000));
    assert_eq!(protocol(&world), Protocol::PlainTcp);
    let now = world.now;
    world.client.endpoint.add_interface(now, simple_interface(1, addr(0, 1)));
    world.run_for(ms(3_000));
    assert!(world.client.sent_by_subflow()[&1] > 1 << 20, "{}", world.describe());
    let now = world.now;
    world.client.endpoint.remove_interface(now, IfaceId(1));
    assert!(world.run(Duration::from_secs(30)), "{}", world.describe());
    let gone = |e: &Event| matches!(e, Event::PathDown(_, _, PathDownReason::AddressRemoved));
    assert!(tells(&world, gone));
}

/// A firewall on a further path answers data that it cannot place with a RST. The connection lives on
/// the other path; the next one to this destination has one path from the start.
#[test]
fn a_rst_on_a_further_path_ends_that_path_and_is_remembered() {
    let mut world = world();
    let last = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&last);
    world.middlebox = Some(Box::new(move |direction, packet| {
        if direction == 1 {
            *seen.borrow_mut() = Some(packet.clone());
        }
        true
    }));
    world.start_with(5 << 20, 0, &one_ended());
    world.run_for(ms(700));
    let mut reset = last.borrow().clone().expect("the server has acknowledged");
    if let Transport::Tcp(segment) = &mut reset.transport {
        segment.flags = Flags::RST;
        segment.options = Default::default();
    }
    let reset = reset.emit(None, Checksum::Offloaded);
    let now = world.now;
    world.client.endpoint.handle_datagram(now, IfaceId(1), &reset);
    assert!(world.run(Duration::from_secs(60)), "{}", world.describe());
    let down = |e: &Event| matches!(e, Event::PathDown(_, _, PathDownReason::Reset(None)));
    assert!(tells(&world, down), "{}", world.describe());
    assert!(!tells(&world, |e| matches!(e, Event::Closed(_, Some(_)))));
    let to = (world.to, common::PORT).into();
    let conn = world.client.endpoint.connect(world.now, to, &one_ended());
    world.run_for(ms(500));
    let info = world.client.endpoint.info(conn.expect("there is room")).expect("it is known");
    assert_eq!((info.protocol, info.subflows.len()), (Protocol::PlainTcp, 1));
}

const BYTES: u64 = 20 << 20;

/// When something happens, in milliseconds, and what.
type Step = (u64, fn(&mut World));

/// How long a transfer of [`BYTES`] takes in which this happens, in seconds; that all arrives as it was
/// sent.
fn time(mode: ConnectionMode, steps: &[Step]) -> f64 {
    let mut world = world();
    let begin = world.now;
    world.start_with(BYTES, 0, &ConnectOptions { mode, ..ConnectOptions::default() });
    for (at, step) in steps {
        let left = (begin + ms(*at)).since(world.now);
        world.run_for(left);
        step(&mut world);
    }
    assert!(world.run(Duration::from_secs(60)), "{}", world.describe());
    world.now.since(begin).as_secs_f64()
}

fn join(world: &mut World) {
    let now = world.now;
    world.client.endpoint.add_interface(now, simple_interface(1, addr(0, 1)));
}

fn leave(world: &mut World) {
    let now = world.now;
    world.client.endpoint.remove_interface(now, IfaceId(1));
}

/// Each time against the better path alone, in which the same happens.
#[test]
fn paths_that_come_and_go_and_pauses_cost_nothing() {
    let pause: [Step; 2] =
        [(2_000, |w| w.server.reads = false), (5_000, |w| w.server.reads = true)];
    let cases: [(&str, Vec<Step>, &[Step]); 4] = [
        ("both from the start", vec![], &[]),
        ("it comes late", vec![(0, leave), (3_000, join)], &[]),
        ("it comes and goes", vec![(0, leave), (1_000, join), (2_500, leave)], &[]),
        ("the receiver stops reading", pause.to_vec(), &pause),
    ];
    for (what, steps, alone) in cases {
        let ratio = time(ConnectionMode::PlainTcp, alone) / time(ConnectionMode::OneEnded, &steps);
        println!("{ratio:.3} {what}");
        assert!(ratio >= 1.05, "{what}: {ratio:.3}");
    }
}

/// The first path's interface goes with what is under way there; the address is still on the other.
#[test]
fn the_first_path_may_go() {
    let mut world = world();
    world.start_with(BYTES, 0, &one_ended());
    world.run_for(ms(3_000));
    let now = world.now;
    world.client.endpoint.remove_interface(now, IfaceId(0));
    world.links[0][0].cut();
    assert!(world.run(Duration::from_secs(30)), "{}", world.describe());
    let stall = world.server.longest_stall(now);
    assert!(stall <= ms(300), "{stall:?}");
    let rate = world.server.rate(now + ms(1_000), world.now) / 1e6;
    assert!(rate >= 9.6 * 0.95, "{rate:.2} Mb/s of the path that is left");
}

/// Row 22 of the threats, with whole packets: who knows the ends of a connection, but does not see it,
/// guesses sequence numbers from the first packet on; who sees it quotes what is under way, once packets
/// come through. Neither makes any packet smaller.
#[test]
fn forged_errors_change_nothing() {
    let run = |guesses: bool, sees: bool| {
        let mut world = world();
        let last = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&last);
        world.middlebox = Some(Box::new(move |direction, packet| {
            if let (0, Transport::Tcp(segment)) = (direction, &packet.transport) {
                *seen.borrow_mut() = Some((packet.ip, segment.clone()));
            }
            true
        }));
        world.start_with(BYTES, 0, &one_ended());
        let mut rng = Rng::seeded(5);
        for n in 0..5_000 {
            world.run_for(ms(1));
            let Some((ip, segment)) = last.borrow().clone() else { continue };
            if guesses {
                tell_too_big(
                    &mut world,
                    &ip,
                    &Segment { seq: SeqNum(rng.u32()), ..*segment.clone() },
                );
            }
            if sees && n >= 1_000 {
                tell_too_big(&mut world, &ip, &segment);
            }
        }
        let conn = world.client.conn.expect("it is open");
        let info = world.client.endpoint.info(conn).expect("it is known");
        let sizes: Vec<_> = info.subflows.iter().map(|s| s.path.mss).collect();
        let sent = world.client.sent_by_subflow();
        assert!(world.run(Duration::from_secs(20)), "{}", world.describe());
        (world.now, sizes, sent)
    };
    let honest = run(false, false);
    assert!(honest.2[&1] > 4 << 20, "both carry: {honest:?}");
    assert_eq!(run(true, false), honest);
    assert_eq!(run(false, true), honest);
}

/// A router says that a packet of the client was too big.
fn tell_too_big(world: &mut World, ip: &IpHeader, segment: &Segment) {
    let error = IcmpError {
        kind: IcmpKind::PacketTooBig { mtu: 576 },
        local: (ip.src, segment.src_port).into(),
        remote: (ip.dst, segment.dst_port).into(),
        seq: segment.seq,
    };
    let ip = IpHeader { src: addr(0, 254), dst: ip.src, ecn: Ecn::NotEct, ..*ip };
    let packet = Packet { ip, transport: Transport::Icmp(error) };
    let datagram = packet.emit(None, Checksum::Offloaded);
    let now = world.now;
    world.client.endpoint.handle_datagram(now, IfaceId(0), &datagram);
}

/// How long a connection of its own takes for so many bytes to the server, in seconds.
fn transfer(world: &mut World, bytes: u64, mode: ConnectionMode) -> f64 {
    let begin = world.now;
    world.start_with(bytes, 0, &ConnectOptions { mode, ..ConnectOptions::default() });
    assert!(world.run(Duration::from_secs(30)), "{}", world.describe());
    let time = world.now.since(begin);
    world.release();
    (world.client.reads, world.server.reads) = (true, true);
    world.run_for(ms(500));
    time.as_secs_f64()
}

/// 20 Mb/s and 10 ms behind a worse path that connections begin on.
fn worse_first(mbps: u64, delay: Duration) -> World {
    let mut world = World::new(1, &[link(mbps, delay), link(20, ms(10))]);
    let now = world.now;
    world.client.endpoint.add_interface(now, simple_interface(1, addr(0, 1)));
    world
}

#[test]
fn the_next_connections_begin_on_the_path_that_did_better() {
    for (mbps, delay) in [(2, ms(10)), (10, ms(40)), (20, ms(100))] {
        let mut alone = worse_first(mbps, delay);
        let now = alone.now;
        alone.client.endpoint.remove_interface(now, IfaceId(0));
        let mut world = worse_first(mbps, delay);
        let first = transfer(&mut world, 1 << 20, ConnectionMode::OneEnded);
        for kb in [10, 64, 128, 256, 512, 1_024] {
            let alone = transfer(&mut alone, kb << 10, ConnectionMode::PlainTcp);
            let time = transfer(&mut world, kb << 10, ConnectionMode::OneEnded);
            println!("{mbps} Mb/s {delay:?} {kb} KB: {:.3} ({first:.3} s)", alone / time);
            // A thin path keeps the end of 256 KB waiting for some 10 ms.
            let bar = if (mbps, kb) == (2, 256) { 0.92 } else { 0.95 };
            assert!(alone / time >= bar, "{mbps} Mb/s {delay:?} {kb} KB: {alone} {time}");
        }
    }
}

/// As a server: what it answers on the path that did better, whichever a SYN came by.
#[test]
fn a_server_answers_on_the_path_that_did_better() {
    let down = |world: &mut World| {
        let begin = world.now;
        let mode = ConnectionMode::PlainTcp;
        world.start_with(0, 96 << 10, &ConnectOptions { mode, ..ConnectOptions::default() });
        assert!(world.run(Duration::from_secs(30)), "{}", world.describe());
        let time = world.now.since(begin);
        world.release();
        (world.client.reads, world.server.reads) = (true, true);
        world.run_for(ms(500));
        time.as_secs_f64()
    };
    let mut alone = World::new(1, &[link(20, ms(10))]);
    let alone = down(&mut alone);
    let mut world = World::new(1, &[link(2, ms(10)), link(20, ms(10))]);
    let now = world.now;
    world.server.endpoint.add_interface(now, simple_interface(1, addr(0, 2)));
    world.server_shares = true;
    let (first, second) = (down(&mut world), down(&mut world));
    assert!(alone / first < 0.8 && alone / second >= 0.9, "{alone} {first} {second}");
}

/// The handshake finds out, and goes on where it would have begun.
#[test]
fn a_path_that_did_better_and_is_dead_costs_one_timeout() {
    let mut world = worse_first(10, ms(40));
    transfer(&mut world, 1 << 20, ConnectionMode::OneEnded);
    world.links[1][0].cut();
    let time = transfer(&mut world, 64 << 10, ConnectionMode::OneEnded);
    assert!((1.0..1.6).contains(&time), "{time}");
    let time = transfer(&mut world, 64 << 10, ConnectionMode::OneEnded);
    assert!(time < 0.6, "{time}");
}
