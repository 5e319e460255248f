//! One-ended multipath through whole endpoints: when it begins, what is told, and what is remembered.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{World, addr, addr6, link, ms, simple_interface};
use manypath_base::IfaceId;
use manypath_mptcp::{
    ConnectOptions, ConnectionMode, Event, FallbackReason, PathDownReason, Protocol,
};
use manypath_wire::{Flags, Packet, Transport};

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
    let reset = reset.emit(None, manypath_wire::Checksum::Offloaded);
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
