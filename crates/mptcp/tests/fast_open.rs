//! TCP Fast Open (RFC 7413), with multipath (RFC 8684 appendix B) and without.

mod common;

use bytes::Bytes;
use common::options::{capable_syn, capable_syn_ack};
use common::raw::{Raw, Sub};
use common::{PORT, World, link, ms, pattern};
use manypath_link::{LinkConfig, Loss};
use manypath_mptcp::{
    ConnectOptions, ConnectionError, ConnectionMode, EndpointConfig, Event, FallbackReason,
    ListenOptions, Protocol,
};
use manypath_wire::{Flags, MptcpOptions, Transport};

fn early(data: &'static [u8]) -> ConnectOptions {
    let early_data = Some(Bytes::from_static(data));
    ConnectOptions { early_data, ..ConnectOptions::default() }
}

/// An endpoint whose listener takes so many SYNs with data at once.
fn listening(limit: usize) -> Raw {
    let mut raw = Raw::new();
    let at = raw.endpoint.listener_addr(raw.listener).unwrap();
    raw.endpoint.close_listener(raw.now, raw.listener);
    let options = ListenOptions { fast_open: limit, ..ListenOptions::default() };
    raw.listener = raw.endpoint.listen(at, options).unwrap();
    raw
}

/// The cookie that the endpoint grants to the peer.
fn granted(raw: &mut Raw) -> Vec<u8> {
    raw.fast_open = Some(vec![]);
    raw.send(raw.sub(0, 39_000, 80), Flags::SYN, capable_syn(), b"");
    raw.take().options.fast_open.unwrap().to_vec()
}

/// A SYN with data, and its answer: the subflow behind it.
fn open(raw: &mut Raw, port: u16, options: MptcpOptions, data: &'static [u8]) -> Sub {
    let mut sub = raw.sub(0, port, 80);
    raw.send(sub, Flags::SYN, options, data);
    let packet = raw.out.pop().unwrap();
    let Transport::Tcp(answer) = packet.transport else { panic!() };
    assert!(answer.flags.has(Flags::SYN | Flags::ACK), "{answer:?}");
    if let Some(manypath_wire::MpCapable::SynAck { sender_key, .. }) = answer.options.mptcp.capable
    {
        raw.key = sender_key;
    }
    let taken = answer.ack.0 - common::raw::ISN - 1;
    (sub.seq, sub.ack, sub.isn) = (1 + taken, 1, answer.seq.0);
    sub
}

fn protocol(raw: &Raw) -> Protocol {
    raw.endpoint.info(raw.conn.unwrap()).unwrap().protocol
}

/// RFC 8684, figures 18 and 19, as the listener sees them: what came on the SYN is no part of the
/// data sequence space, and mappings begin at 1 behind it.
#[test]
fn a_listener_takes_the_data_of_a_syn() {
    let mut raw = listening(1);
    let cookie = granted(&mut raw);
    assert_eq!(cookie.len(), 6, "it fits beside MP_CAPABLE and timestamps");
    raw.fast_open = Some(cookie);
    let mut sub = open(&mut raw, 40_000, capable_syn(), b"early ");
    assert_eq!(sub.seq, 7, "the data is acknowledged");
    assert_eq!(raw.read(), "early ", "before the handshake is complete");
    raw.write(b"answer");
    assert_eq!(raw.said(), Vec::<String>::new(), "there is no key for a DATA_ACK yet");
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["new 0:6 ack 7 dss ack 1 map 1@1+6"]);
    sub.ack = 7;
    let options = raw.dss(Some(7), Some((1, 1, 5)), false);
    raw.send(sub, Flags::ACK, options, b"later");
    assert_eq!((raw.read().as_str(), protocol(&raw)), ("later", Protocol::Multipath));
    raw.pass(50);
    assert!(raw.said().concat().contains("ack 12 dss ack 6"));
}

/// Keys that never come end it after the user timeout, also where the application has let go.
#[test]
fn a_listener_does_not_wait_for_the_keys_for_ever() {
    for released in [false, true] {
        let mut raw = listening(1);
        raw.fast_open = Some(granted(&mut raw));
        let granted = Sub { seq: 1, ..raw.sub(0, 39_000, 80) };
        raw.send(granted, Flags::RST, MptcpOptions::default(), b"");
        let mut sub = open(&mut raw, 40_000, capable_syn(), b"early ");
        assert_eq!(raw.read(), "early ");
        raw.write(b"answer");
        if released {
            raw.release();
        }
        sub.seq += 5;
        raw.data(&mut sub, 6, b"more");
        raw.pass(299_000);
        assert_eq!(raw.said(), Vec::<String>::new(), "{released}");
        raw.pass(2_000);
        assert_eq!(raw.said(), ["new R ack 7"], "{released}");
        if released {
            assert!(raw.endpoint.is_empty());
        } else {
            assert_eq!(raw.end(), Some(Some(ConnectionError::TimedOut)));
        }
        assert_eq!(raw.endpoint.poll_timeout(), None, "{released}");
    }
}

/// The first data behind it may bring the keys.
#[test]
fn the_first_data_behind_the_syn_is_the_first_of_the_data_sequence() {
    let mut raw = listening(1);
    let cookie = granted(&mut raw);
    raw.fast_open = Some(cookie);
    let sub = open(&mut raw, 40_000, capable_syn(), b"early ");
    raw.send(sub, Flags::ACK, raw.third_ack(Some(5)), b"later");
    assert_eq!((raw.read().as_str(), protocol(&raw)), ("early later", Protocol::Multipath));
}

/// Options that vanish behind the SYN leave TCP, with every byte in its place.
#[test]
fn early_data_survives_falling_back() {
    let mut raw = listening(1);
    let cookie = granted(&mut raw);
    raw.fast_open = Some(cookie);
    let sub = open(&mut raw, 40_000, capable_syn(), b"early ");
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"later");
    assert_eq!(raw.read(), "early later");
    let fell = |e: &Event| matches!(e, Event::FellBack(_, FallbackReason::OptionsStripped));
    assert_eq!(raw.events.iter().filter(|e| fell(e)).count(), 1);
    raw.send(Sub { seq: 12, ..sub }, Flags::ACK | Flags::FIN, MptcpOptions::default(), b"");
    assert_eq!(raw.read(), "|");
}

/// RFC 7413 §4.2.2: without multipath the answer goes out before the third segment.
#[test]
fn plain_tcp_answers_early() {
    let mut raw = listening(1);
    let cookie = granted(&mut raw);
    raw.fast_open = Some(cookie);
    let sub = open(&mut raw, 40_000, MptcpOptions::default(), b"early ");
    assert_eq!(raw.read(), "early ");
    raw.write(b"answer");
    let answer = raw.take();
    assert_eq!((answer.payload.len(), answer.ack.0 - common::raw::ISN), (6, 7));
    raw.send(Sub { ack: 7, ..sub }, Flags::ACK, MptcpOptions::default(), b"later");
    assert_eq!(raw.read(), "later");
}

/// RFC 7413 §4.1.2, §4.2.2, §5.1: without a valid cookie, without leave of the listener, or beyond
/// its limit, only the SYN is acknowledged.
#[test]
fn data_is_not_taken_from_everybody() {
    let mut raw = listening(1);
    let cookie = granted(&mut raw);
    raw.fast_open = Some(vec![1, 2, 3, 4, 5, 6]);
    assert_eq!(open(&mut raw, 40_000, capable_syn(), b"early").seq, 1, "a wrong cookie");
    raw.fast_open = Some(cookie.clone());
    let first = open(&mut raw, 40_001, capable_syn(), b"early");
    assert_eq!(first.seq, 6);
    let second = open(&mut raw, 40_002, capable_syn(), b"early");
    assert_eq!(second.seq, 1, "one is pending already");
    // The third ACK of the first makes room again.
    raw.send(first, Flags::ACK, MptcpOptions::default(), b"");
    raw.out.clear();
    assert_eq!(open(&mut raw, 40_003, capable_syn(), b"early").seq, 6);

    let mut off = listening(0);
    off.fast_open = Some(cookie);
    off.send(off.sub(0, 40_000, 80), Flags::SYN, capable_syn(), b"early");
    let answer = off.take();
    assert_eq!((answer.options.fast_open, answer.ack.0 - common::raw::ISN), (None, 1));
}

/// A client that has a cookie of the peer.
fn with_cookie() -> Raw {
    let mut raw = Raw::new();
    let sub = raw.connecting_with(&early(b""));
    raw.fast_open = Some(vec![7; 6]);
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    raw.fast_open = None;
    raw.abort();
    raw.release();
    raw.said();
    raw
}

/// Begins a connection that sends `data` on its SYN.
fn connect(raw: &mut Raw, data: &'static [u8], mode: ConnectionMode) -> Sub {
    let sub = raw.connecting_with(&ConnectOptions { mode, ..early(data) });
    Sub { seq: 0, ack: 1, ..sub }
}

/// RFC 8684, figures 18 to 21, as the initiator does its part.
#[test]
fn an_initiator_maps_what_the_syn_did_not_bring() {
    // What the SYN/ACK acknowledges, and what the first segment with data brings.
    let cases =
        [(7, None), (1, Some("#1 1:7 ack 1 keys len 6")), (4, Some("#1 4:7 ack 1 keys len 3"))];
    for (ack, rest) in cases {
        let mut raw = with_cookie();
        let sub = connect(&mut raw, b"early ", ConnectionMode::Automatic);
        raw.send(Sub { ack, ..sub }, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
        let said = raw.said();
        assert_eq!(said[0], rest.unwrap_or("#1 ack 1 keys"), "{ack}");
        assert_eq!(protocol(&raw), Protocol::Multipath);
        raw.write(b"later");
        // Less than a packet waits for the acknowledgment of the rest.
        let later = rest.is_none().then_some("#1 7:12 ack 1 keys len 5");
        assert_eq!(raw.said(), Vec::from_iter(later));
    }
}

/// What rides on the SYN, and that a SYN sent again has neither data nor cookie (RFC 7413 §4.2.1);
/// a server that does not answer it is not tried again soon (§4.1.3.1).
#[test]
fn a_syn_with_data_that_is_lost_falls_back() {
    let mut raw = with_cookie();
    let options = early(b"early ");
    let to = "10.0.1.1:90".parse().unwrap();
    raw.conn = Some(raw.endpoint.connect(raw.now, to, &options).unwrap());
    raw.drain();
    let Transport::Tcp(syn) = raw.out[0].transport.clone() else { panic!() };
    assert_eq!((syn.payload.len(), syn.options.fast_open.map(|c| c.len())), (6, Some(6)));
    assert!(syn.options.mptcp.capable.is_some());
    let sub = raw.meet();
    raw.pass(1_100);
    let again = raw.take();
    assert_eq!((again.payload.len(), again.options.fast_open), (0, None));
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    assert_eq!(raw.said(), ["#1 1:7 ack 1 keys len 6"]);
    raw.conn = Some(raw.endpoint.connect(raw.now, to, &options).unwrap());
    raw.drain();
    let syn = raw.take();
    assert_eq!((syn.payload.len(), syn.options.fast_open), (0, None));
    raw.pass(3_600_000);
    raw.out.clear();
    raw.conn = Some(raw.endpoint.connect(raw.now, to, &options).unwrap());
    raw.drain();
    assert_eq!(raw.take().options.fast_open.map(|c| c.len()), Some(0), "it is asked again");
}

/// A server that does not know Fast Open costs nothing: the data follows the handshake.
#[test]
fn without_a_cookie_data_follows_the_handshake() {
    let mut raw = Raw::new();
    let sub = connect(&mut raw, b"early ", ConnectionMode::Automatic);
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    assert_eq!(raw.said(), ["#0 1:7 ack 1 keys len 6"]);
    let mut raw = Raw::new();
    let sub = connect(&mut raw, b"early ", ConnectionMode::PlainTcp);
    raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["#0 1:7 ack 1"]);
}

/// A server that falls back has taken the data all the same, or gets it as TCP.
#[test]
fn a_server_without_multipath_takes_early_data() {
    for (ack, said) in [(7, "#1 ack 1"), (3, "#1 3:7 ack 1")] {
        for mode in [ConnectionMode::Automatic, ConnectionMode::PlainTcp] {
            let mut raw = with_cookie();
            let sub = connect(&mut raw, b"early ", mode);
            let sub = Sub { ack, ..sub };
            raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
            assert_eq!(raw.said(), [said]);
            raw.send(Sub { seq: 1, ack: 7, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
            raw.write(b"later");
            assert_eq!(raw.said(), ["#1 7:12 ack 1"]);
        }
    }
}

/// Two hosts of which the server takes early data.
fn world(seed: u64, links: &[LinkConfig], config: &EndpointConfig) -> World {
    let mut world = World::with(seed, links, config, config);
    let at = world.server.endpoint.listener_addr(world.listener).unwrap();
    world.server.endpoint.close_listener(world.now, world.listener);
    let options = ListenOptions { fast_open: 16, ..ListenOptions::default() };
    world.listener = world.server.endpoint.listen(at, options).unwrap();
    assert_eq!(at.port(), PORT);
    world
}

/// Begins a transfer whose first bytes are early.
fn start(world: &mut World, up: u64, down: u64, mode: ConnectionMode) {
    let len = up.min(4_000);
    let early_data = Some(pattern(1, 0, len as usize));
    let options = ConnectOptions { mode, early_data, ..ConnectOptions::default() };
    world.start_with(up, down, &options);
    world.client.out.written = len;
    (world.client.reads, world.server.reads) = (true, true);
}

/// The second connection saves a round trip, and is multipath like any other.
#[test]
fn early_data_arrives_a_round_trip_earlier() {
    for mode in [ConnectionMode::Automatic, ConnectionMode::PlainTcp] {
        let links = [link(50, ms(20)), link(50, ms(20))];
        let mut world = world(1, &links, &EndpointConfig::default());
        for expected in [ms(60), ms(20)] {
            let begun = world.now;
            start(&mut world, 1 << 20, 1 << 20, mode);
            assert!(world.run(ms(10_000)), "{}", world.describe());
            let (first, _) = world.server.into.reads[0];
            let late = first.since(begun) - expected;
            assert!(late < ms(5), "{mode:?}: {:?}", first.since(begun));
            let info = world.server.endpoint.info(world.server.conn.unwrap()).unwrap();
            let plain = mode == ConnectionMode::PlainTcp;
            let both = if plain { Protocol::PlainTcp } else { Protocol::Multipath };
            assert_eq!((info.protocol, info.bytes_received), (both, 1 << 20));
            assert_eq!(info.subflows.len(), if plain { 1 } else { 2 });
            world.release();
            world.run_for(ms(100));
        }
    }
}

/// Whatever the network does to them, early bytes come first, and once: with losses, checksums,
/// and boxes that take options away behind the SYN.
#[test]
fn nothing_is_lost_or_doubled_on_bad_networks() {
    for seed in 0..40 {
        let lossy = LinkConfig { loss: Loss::ppm(100_000), ..link(20, ms(10)) };
        let checksum = seed % 3 == 0;
        let config = EndpointConfig { checksum, ..EndpointConfig::default() };
        let mut world = world(seed, &[lossy.clone(), lossy], &config);
        for round in 0..3 {
            if seed % 4 == 3 && round > 0 {
                world.middlebox = Some(Box::new(|_, packet| {
                    let Transport::Tcp(segment) = &mut packet.transport else { return true };
                    if !segment.flags.has(Flags::SYN) {
                        segment.options.mptcp = MptcpOptions::default();
                    }
                    true
                }));
            }
            start(&mut world, 40_000, 40_000, ConnectionMode::Automatic);
            assert!(world.run(ms(200_000)), "seed {seed}, round {round}: {}", world.describe());
            world.release();
            world.run_for(ms(200_000));
        }
    }
}
