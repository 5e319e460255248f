//! The first handshake (RFC 8684 §3.1), segment by segment.

mod common;

use common::raw::{Raw, capable_syn, capable_syn_ack};
use manypath_mptcp::{ConnectionError, Event, FallbackReason, Protocol};
use manypath_wire::{CapableFlags, Flags, MpCapable, MptcpOptions};

fn protocol(raw: &Raw) -> Protocol {
    raw.endpoint.info(raw.conn.unwrap()).unwrap().protocol
}

#[test]
fn the_third_ack_is_answered_so_that_the_opener_knows() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn a_repeated_third_ack_is_answered_again() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
}

#[test]
fn first_data_with_the_keys_makes_up_for_a_lost_third_ack() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(Some(4)), b"data");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5"]);
    assert_eq!(raw.read(), "data");
}

#[test]
fn data_that_overtakes_the_keys_waits_for_them() {
    let mut raw = Raw::new();
    let mut sub = raw.half_open();
    let first = sub;
    sub.seq = 5;
    raw.data(&mut sub, 5, b"more");
    // An ACK without a DATA_ACK would make the peer fall back.
    assert_eq!(raw.said(), Vec::<String>::new());
    raw.send(first, Flags::ACK, raw.third_ack(Some(4)), b"some");
    assert_eq!(raw.said(), ["#0 ack 9 dss ack 9"]);
    assert_eq!(raw.read(), "somemore");
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn a_data_fin_that_overtakes_the_keys_waits_for_them() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.data_fin(sub, 1, 1);
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.read(), "|");
    assert_eq!(raw.said().last().unwrap(), "#0 ack 1 dss ack 2");
}

#[test]
fn wrong_keys_reset_the_connection_and_nobody_hears_of_it() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.key.0[0] ^= 1;
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 1"]);
    assert_eq!((raw.endpoint.len(), raw.events.len()), (0, 0));
}

#[test]
fn other_versions_and_flags_are_answered_by_tcp() {
    let hmac = CapableFlags::HMAC_SHA256;
    for (version, flags) in [
        (0, hmac),
        (2, hmac),
        (1, CapableFlags::default()),
        (1, hmac.with(CapableFlags::EXTENSIBILITY)),
    ] {
        let mut raw = Raw::new();
        let capable = Some(MpCapable::Syn { version, flags });
        let options = MptcpOptions { capable, ..MptcpOptions::default() };
        raw.send(raw.sub(0, 40_000, 80), Flags::SYN, options, b"");
        assert_eq!(raw.said(), ["new S ack 1"]);
    }
}

#[test]
fn a_repeated_syn_gets_the_same_answer() {
    let mut raw = Raw::new();
    let mut sub = raw.half_open();
    sub.seq = 0;
    raw.send(sub, Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 S ack 1 capable"]);
    assert_eq!(raw.endpoint.len(), 1);
}

#[test]
fn a_half_open_connection_is_forgotten_and_makes_room() {
    let mut raw = Raw::new();
    raw.half_open();
    raw.pass(200_000);
    assert_eq!((raw.endpoint.len(), raw.events.len()), (0, 0));
    raw.said();
    raw.half_open();
    assert_eq!(raw.endpoint.len(), 1);
}

#[test]
fn a_reset_ends_a_half_open_connection_in_silence() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!((raw.endpoint.len(), raw.events.len(), raw.said().len()), (0, 0, 0));
}

#[test]
fn the_keys_are_repeated_until_the_peer_shows_that_it_has_them() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    assert_eq!(raw.said(), ["#0 ack 1 keys"]);
    raw.write(b"some");
    assert_eq!(raw.said(), ["#0 1:5 ack 1 keys len 4"]);
    raw.pass(1_000);
    assert!(raw.said().iter().all(|s| s == "#0 1:5 ack 1 keys len 4"));
}

#[test]
fn data_fin_does_not_wait_for_a_peer_that_has_nothing_to_say() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    let third = raw.take();
    let Some(MpCapable::Ack { sender_key, .. }) = third.options.mptcp.capable else { panic!() };
    raw.key = sender_key;
    raw.shutdown();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 map 1@0+1 fin"]);
    raw.pass(5_000);
    let said = raw.said();
    assert!(said[0].ends_with("keys") && said[1].ends_with("fin"), "{said:?}");
}

#[test]
fn a_syn_without_answer_goes_out_without_the_option_at_last() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.pass(20_000);
    let said = raw.said();
    assert_eq!(said[..2], ["#0 S capable", "#0 S capable"]);
    assert!(said[2..].iter().all(|s| s == "#0 S"), "{said:?}");
    raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::SynDropped));
}

#[test]
fn a_closed_port_refuses() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.send(sub, Flags::RST | Flags::ACK, MptcpOptions::default(), b"");
    let id = raw.conn.unwrap();
    assert_eq!(raw.events, [Event::Closed(id, Some(ConnectionError::Refused))]);
    raw.release();
    assert_eq!(raw.endpoint.len(), 0);
}

#[test]
fn a_syn_to_a_closed_port_is_refused() {
    let mut raw = Raw::new();
    raw.send(raw.sub(0, 40_000, 81), Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["new R ack 1"]);
}
