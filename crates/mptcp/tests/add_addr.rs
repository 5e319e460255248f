//! ADD_ADDR (RFC 8684 §3.4.1), segment by segment.

mod common;

use std::net::Ipv4Addr;

use common::options::{add, echo, remove};
use common::raw::Raw;
use common::{signalling, simple_interface};
use manypath_base::{AddrId, IfaceId};
use manypath_mptcp::Event;
use manypath_wire::{AddAddr, Flags, MptcpOptions};

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);

fn announced(raw: &Raw) -> usize {
    raw.events.iter().filter(|e| matches!(e, Event::AddrAnnounced(..))).count()
}

#[test]
fn an_announcement_is_echoed_each_time_and_reported_once() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for _ in 0..2 {
        let options = add(&raw, 2, OTHER);
        raw.send(sub, Flags::ACK, options, b"");
        assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 echo 2 10.0.2.1"]);
    }
    assert_eq!(announced(&raw), 1);
}

#[test]
fn an_announcement_with_a_wrong_hmac_is_ignored() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let options = add(&raw, 2, OTHER);
    let wrong = AddAddr { id: AddrId(3), ..options.add_addr.unwrap() };
    raw.send(sub, Flags::ACK, MptcpOptions { add_addr: Some(wrong), ..options }, b"");
    assert_eq!((raw.said().len(), announced(&raw)), (0, 0));
    assert_eq!(raw.endpoint.drops().bad_hmac, 1);
}

#[test]
fn an_identifier_keeps_its_address_until_it_is_withdrawn() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for addr in [OTHER, Ipv4Addr::new(10, 0, 2, 9)] {
        let options = add(&raw, 2, addr);
        raw.send(sub, Flags::ACK, options, b"");
    }
    assert_eq!(announced(&raw), 1);
    raw.send(sub, Flags::ACK, remove(&[2]), b"");
    let options = add(&raw, 2, Ipv4Addr::new(10, 0, 2, 9));
    raw.send(sub, Flags::ACK, options, b"");
    assert_eq!(announced(&raw), 2);
}

#[test]
fn an_announced_address_is_joined_up_to_the_limit() {
    let mut raw = Raw::with(|config| config.limits.add_addr_accepted = 1);
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    let sub = raw.connected();
    assert_eq!(raw.said(), Vec::<String>::new());
    for (id, addr) in [(2, OTHER), (3, Ipv4Addr::new(10, 0, 2, 9))] {
        let options = add(&raw, id, addr);
        raw.send(sub, Flags::ACK, options, b"");
    }
    let joins = raw.said().iter().filter(|s| s.contains("S join")).count();
    assert_eq!(joins, 1);
}

#[test]
fn this_sides_announcement_is_repeated_until_it_is_echoed() {
    let mut raw = Raw::new();
    raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 3 10.0.3.2"]);
    raw.pass(1_500);
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 3 10.0.3.2"]);
    raw.send(sub, Flags::ACK, echo(3, Ipv4Addr::new(10, 0, 3, 2)), b"");
    raw.pass(60_000);
    assert_eq!(raw.said(), Vec::<String>::new());
}

/// Linux takes note of one address at a time and drops those that come before it did.
#[test]
fn the_next_address_is_announced_when_the_one_before_is_echoed() {
    let mut raw = Raw::new();
    raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
    raw.endpoint.add_interface(raw.now, signalling(8, [10, 0, 4, 2]));
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 3 10.0.3.2"]);
    raw.send(sub, Flags::ACK, echo(3, Ipv4Addr::new(10, 0, 3, 2)), b"");
    raw.pass(1);
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 4 10.0.4.2"]);
    raw.send(sub, Flags::ACK, echo(4, Ipv4Addr::new(10, 0, 4, 2)), b"");
    raw.pass(60_000);
    assert_eq!(raw.said(), Vec::<String>::new());
}

#[test]
fn an_address_without_echo_does_not_hold_up_the_others_for_long() {
    let mut raw = Raw::new();
    raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
    raw.endpoint.add_interface(raw.now, signalling(8, [10, 0, 4, 2]));
    raw.accepted();
    raw.pass(1_500);
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 4 10.0.4.2"]);
    raw.pass(600_000);
    assert_eq!(raw.said().len(), 8);
}

#[test]
fn an_announcement_without_echo_is_given_up() {
    let mut raw = Raw::new();
    raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
    raw.accepted();
    raw.pass(600_000);
    assert_eq!(raw.said().len(), 4);
}

#[test]
fn an_address_that_comes_later_is_joined_from_with_its_own_identifier() {
    let mut raw = Raw::new();
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    let _sub = raw.connected();
    raw.endpoint.add_interface(raw.now, simple_interface(1, [10, 0, 2, 2].into()));
    raw.drain();
    let syn = raw.take();
    let Some(manypath_wire::MpJoin::Syn { addr_id, .. }) = syn.options.mptcp.join else {
        panic!("{syn:?}")
    };
    assert_eq!(addr_id, AddrId(2));
}

/// Echoes and other signals that nobody asked for do nothing.
#[test]
fn unexpected_echoes_are_ignored() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for id in 0..=255 {
        raw.send(sub, Flags::ACK, echo(id, OTHER), b"");
    }
    assert_eq!((raw.said().len(), announced(&raw), raw.subflows()), (0, 0, 1));
}
