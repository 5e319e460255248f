//! ADD_ADDR, REMOVE_ADDR and MP_PRIO (RFC 8684 §3.4, §3.3.8), segment by segment.

mod common;

use std::net::Ipv4Addr;

use common::raw::{Raw, Sub};
use common::simple_interface;
use manypath_base::{AddrId, IfaceId, SubflowId};
use manypath_mptcp::{AddressFlags, Event, Interface, LocalAddress};
use manypath_wire::{AddAddr, Flags, MpPrio, MptcpOptions, RemoveAddr};

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);

fn add(raw: &Raw, id: u8, addr: Ipv4Addr) -> MptcpOptions {
    let hmac = Some(raw.add_addr_hmac(id, addr));
    let add_addr = Some(AddAddr { id: AddrId(id), addr: addr.into(), port: None, hmac });
    MptcpOptions { add_addr, ..raw.dss(Some(1), None, false) }
}

fn echo(id: u8, addr: Ipv4Addr) -> MptcpOptions {
    let add_addr = Some(AddAddr { id: AddrId(id), addr: addr.into(), port: None, hmac: None });
    MptcpOptions { add_addr, ..MptcpOptions::default() }
}

fn remove(ids: &[u8]) -> MptcpOptions {
    let ids = ids.iter().copied().map(AddrId).collect();
    MptcpOptions { remove_addr: Some(RemoveAddr { ids }), ..MptcpOptions::default() }
}

fn prio(backup: bool) -> MptcpOptions {
    MptcpOptions { prio: Some(MpPrio { backup, addr_id: None }), ..MptcpOptions::default() }
}

fn announced(raw: &Raw) -> usize {
    raw.events.iter().filter(|e| matches!(e, Event::AddrAnnounced(..))).count()
}

fn signalling(id: u32, addr: [u8; 4]) -> Interface {
    let flags = AddressFlags { signal: true, subflow: false, ..AddressFlags::default() };
    let addresses = vec![LocalAddress { addr: addr.into(), flags, port: None }];
    Interface { id: IfaceId(id), mtu: 1500, addresses }
}

fn subflows(raw: &Raw) -> usize {
    raw.endpoint.info(raw.conn.unwrap()).unwrap().subflows.len()
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

#[test]
fn withdrawing_unknown_identifiers_changes_nothing() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::ACK, remove(&[9, 200]), b"");
    assert_eq!(subflows(&raw), 2);
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
    assert_eq!((raw.said(), subflows(&raw)), (vec!["#1 ack 1".to_owned()], 2), "another");
    raw.pass(350);
    assert_eq!(raw.said(), ["#1 ack 1", "#1 R ack 1 reason 0 T"]);
    assert_eq!(subflows(&raw), 1);
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
    assert_eq!((raw.said(), subflows(&raw)), (vec!["#1 ack 1".to_owned()], 2));
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
    assert_eq!(subflows(&raw), 1);
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
    assert_eq!(subflows(&raw), 1);
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

#[test]
fn a_subflow_that_the_peer_makes_a_backup_carries_nothing() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    raw.joined();
    raw.send(first, Flags::ACK, prio(true), b"");
    raw.write(b"some");
    assert_eq!(raw.said(), ["#1 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.send(first, Flags::ACK, prio(false), b"");
    let changes: Vec<bool> = raw
        .events
        .iter()
        .filter_map(|e| match e {
            Event::PrioChanged { backup, .. } => Some(*backup),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [true, false]);
}

#[test]
fn this_sides_choice_of_backups_is_told_once() {
    let mut raw = Raw::new();
    raw.accepted();
    let id = raw.conn.unwrap();
    raw.endpoint.set_backup(raw.now, id, SubflowId(0), true).unwrap();
    raw.drain();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 backup"]);
    raw.pass(60_000);
    assert_eq!(raw.said(), Vec::<String>::new());
}

#[test]
fn signals_wait_for_a_handshake_that_is_not_complete() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
    raw.drain();
    raw.said();
    let (half, _) = raw.joining(raw.sub(1, 40_001, 80), 1);
    raw.endpoint.remove_interface(raw.now, IfaceId(7));
    raw.drain();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 remove [3]"]);
    let _both = (sub, Sub { ack: 2, ..half });
}

/// RFC 8684 §3, §4: "SHOULD NOT send more than two duplicate ACKs in a row" for signals alone.
#[test]
fn no_more_than_two_acknowledgments_in_a_row_for_signals() {
    for passes in [false, true] {
        let mut raw = Raw::new();
        let sub = raw.accepted();
        let conn = raw.conn.expect("it was accepted");
        raw.endpoint.add_interface(raw.now, signalling(7, [10, 0, 3, 2]));
        raw.drain();
        raw.endpoint.set_backup(raw.now, conn, SubflowId(0), true).expect("it is there");
        raw.drain();
        assert_eq!(raw.said().len(), 2);
        raw.endpoint.remove_interface(raw.now, IfaceId(7));
        raw.drain();
        assert_eq!(raw.said(), Vec::<String>::new());
        if passes {
            raw.pass(100);
        } else {
            raw.send(sub, Flags::ACK, MptcpOptions::default(), b"");
        }
        assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 remove [3]"], "after time: {passes}");
    }
}

/// RFC 8684 §3, §4: "MUST NOT treat it as a signal of congestion".
#[test]
fn repeated_acknowledgments_with_signals_are_no_congestion() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let ack = raw.dss(Some(1), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    for _ in 0..5 {
        raw.write(&[b'x'; 900]);
    }
    raw.said();
    for backup in [true, false, true, false] {
        raw.send(sub, Flags::ACK, prio(backup), b"");
    }
    assert_eq!(raw.said(), Vec::<String>::new());
    for _ in 0..3 {
        let ack = raw.dss(Some(1), None, false);
        raw.send(sub, Flags::ACK, ack, b"");
    }
    assert_eq!(raw.said().len(), 1, "DSS is no such signal");
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
    assert_eq!(subflows(&raw), 1);
}

/// The form of the old version names another address; it acts on its own subflow only, or not at
/// all (RFC 8684 §3.3.8: the option has no identifier any more).
#[test]
fn a_priority_for_another_address_is_ignored() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    let prio = Some(MpPrio { backup: true, addr_id: Some(AddrId(1)) });
    raw.send(sub, Flags::ACK, MptcpOptions { prio, ..MptcpOptions::default() }, b"");
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert!(info.subflows.iter().all(|s| !s.backup));
    assert!(!raw.events.iter().any(|e| matches!(e, Event::PrioChanged { .. })));
}

/// Echoes and other signals that nobody asked for do nothing.
#[test]
fn unexpected_echoes_are_ignored() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for id in 0..=255 {
        raw.send(sub, Flags::ACK, echo(id, OTHER), b"");
    }
    assert_eq!((raw.said().len(), announced(&raw), subflows(&raw)), (0, 0, 1));
}

/// MP_PRIO is a wish of this side; it keeps to it itself, too.
#[test]
fn this_side_sends_nothing_on_what_it_made_a_backup() {
    let mut raw = Raw::new();
    raw.accepted();
    let second = raw.joined();
    let id = raw.conn.unwrap();
    raw.endpoint.set_backup(raw.now, id, SubflowId(0), true).unwrap();
    raw.drain();
    raw.said();
    raw.write(b"some");
    assert_eq!(raw.said(), ["#1 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.endpoint.set_backup(raw.now, id, SubflowId(1), true).unwrap();
    let ack = raw.dss(Some(5), None, false);
    raw.send(Sub { ack: 5, ..second }, Flags::ACK, ack, b"");
    raw.said();
    raw.write(b"more");
    let said = raw.said();
    assert!(said.len() == 1 && said[0].contains("map 5@"), "all are backups: none is. {said:?}");
}
