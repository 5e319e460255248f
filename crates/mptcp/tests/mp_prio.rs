//! MP_PRIO (RFC 8684 §3.3.8), segment by segment.

mod common;

use common::options::prio;
use common::raw::{Raw, Sub};
use common::simple_interface;
use manypath_base::{AddrId, SubflowId};
use manypath_mptcp::Event;
use manypath_wire::{Flags, MpPrio, MptcpOptions};

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

/// A peer that confirms the keys and falls back in one segment has nobody to hear a priority.
#[test]
fn nobody_is_told_of_a_backup_after_falling_back() {
    let mut raw = Raw::new();
    let mut backup = simple_interface(0, [10, 0, 1, 2].into());
    backup.addresses[0].flags.backup = true;
    raw.endpoint.add_interface(raw.now, backup);
    let sub = raw.half_open();
    let (third, end) = (raw.third_ack(None), raw.dss(Some(1), Some((1, 1, 0)), false));
    raw.send(sub, Flags::ACK, MptcpOptions { capable: third.capable, ..end }, b"some");
    assert_eq!(raw.read(), "some");
    assert!(raw.events.iter().any(|e| matches!(e, Event::FellBack(..))), "{:?}", raw.events);
}
