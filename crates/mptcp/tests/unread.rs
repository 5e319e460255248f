//! Connections that are let go before everything that came was read (RFC 9293 §3.6.1, SHLD-3).

mod common;

use common::options::{capable_syn, fastclose};
use common::raw::{KEY, Raw, Sub};
use manypath_wire::{Flags, MptcpOptions};

/// Acknowledges everything that the endpoint has sent, at both levels.
fn acknowledge(raw: &mut Raw, sub: Sub, bytes: u32) {
    let ack = raw.dss(Some(u64::from(bytes) + 2), None, false);
    raw.send(Sub { ack: bytes + 1, ..sub }, Flags::ACK, ack, b"");
}

/// What was there and what comes are lost alike; the peer hears of it when it has all of this side.
#[test]
fn a_reset_tells_of_data_that_nobody_reads() {
    for before in [true, false] {
        let mut raw = Raw::new();
        let mut sub = raw.accepted();
        if before {
            raw.data(&mut sub, 1, b"late");
        }
        raw.write(b"last");
        raw.said();
        raw.release();
        if !before {
            raw.data(&mut sub, 1, b"late");
        }
        let said = raw.said();
        assert!(said.iter().all(|s| !s.contains('R')), "{before}: {said:?}");
        acknowledge(&mut raw, sub, 4);
        assert_eq!(raw.said(), ["#0 R ack 5 fastclose"], "{before}");
        assert!(raw.endpoint.is_empty());
    }
}

/// With plain TCP it is a RST.
#[test]
fn plain_tcp_tells_it_too() {
    let mut raw = Raw::new();
    let sub = raw.open(raw.sub(0, 40_000, 80), MptcpOptions::default());
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"late");
    let sub = Sub { seq: 5, ..sub };
    raw.release();
    assert_eq!(raw.said().last().unwrap(), "#0 F ack 5");
    raw.send(Sub { ack: 2, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["#0 R ack 5"]);
    assert!(raw.endpoint.is_empty());
}

/// A peer that has closed its half has said all: both ends close in good order.
#[test]
fn a_peer_that_has_closed_hears_nothing() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"late");
    raw.data_fin(sub, 1, 5);
    raw.release();
    raw.said();
    acknowledge(&mut raw, sub, 0);
    assert_eq!(raw.said(), ["#0 F ack 5 dss ack 6"]);
}

/// Nothing was lost: the peer may take its time.
#[test]
fn what_was_read_is_not_lost() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    assert_eq!(raw.read(), "some");
    raw.release();
    raw.said();
    acknowledge(&mut raw, sub, 0);
    raw.pass(30_000);
    assert_eq!(raw.said(), Vec::<String>::new());
    raw.data(&mut sub, 5, b"more");
    assert_eq!(raw.said(), ["#0 R ack 9 fastclose"]);
}

/// Its own word comes first: what the peer aborts is not answered by another abort.
#[test]
fn a_peer_that_aborts_meanwhile_ends_it() {
    let mut raw = Raw::new();
    let sub = raw.open(raw.sub(0, 40_000, 80), capable_syn());
    raw.send(sub, Flags::ACK, raw.third_ack(Some(4)), b"late");
    raw.release();
    raw.said();
    let own = raw.key;
    assert_ne!(own, KEY);
    raw.send(Sub { seq: 5, ..sub }, Flags::RST, fastclose(own), b"");
    assert_eq!((raw.said().len(), raw.endpoint.len()), (0, 0));
}
