//! Listeners under load (RFC 4987), and what comes to no listener.

mod common;

use common::options::capable_syn;
use common::raw::Raw;
use manypath_base::{AddrId, IfaceId};
use manypath_mptcp::{ConnectError, ConnectOptions, EndpointConfig, Event, SynCookies};
use manypath_wire::{AddAddr, Flags, MptcpOptions};

fn syn(raw: &mut Raw, port: u16) {
    raw.send(raw.sub(0, port, 80), Flags::SYN, capable_syn(), b"");
}

/// An endpoint that keeps every half-open connection for which it has room.
fn stateful(change: impl FnOnce(&mut EndpointConfig)) -> Raw {
    Raw::with(|config| {
        config.syn_cookies = SynCookies::Never;
        change(config);
    })
}

fn incoming(raw: &Raw) -> usize {
    raw.events.iter().filter(|e| matches!(e, Event::Incoming(_))).count()
}

/// A flood leaves room for whoever completes the handshake.
#[test]
fn the_oldest_half_open_connection_makes_way() {
    let mut raw = stateful(|config| config.max_half_open = 100);
    for port in 0..1_000 {
        syn(&mut raw, 1_000 + port);
        assert!(raw.endpoint.len() <= 100);
    }
    assert_eq!(raw.endpoint.drops().overflow, 900);
    raw.said();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!((incoming(&raw), raw.endpoint.len()), (1, 100));
    raw.pass(200_000);
    assert_eq!(raw.endpoint.len(), 1, "the rest is forgotten");
}

/// One that made way is answered as if it had never been.
#[test]
fn the_third_ack_of_a_dropped_connection_is_reset() {
    let mut raw = stateful(|config| config.max_half_open = 1);
    let sub = raw.half_open();
    syn(&mut raw, 50_000);
    raw.said();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 R"]);
}

/// The whole host's limit counts too, and half-open connections give way to it as well.
#[test]
fn no_more_connections_than_the_host_takes() {
    let mut raw = stateful(|config| config.max_connections = 2);
    raw.accepted();
    syn(&mut raw, 50_000);
    syn(&mut raw, 50_001);
    assert_eq!((raw.endpoint.len(), raw.endpoint.drops().overflow), (2, 1));
    raw.said();
    let mut full = stateful(|config| config.max_connections = 1);
    full.accepted();
    syn(&mut full, 50_000);
    assert_eq!((full.said().len(), full.endpoint.drops().overflow), (0, 1));
}

/// RFC 9293 §3.10.7.1: numbers of a RST that answers what belongs to nothing.
#[test]
fn strays_are_reset_with_their_own_numbers() {
    let mut raw = Raw::new();
    let sub = raw.sub(0, 40_000, 80);
    raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    let reset = raw.take();
    assert_eq!((reset.flags, reset.seq), (Flags::RST, manypath_base::SeqNum(0)));
    raw.send(raw.sub(0, 40_000, 81), Flags::FIN, MptcpOptions::default(), b"abc");
    let reset = raw.take();
    assert_eq!(reset.flags, Flags::RST | Flags::ACK);
    assert_eq!(reset.ack.0, common::raw::ISN + 4, "data and FIN");
    raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), Vec::<String>::new(), "a RST is not answered");
}

/// RFC 9293 §3.9.2.3, MUST-57 and MUST-63: what comes from, or goes to, more than one host or none
/// is dropped in silence, whatever it is.
#[test]
fn what_is_not_from_one_host_to_one_host_is_dropped_in_silence() {
    let many = ["255.255.255.255", "224.0.0.1", "239.1.2.3", "0.0.0.0"];
    for flags in [Flags::SYN, Flags::ACK, Flags::SYN | Flags::ACK, Flags::FIN] {
        for addr in many {
            let mut raw = Raw::new();
            let addr: std::net::IpAddr = addr.parse().unwrap();
            let (mut from, mut to) = (raw.sub(0, 40_000, 80), raw.sub(0, 40_000, 80));
            from.from.set_ip(addr);
            to.to.set_ip(addr);
            raw.send(from, flags, capable_syn(), b"");
            raw.send(to, flags, capable_syn(), b"");
            assert_eq!((raw.said().len(), raw.endpoint.len()), (0, 0), "{addr}");
            assert_eq!(raw.endpoint.drops().not_local, 2, "{addr}");
        }
    }
}

/// RFC 9293 §3.9.1.1, MUST-46.
#[test]
fn connecting_to_more_than_one_host_is_refused() {
    let mut raw = Raw::new();
    for addr in ["255.255.255.255:80", "224.0.0.1:80", "0.0.0.0:80", "[ff02::1]:80", "[::]:80"] {
        let addr = addr.parse().unwrap();
        let refused = raw.endpoint.connect(raw.now, addr, &ConnectOptions::default());
        assert_eq!(refused, Err(ConnectError::NotUnicast(addr)));
        let known = ConnectOptions { remotes: [addr].into(), ..ConnectOptions::default() };
        let to = "10.0.1.1:80".parse().unwrap();
        let refused = raw.endpoint.connect(raw.now, to, &known);
        assert_eq!(refused, Err(ConnectError::NotUnicast(addr)));
    }
    assert!(raw.endpoint.is_empty());
}

/// Nor does a peer make this side send a SYN to many.
#[test]
fn an_announced_address_of_more_than_one_host_is_not_joined() {
    let mut raw = Raw::new();
    let sub = raw.connected();
    raw.said();
    let addr = std::net::Ipv4Addr::new(224, 0, 0, 1);
    let hmac = Some(raw.add_addr_hmac(7, addr));
    let add = AddAddr { id: AddrId(7), addr: addr.into(), port: None, hmac };
    let options = MptcpOptions { add_addr: Some(add), ..MptcpOptions::default() };
    raw.send(common::raw::Sub { seq: 1, ..sub }, Flags::ACK, options, b"");
    raw.pass(10_000);
    let to_many = raw.out.iter().any(|packet| packet.ip.dst.is_multicast());
    assert!(!to_many);
    assert!(!raw.events.iter().any(|e| matches!(e, Event::AddrAnnounced(..))));
    let said = raw.said();
    assert!(said.concat().contains("echo 7"), "{said:?}");
}

/// The same inputs have the same outputs: connections are gone through in the order in which they
/// began.
#[test]
fn connections_hear_in_order_that_an_address_is_gone() {
    let mut raw = Raw::new();
    let to = "10.0.1.1:80".parse().unwrap();
    for _ in 0..50 {
        raw.endpoint.connect(raw.now, to, &ConnectOptions::default()).unwrap();
    }
    raw.drain();
    raw.endpoint.remove_interface(raw.now, IfaceId(0));
    raw.drain();
    let closed = raw.events.iter().filter_map(|event| match event {
        Event::Closed(id, _) => Some(id.0),
        _ => None,
    });
    assert_eq!(closed.collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
}

/// RFC 9293 §3.10.7.2: what says neither SYN nor ACK nor RST "should not be reached. Drop the
/// segment and return"; at a closed port it is answered by RST (§3.10.7.1).
#[test]
fn what_says_nothing_is_dropped_where_somebody_listens() {
    for flags in [Flags::default(), Flags::FIN, Flags::PSH, Flags::URG | Flags::FIN] {
        let mut raw = Raw::new();
        raw.send(raw.sub(0, 40_000, 80), flags, MptcpOptions::default(), b"data");
        assert_eq!((raw.said().len(), raw.endpoint.drops().stray), (0, 1), "{flags:?}");
        raw.send(raw.sub(0, 40_000, 81), flags, MptcpOptions::default(), b"data");
        let end = common::raw::ISN + 4 + u32::from(flags.has(Flags::FIN));
        let reset = raw.take();
        assert_eq!((reset.flags, reset.ack.0), (Flags::RST | Flags::ACK, end), "{flags:?}");
    }
}

/// RFC 9293 §3.10.7.2, first and second: a RST is ignored, an acknowledgment is reset, and a SYN
/// with either of them is what they are.
#[test]
fn a_listener_answers_acknowledgments_with_rst_and_rst_with_nothing() {
    let cases = [
        (Flags::RST, 0),
        (Flags::RST | Flags::ACK, 0),
        (Flags::RST | Flags::SYN, 0),
        (Flags::ACK, 1),
        (Flags::FIN | Flags::ACK, 1),
        (Flags::SYN | Flags::ACK, 1),
    ];
    for (flags, answers) in cases {
        let mut raw = Raw::new();
        raw.send(raw.sub(0, 40_000, 80), flags, MptcpOptions::default(), b"");
        let said = raw.said();
        assert!(said.len() == answers && said.iter().all(|s| s == "new R"), "{flags:?}: {said:?}");
        assert!(raw.endpoint.is_empty());
    }
}
