//! What TCP does not accept is not read: no signal of such a segment counts (RFC 8684 §3, RFC 5961).

mod common;

use common::raw::{Raw, Sub};
use manypath_base::AddrId;
use manypath_mptcp::Event;
use manypath_wire::{FastClose, Flags, MpPrio, MptcpOptions, RemoveAddr};

/// Every signal that would change something.
fn signals(raw: &Raw) -> [MptcpOptions; 4] {
    let fastclose = Some(FastClose { receiver_key: raw.key });
    let prio = Some(MpPrio { backup: true, addr_id: None });
    let remove_addr = Some(RemoveAddr { ids: [AddrId(1)].into_iter().collect() });
    [
        MptcpOptions { fastclose, ..MptcpOptions::default() },
        MptcpOptions { prio, ..MptcpOptions::default() },
        MptcpOptions { remove_addr, ..MptcpOptions::default() },
        raw.dss(Some(5), Some((1, 1, 4)), true),
    ]
}

/// Sends every signal on a segment that `wrong` made unacceptable.
fn nothing_counts(wrong: impl Fn(Sub) -> (Sub, Flags)) {
    let mut raw = Raw::new();
    let first = raw.accepted();
    raw.joined();
    raw.write(b"some");
    raw.said();
    raw.events.clear();
    for options in signals(&raw) {
        let (sub, flags) = wrong(first);
        raw.send(sub, flags, options, b"");
    }
    assert_eq!((raw.subflows(), raw.read().as_str()), (2, ""));
    assert!(raw.events.is_empty(), "{:?}", raw.events);
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.bytes_acknowledged, 0);
}

#[test]
fn signals_outside_the_window_are_not_read() {
    nothing_counts(|sub| (Sub { seq: 0, ..sub }, Flags::ACK));
    nothing_counts(|sub| (Sub { seq: 100_000_000, ..sub }, Flags::ACK));
}

#[test]
fn signals_with_an_impossible_acknowledgment_are_not_read() {
    nothing_counts(|sub| (Sub { ack: 50_000, ..sub }, Flags::ACK));
    nothing_counts(|sub| (Sub { ack: 0x8000_0000, ..sub }, Flags::ACK));
    nothing_counts(|sub| (sub, Flags::PSH));
}

/// RFC 5961 §3.2: a RST must hit the next number exactly, whatever it carries.
#[test]
fn a_reset_elsewhere_in_the_window_is_challenged() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for options in signals(&raw) {
        raw.send(Sub { seq: 5, ..sub }, Flags::RST, options, b"");
    }
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
    assert!(!raw.events.iter().any(|e| matches!(e, Event::Closed(..))));
}

/// RFC 5961 §4.2.
#[test]
fn a_syn_on_a_living_subflow_is_challenged() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let syn = raw.join_syn(1);
    raw.send(sub, Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
    assert_eq!(raw.subflows(), 1);
}

/// RFC 9293 §3.10.7.4, fifth: "if the ACK bit is off, drop the segment and return".
#[test]
fn segments_without_acknowledgment_are_dropped() {
    for flags in [Flags::default(), Flags::FIN, Flags::PSH, Flags::URG | Flags::FIN] {
        let mut raw = Raw::new();
        let sub = raw.accepted();
        let options = raw.dss(None, Some((1, 1, 4)), false);
        raw.send(sub, flags, options, b"data");
        assert_eq!((raw.said().len(), raw.read().as_str()), (0, ""), "{flags:?}");
    }
}
