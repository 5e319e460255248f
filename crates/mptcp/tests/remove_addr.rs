//! REMOVE_ADDR (RFC 8684 §3.4.2), segment by segment.

mod common;

use std::net::Ipv4Addr;

use common::options::{echo, prio, remove};
use common::raw::{Raw, Sub};
use common::signalling;
use manypath_base::IfaceId;
use manypath_mptcp::{AddressFlags, Event, Interface, LocalAddress};
use manypath_wire::{Flags, MptcpOptions};

#[test]
fn addresses_that_come_and_go_are_announced_and_withdrawn_under_the_same_identifier() {
    let mut raw = Raw::new();
    raw.accepted();
    for _ in 0..2 {
        raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
        raw.drain();
        assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 3 10.0.3.2"]);
        raw.endpoint.remove_interface(raw.now, IfaceId(7));
        raw.drain();
        assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 remove [3]"]);
        raw.pass(100);
    }
}

#[test]
fn withdrawing_unknown_identifiers_changes_nothing() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::ACK, remove(&[9, 200]), b"");
    assert_eq!(raw.subflows(), 2);
    assert!(!raw.events.iter().any(|e| matches!(e, Event::AddrRemoved(..))));
}

/// RFC 8684 §3.4.2: a keep-alive first; what does not answer is reset.
#[test]
fn a_subflow_of_a_withdrawn_address_ends_if_it_does_not_answer() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::ACK, remove(&[1]), b"");
    assert_eq!(raw.said(), ["#1 ack 1"], "a keep-alive");
    raw.pass(350);
    assert_eq!((raw.said(), raw.subflows()), (vec!["#1 ack 1".to_owned()], 2), "another");
    raw.pass(350);
    assert_eq!(raw.said(), ["#1 ack 1", "#1 R ack 1 reason 0 T"]);
    assert_eq!(raw.subflows(), 1);
}

/// RFC 8684 §3.4.2: "if a response is received, the path SHOULD NOT be removed".
#[test]
fn a_subflow_of_a_withdrawn_address_that_answers_is_kept() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let second = raw.joined();
    raw.send(sub, Flags::ACK, remove(&[1]), b"");
    raw.pass(1);
    raw.send(second, Flags::ACK, MptcpOptions::default(), b"");
    raw.pass(60_000);
    assert_eq!((raw.said(), raw.subflows()), (vec!["#1 ack 1".to_owned()], 2));
}

/// Until it answers it is given nothing new, and what it carries goes elsewhere.
#[test]
fn a_subflow_in_doubt_carries_nothing() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    let second = raw.joined();
    raw.send(first, Flags::ACK, prio(true), b"");
    raw.write(b"some");
    assert_eq!(raw.said(), ["#1 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.send(first, Flags::ACK, remove(&[1]), b"");
    assert_eq!(raw.said(), ["#0 1:5 ack 1 dss ack 1 map 1@1+4", "#1 ack 1"]);
    raw.pass(1);
    raw.send(second, Flags::ACK, MptcpOptions::default(), b"");
    let ack = raw.dss(Some(5), None, false);
    raw.send(Sub { ack: 5, ..first }, Flags::ACK, ack, b"");
    raw.write(b"more");
    assert_eq!(raw.said(), ["#1 5:9 ack 1 dss ack 1 map 5@5+4"]);
}

#[test]
fn the_initial_address_can_be_withdrawn_too() {
    let mut raw = Raw::new();
    raw.accepted();
    let mut second = raw.joined();
    raw.send(second, Flags::ACK, remove(&[0]), b"");
    raw.pass(2_000);
    assert_eq!(raw.said().last().unwrap(), "#0 R ack 1 reason 0 T");
    raw.data(&mut second, 1, b"some");
    assert_eq!(raw.read(), "some");
}

/// RFC 8684 §3.4.2: one option, several identifiers.
#[test]
fn several_addresses_are_withdrawn_at_once() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    let (third, ack) = raw.joining(raw.sub(1, 40_002, 80), 2);
    raw.send(third, Flags::ACK, ack, b"");
    raw.said();
    raw.send(sub, Flags::ACK, remove(&[1, 2, 77]), b"");
    raw.pass(2_000);
    assert_eq!(raw.subflows(), 1);
    let gone = |e: &&Event| matches!(e, Event::AddrRemoved(..));
    assert_eq!(raw.events.iter().filter(gone).count(), 2);
}

#[test]
fn this_side_withdraws_several_addresses_in_one_option() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let flags = AddressFlags { signal: true, subflow: false, ..AddressFlags::default() };
    let address = |n| LocalAddress { addr: [10, 0, 3, n].into(), flags, port: None };
    let addresses = (2..5).map(address).collect();
    let interface = Interface { id: IfaceId(7), mtu: 1500, addresses };
    raw.endpoint.add_interface(raw.now, interface);
    raw.drain();
    for n in 2..5 {
        raw.pass(1);
        assert_eq!(raw.said().len(), 1, "the next follows the echo");
        raw.send(sub, Flags::ACK, echo(n + 1, Ipv4Addr::new(10, 0, 3, n)), b"");
    }
    raw.endpoint.remove_interface(raw.now, IfaceId(7));
    raw.drain();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 remove [3, 4, 5]"]);
}

#[test]
fn the_last_subflow_stays_whatever_is_withdrawn() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::ACK, remove(&[0, 1]), b"");
    raw.pass(60_000);
    assert_eq!(raw.subflows(), 1);
}

#[test]
fn a_withdrawn_initial_address_is_not_tried_again() {
    let mut raw = Raw::new();
    let sub = raw.connected();
    let said = raw.said();
    assert_eq!(said, ["new S join"]);
    raw.send(sub, Flags::ACK, remove(&[0]), b"");
    raw.pass(1_000);
    raw.said();
    raw.pass(20_000);
    assert_eq!(raw.said(), Vec::<String>::new());
}

/// RFC 8684 §3.4.2: "The sending .. SHOULD trigger the sending of RSTs by both hosts".
#[test]
fn this_side_resets_the_subflows_of_an_address_that_goes() {
    let mut raw = Raw::new();
    raw.accepted();
    raw.joined();
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    raw.drain();
    assert_eq!(raw.said(), ["#1 R ack 1 reason 0 T", "#0 ack 1 dss ack 1 remove [2]"]);
    assert_eq!(raw.subflows(), 1);
}
