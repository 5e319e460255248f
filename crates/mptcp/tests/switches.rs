//! What an application changes while a connection lives, with several subflows and with plain TCP.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::raw::{Raw, Sub};
use common::{World, link, ms};
use manypath_mptcp::{
    ConnectOptions, ConnectionError, ConnectionMode, EndpointConfig, Event, PathDownReason,
};
use manypath_tcp::Keepalive;
use manypath_wire::{Flags, MptcpOptions};

/// A connection of the endpoint with the peer, and whether it is multipath.
fn connected(multipath: bool) -> (Raw, Sub) {
    let mut raw = Raw::with(|config| config.limits.subflows = 0);
    let sub = if multipath {
        raw.connected()
    } else {
        let plain = ConnectOptions { mode: ConnectionMode::PlainTcp, ..ConnectOptions::default() };
        let sub = raw.connecting_with(&plain);
        raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
        sub
    };
    raw.said();
    (raw, Sub { seq: 1, ..sub })
}

/// Payload bytes of each segment that was sent.
fn sent(raw: &mut Raw) -> Vec<usize> {
    let payload = |packet: manypath_wire::Packet| match packet.transport {
        manypath_wire::Transport::Tcp(segment) => segment.payload.len(),
        manypath_wire::Transport::Icmp(_) => 0,
    };
    raw.out.drain(..).map(payload).filter(|&len| len > 0).collect()
}

/// The peer acknowledges everything before `ack`.
fn acknowledge(raw: &mut Raw, sub: Sub, ack: u32, multipath: bool) {
    let options =
        if multipath { raw.dss(Some(ack.into()), None, false) } else { MptcpOptions::default() };
    raw.send(Sub { ack, ..sub }, Flags::ACK, options, b"");
}

/// RFC 9293 §3.7.4, MUST-17.
#[test]
fn nodelay_sends_small_pieces_at_once() {
    for multipath in [false, true] {
        let (mut raw, sub) = connected(multipath);
        raw.write(b"one");
        raw.write(b"two");
        assert_eq!(sent(&mut raw), [3], "Nagle holds the second back");
        raw.endpoint.set_nodelay(raw.now, raw.conn.unwrap(), true).unwrap();
        raw.drain();
        assert_eq!(sent(&mut raw), [3], "{multipath}: until it is switched off");
        raw.write(b"three");
        assert_eq!(sent(&mut raw), [5]);
        raw.endpoint.set_nodelay(raw.now, raw.conn.unwrap(), false).unwrap();
        raw.write(b"four");
        assert_eq!(sent(&mut raw), [0; 0]);
        acknowledge(&mut raw, sub, 12, multipath);
        assert_eq!(sent(&mut raw), [4]);
    }
}

#[test]
fn a_cork_holds_back_less_than_a_packet_and_not_for_ever() {
    for multipath in [false, true] {
        let (mut raw, _) = connected(multipath);
        let id = raw.conn.unwrap();
        raw.endpoint.set_cork(raw.now, id, true).unwrap();
        raw.write(b"one");
        raw.write(b"two");
        raw.pass(199);
        assert_eq!(sent(&mut raw), [0; 0]);
        raw.pass(1);
        assert_eq!(sent(&mut raw), [6], "{multipath}: as long as TCP_CORK");
        raw.endpoint.set_nodelay(raw.now, id, true).unwrap();
        raw.write(b"three");
        raw.pass(10);
        assert_eq!(sent(&mut raw), [0; 0]);
        raw.endpoint.set_cork(raw.now, id, false).unwrap();
        raw.drain();
        assert_eq!(sent(&mut raw), [5], "{multipath}: uncorked");
    }
}

/// Full packets do not wait, and a close does not either.
#[test]
fn a_cork_holds_back_nothing_else() {
    for multipath in [false, true] {
        let (mut raw, _) = connected(multipath);
        raw.endpoint.set_cork(raw.now, raw.conn.unwrap(), true).unwrap();
        raw.write(&[7; 2_500]);
        let lens = sent(&mut raw);
        assert!(lens.len() == 2 && lens.iter().all(|&len| len > 960), "{multipath}: {lens:?}");
        raw.shutdown();
        assert_eq!(sent(&mut raw), [2_500 - lens.iter().sum::<usize>()]);
    }
}

#[test]
fn writes_of_which_more_follows_are_joined() {
    for multipath in [false, true] {
        let (mut raw, _) = connected(multipath);
        let mut chunk = Bytes::from_static(b"head");
        assert_eq!(raw.endpoint.write_more(raw.now, raw.conn.unwrap(), &mut chunk), Ok(4));
        raw.drain();
        assert_eq!(sent(&mut raw), [0; 0]);
        raw.write(b"body");
        assert_eq!(sent(&mut raw), [8], "{multipath}");
    }
}

const KEEPALIVE: Keepalive =
    Keepalive { idle: Duration::from_secs(10), interval: Duration::from_secs(2), count: 3 };

fn two_links() -> [manypath_link::LinkConfig; 2] {
    [link(20, ms(10)), link(20, ms(10))]
}

/// RFC 9293 §3.8.4: every subflow is probed, those that came later too, and the connection ends with
/// the last that does not answer.
#[test]
fn keepalives_find_a_dead_peer_on_every_subflow() {
    let mut world = World::new(1, &two_links());
    world.open(&ConnectOptions::default());
    let id = world.client.conn.unwrap();
    // Before the second subflow is there.
    world.client.endpoint.set_keepalive(world.now, id, Some(KEEPALIVE)).unwrap();
    world.write(0, 1_000);
    world.run_for(ms(1_000));
    let subflows = |world: &World| world.client.endpoint.info(id).unwrap().subflows.len();
    assert_eq!(subflows(&world), 2);
    world.run_for(ms(60_000));
    assert_eq!(subflows(&world), 2, "a peer that answers is left alone");
    (0..2).for_each(|link| world.cut(link));
    let cut = world.now;
    let is_down = |e: &&(_, Event)| matches!(e.1, Event::PathDown(_, _, PathDownReason::TimedOut));
    let down = |world: &World| world.client.events.iter().filter(is_down).count();
    assert!(world.run_until(cut + ms(20_000), |world| down(world) == 2), "{}", world.describe());
    let took = world.now.since(cut);
    assert!(took > ms(6_000) && took < ms(17_000), "{took:?}");
    world.run_for(ms(90_000));
    assert!(world.client.closed, "{}", world.describe());
}

/// Without them an idle connection lasts.
#[test]
fn without_keepalives_nothing_is_asked() {
    for switched in [false, true] {
        let mut config = EndpointConfig::default();
        config.tcp.keepalive = switched.then_some(KEEPALIVE);
        let mut world = World::with(1, &two_links(), &config, &EndpointConfig::default());
        world.open(&ConnectOptions::default());
        world.run_for(ms(1_000));
        let id = world.client.conn.unwrap();
        world.client.endpoint.set_keepalive(world.now, id, None).unwrap();
        (0..2).for_each(|link| world.cut(link));
        world.run_for(ms(600_000));
        assert!(!world.client.closed, "{switched}");
    }
}

/// RFC 9293 §3.8.3, MUST-21: data that nobody acknowledges ends the connection, whatever is left of
/// its subflows.
#[test]
fn the_user_timeout_ends_a_connection_that_gets_no_answer() {
    let (automatic, plain) = (ConnectionMode::Automatic, ConnectionMode::PlainTcp);
    for (seconds, mode) in [(5, automatic), (5, plain), (60, automatic)] {
        let mut world = World::new(1, &two_links());
        world.open(&ConnectOptions { mode, ..ConnectOptions::default() });
        world.write(0, 1_000);
        world.run_for(ms(1_000));
        let id = world.client.conn.unwrap();
        let timeout = Duration::from_secs(seconds);
        world.client.endpoint.set_user_timeout(world.now, id, timeout).unwrap();
        (0..2).for_each(|link| world.cut(link));
        world.write(0, 1_000);
        let cut = world.now;
        world.run_until(cut + timeout * 4, |world| world.client.closed);
        let took = world.now.since(cut);
        assert!(took >= timeout && took < timeout * 3, "{seconds} s, {mode:?}: {took:?}");
        let error = world.client.events.iter().find_map(|(_, event)| match event {
            Event::Closed(_, error) => *error,
            _ => None,
        });
        assert_eq!(error, Some(ConnectionError::TimedOut), "{mode:?}");
    }
}
