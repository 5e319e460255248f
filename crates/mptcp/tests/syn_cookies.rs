//! SYN cookies (RFC 4987 §3.6, RFC 8684 §3.1): nothing is kept of a SYN, and its answer comes back.

mod common;

use std::net::IpAddr;

use common::options::capable_syn;
use common::raw::{ISN, Raw, Sub};
use common::{World, link, ms};
use manypath_base::{IfaceId, Key, SeqNum};
use manypath_link::{LinkConfig, Loss};
use manypath_mptcp::{
    ConnectOptions, ConnectionMode, EndpointConfig, Event, Protocol, SynCookieCounters, SynCookies,
};
use manypath_wire::{
    CapableFlags, Checksum, Ecn, Flags, IpHeader, MpCapable, MptcpOptions, Options, Packet, Segment,
};

fn always() -> Raw {
    Raw::with(|config| config.syn_cookies = SynCookies::Always)
}

fn incoming(raw: &Raw) -> usize {
    raw.events.iter().filter(|e| matches!(e, Event::Incoming(_))).count()
}

fn keys(raw: &Raw, flags: CapableFlags, receiver_key: Key) -> MptcpOptions {
    let mut options = raw.third_ack(None);
    let Some(MpCapable::Ack { sender_key, .. }) = options.capable else { panic!("{options:?}") };
    options.capable =
        Some(MpCapable::Ack { version: 1, flags, sender_key, receiver_key, data: None });
    options
}

/// RFC 8684 §3.1: "The echoing of B's key allows B to operate statelessly".
#[test]
fn the_third_ack_makes_the_connection_and_others_join_it() {
    let mut raw = always();
    let mut first = raw.half_open();
    assert_eq!((raw.endpoint.len(), raw.endpoint.poll_timeout()), (0, None), "nothing is kept");
    raw.send(first, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!((incoming(&raw), raw.endpoint.len()), (1, 1));
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
    raw.data(&mut first, 1, b"abc");
    assert_eq!((raw.read().as_str(), raw.said().len()), ("abc", 1));
    raw.joined();
    assert_eq!(raw.subflows(), 2);
    let counters = SynCookieCounters { sent: 1, accepted: 1 };
    assert_eq!(raw.endpoint.syn_cookies(), counters);
}

/// RFC 8684 §3.1: the first data brings the keys as well, where the third ACK was lost.
#[test]
fn the_first_data_makes_the_connection() {
    let mut raw = always();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(Some(3)), b"abc");
    assert_eq!((incoming(&raw), raw.read().as_str()), (1, "abc"));
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.protocol, Protocol::Multipath);
}

/// A third ACK without keys is that of a peer whose options were taken away, or that never had
/// any: TCP (RFC 8684 §3.7).
#[test]
fn without_keys_it_is_tcp() {
    for offered in [capable_syn(), MptcpOptions::default()] {
        let mut raw = always();
        let sub = raw.open(raw.sub(0, 40_000, 80), offered);
        raw.send(sub, Flags::ACK, MptcpOptions::default(), b"abc");
        assert_eq!((incoming(&raw), raw.read().as_str()), (1, "abc"));
        let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
        assert_eq!(info.protocol, Protocol::PlainTcp);
    }
}

/// RFC 8684 §3.1, flags A and C: what both sides agreed on comes back with the keys.
#[test]
fn flags_come_back_with_the_keys() {
    let mut raw = always();
    let sub = raw.half_open();
    let flags = CapableFlags::HMAC_SHA256.with(CapableFlags::CHECKSUM);
    raw.send(sub, Flags::ACK, keys(&raw, flags, raw.key), b"");
    raw.said();
    raw.write(b"hello");
    let dss = raw.take().options.mptcp.dss.unwrap();
    assert!(dss.mapping.unwrap().checksum.is_some());
}

/// A forged third ACK creates nothing: it has the wrong number, key or end, or it is not an
/// acknowledgment at all.
#[test]
fn what_does_not_bring_the_cookie_back_is_a_stray() {
    let forgeries: [fn(&mut Sub); 3] =
        [|sub| sub.ack += 8, |sub| sub.seq += 1, |sub| sub.from.set_port(40_001)];
    for forge in forgeries {
        let mut raw = always();
        let mut sub = raw.half_open();
        forge(&mut sub);
        raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
        assert_eq!((incoming(&raw), raw.endpoint.len()), (0, 0));
        assert_eq!(raw.take().flags, Flags::RST);
    }
    let mut raw = always();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, keys(&raw, CapableFlags::HMAC_SHA256, Key([1; 8])), b"");
    assert_eq!((raw.endpoint.len(), raw.take().flags), (0, Flags::RST));
    raw.send(sub, Flags::ACK | Flags::RST, raw.third_ack(None), b"");
    assert_eq!((raw.endpoint.len(), raw.said().len()), (0, 0), "a RST is not answered");
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.endpoint.len(), 1, "the genuine one still counts");
}

/// A cookie is good for between one and two periods of 67 seconds.
#[test]
fn an_expired_cookie_is_a_stray() {
    for (seconds, made) in [(60, 1), (135, 0)] {
        let mut raw = always();
        let sub = raw.half_open();
        raw.pass(seconds * 1_000);
        raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
        assert_eq!(raw.endpoint.len(), made, "{seconds} s");
    }
}

/// Where as many connections wait to be accepted as may, a cookie that comes back is not answered:
/// the peer sends again.
#[test]
fn a_full_queue_stays_full() {
    let mut raw = Raw::with(|config| {
        config.syn_cookies = SynCookies::Always;
        config.max_connections = 1;
    });
    let (first, second) = (raw.half_open(), raw.sub(0, 50_000, 80));
    let key = raw.key;
    let second = raw.open(second, capable_syn());
    let other = raw.key;
    raw.key = key;
    raw.send(first, Flags::ACK, raw.third_ack(None), b"");
    raw.said();
    raw.key = other;
    raw.send(second, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!((raw.endpoint.len(), raw.said().len()), (1, 0));
}

/// Both sides of a pair, with or without cookies.
fn world(seed: u64, syn_cookies: SynCookies, change: impl FnOnce(&mut EndpointConfig)) -> World {
    let client = EndpointConfig::default();
    let mut server = EndpointConfig { syn_cookies, ..EndpointConfig::default() };
    change(&mut server);
    let lossy = LinkConfig { loss: Loss::ppm(200), ..link(100, ms(25)) };
    World::with(seed, &[lossy.clone(), lossy], &client, &server)
}

/// Window scale, SACK and timestamps survive: a long fat link with losses is filled.
#[test]
fn options_are_restored() {
    let mut world = world(1, SynCookies::Always, |_| {});
    world.start(1 << 20, 16 << 20);
    let begun = world.now;
    assert!(world.run(ms(20_000)), "{}", world.describe());
    // A window of 64 KiB would take 13 seconds on each link.
    assert!(world.now.since(begun) < ms(4_000), "{:?}", world.now.since(begun));
    let info = world.server.endpoint.info(world.server.conn.unwrap()).unwrap();
    assert_eq!((info.protocol, info.subflows.len()), (Protocol::Multipath, 2));
    assert_eq!(world.server.endpoint.syn_cookies().accepted, 1);
}

/// SYNs of hosts that are not there.
fn flood(world: &mut World, count: u32) {
    let (to, now) = (world.to, world.now);
    for n in 0..count {
        let [_, _, a, b] = n.to_be_bytes();
        let ip = IpHeader {
            src: IpAddr::from([10, 0, 1, 100 + a % 100]),
            dst: to,
            ecn: Ecn::NotEct,
            dscp: 0,
            hop_limit: 64,
            flow_label: 0,
        };
        let segment = Segment {
            src_port: 1_024 + u16::from(b) + 256 * u16::from(a / 100),
            dst_port: common::PORT,
            seq: SeqNum(n),
            ack: SeqNum(0),
            flags: Flags::SYN,
            window: 1_000,
            urgent: 0,
            options: Options { mss: Some(1_460), mptcp: capable_syn(), ..Options::default() },
            payload: Default::default(),
        };
        let packet = Packet { ip, transport: segment.into() };
        let datagram = packet.emit(None, Checksum::Offloaded);
        world.server.endpoint.handle_datagram(now, IfaceId(0), &datagram);
        while world.server.endpoint.poll_transmit(now).is_some() {}
    }
}

/// A flood fills what half-open connections may take, and no more; who is there is served, with
/// and without multipath.
#[test]
fn a_flood_does_not_stop_honest_clients() {
    for mode in [ConnectionMode::Automatic, ConnectionMode::PlainTcp] {
        let mut world = world(2, SynCookies::WhenFull, |config| config.max_half_open = 100);
        flood(&mut world, 5_000);
        assert_eq!(world.server.endpoint.len(), 100);
        assert_eq!(world.server.endpoint.syn_cookies().sent, 4_900);
        let options = ConnectOptions { mode, ..ConnectOptions::default() };
        world.start_with(1 << 20, 1 << 20, &options);
        let begun = world.now;
        assert!(world.run(ms(5_000)), "{}", world.describe());
        assert!(world.now.since(begun) < ms(1_000), "no SYN was lost");
        let info = world.server.endpoint.info(world.server.conn.unwrap()).unwrap();
        assert_eq!(info.subflows.len(), if mode == ConnectionMode::PlainTcp { 1 } else { 2 });
        assert!(world.server.endpoint.len() <= 101);
        assert_eq!(world.server.endpoint.syn_cookies().accepted, 1);
    }
}

/// Without timestamps there is nothing to tell options with.
#[test]
fn without_timestamps_there_is_neither_scale_nor_sack() {
    let mut raw = Raw::with(|config| {
        config.syn_cookies = SynCookies::Always;
        (config.tcp.window_scale, config.tcp.sack) = (true, true);
    });
    let sub = raw.sub(0, 40_000, 80);
    let ip = IpHeader {
        src: sub.from.ip(),
        dst: sub.to.ip(),
        ecn: Ecn::NotEct,
        dscp: 0,
        hop_limit: 64,
        flow_label: 0,
    };
    let options = Options { window_scale: Some(7), sack_permitted: true, ..Options::default() };
    let segment = Segment {
        src_port: sub.from.port(),
        dst_port: sub.to.port(),
        seq: SeqNum(ISN),
        ack: SeqNum(0),
        flags: Flags::SYN | Flags::ECE | Flags::CWR,
        window: 1_000,
        urgent: 0,
        options,
        payload: Default::default(),
    };
    let datagram = Packet { ip, transport: segment.into() }.emit(None, Checksum::Offloaded);
    raw.endpoint.handle_datagram(raw.now, IfaceId(0), &datagram);
    raw.drain();
    let answer = raw.take();
    assert_eq!(answer.flags, Flags::SYN | Flags::ACK, "nor ECN");
    let Options { window_scale, sack_permitted, .. } = answer.options;
    assert_eq!((window_scale, sack_permitted), (None, false));
}
