//! What is left of connections in TIME-WAIT, once nobody holds them (RFC 9293 §3.6.1, §3.10.7.4).

mod common;

use common::options::capable_syn;
use common::raw::{Raw, Sub};
use manypath_wire::{Flags, MptcpOptions};

/// A connection that the endpoint closed first, and let go.
fn waiting(raw: &mut Raw, port: u16) -> Sub {
    let sub = raw.open(raw.sub(0, port, 80), capable_syn());
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    raw.shutdown();
    raw.data_fin(sub, 2, 1);
    let sub = Sub { ack: 2, ..sub };
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::FIN | Flags::ACK, ack, b"");
    raw.release();
    raw.said();
    sub
}

fn fin_again(raw: &mut Raw, sub: Sub) -> Vec<String> {
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::FIN | Flags::ACK, ack, b"");
    raw.said()
}

#[test]
fn a_fin_that_comes_again_is_answered_and_restarts_the_wait() {
    let mut raw = Raw::new();
    let sub = waiting(&mut raw, 40_000);
    raw.pass(50_000);
    assert_eq!(fin_again(&mut raw, sub), ["#0 ack 2 dss ack 2"]);
    raw.pass(59_000);
    assert_eq!(raw.endpoint.len(), 1);
    raw.pass(62_000);
    assert_eq!(raw.endpoint.len(), 0);
    assert_eq!(raw.endpoint.poll_timeout(), None);
    assert_eq!(fin_again(&mut raw, sub), ["#0 R"]);
}

#[test]
fn a_rst_ends_the_wait_and_only_an_exact_one() {
    let mut raw = Raw::new();
    let sub = waiting(&mut raw, 40_000);
    raw.send(Sub { seq: 5, ..sub }, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["#0 ack 2 dss ack 2"]);
    assert_eq!(raw.endpoint.len(), 1);
    raw.send(Sub { seq: 2, ..sub }, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!((raw.said().len(), raw.endpoint.len()), (0, 0));
}

#[test]
fn every_subflow_waits() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    let second = raw.joined();
    raw.shutdown();
    raw.data_fin(first, 2, 1);
    for sub in [first, second] {
        let ack = raw.dss(Some(2), None, false);
        raw.send(Sub { ack: 2, ..sub }, Flags::FIN | Flags::ACK, ack, b"");
    }
    raw.release();
    raw.said();
    assert_eq!(raw.endpoint.len(), 2);
    assert!(raw.endpoint.info(raw.conn.unwrap()).is_none(), "the connection itself is gone");
    let fin = fin_again(&mut raw, Sub { ack: 2, ..second });
    assert_eq!(fin, ["#1 ack 2 dss ack 2"]);
}

#[test]
fn the_oldest_makes_way() {
    let mut raw = Raw::with(|config| config.max_connections = 3);
    let subs: Vec<_> = (0..5).map(|n| waiting(&mut raw, 40_000 + n)).collect();
    assert_eq!(raw.endpoint.len(), 3);
    let of = |raw: &mut Raw, sub: Sub| fin_again(raw, sub)[0].contains("dss ack");
    assert!(!of(&mut raw, subs[1]) && of(&mut raw, subs[2]) && of(&mut raw, subs[4]));
}
