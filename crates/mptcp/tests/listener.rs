//! Listeners under load (RFC 4987), and what comes to no listener.

mod common;

use common::raw::{Raw, capable_syn};
use manypath_mptcp::{EndpointConfig, Event, SynCookies};
use manypath_wire::{Flags, MptcpOptions};

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
