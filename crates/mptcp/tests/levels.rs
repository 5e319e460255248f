//! Falling back needs both levels to count alike (RFC 8684 §3.7): not where data went out again at
//! the data level, behind other data of the subflow.

mod common;

use common::raw::{Raw, Sub};
use manypath_mptcp::{ConnectionError, Event, FallbackReason, Protocol};
use manypath_wire::{CapableFlags, Flags, MpCapable, MpFail, MptcpOptions};

fn protocol(raw: &Raw) -> Protocol {
    raw.endpoint.info(raw.conn.unwrap()).unwrap().protocol
}

/// First data without a mapping is no reason to fall back any more; it waits for its mapping.
#[test]
fn after_data_was_sent_again_first_data_without_mapping_is_held() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    raw.said();
    // The subflow has it, and the connection never says so.
    let ack = raw.dss(Some(1), None, false);
    raw.send(Sub { ack: 5, ..sub }, Flags::ACK, ack.clone(), b"");
    raw.pass(2_500);
    assert_eq!(raw.said()[0], "#0 5:9 ack 1 dss ack 1 map 1@5+4");
    raw.send(Sub { ack: 9, ..sub }, Flags::ACK, ack, b"data");
    assert_eq!((protocol(&raw), raw.read().as_str()), (Protocol::Multipath, ""));
    raw.write(b"more");
    let said = raw.said().concat();
    assert!(!said.contains("+0"), "no mapping without end: {said}");
    let late = raw.dss(Some(5), Some((1, 1, 4)), false);
    raw.send(Sub { seq: 5, ack: 9, ..sub }, Flags::ACK, late, b"");
    assert_eq!(raw.read(), "data");
}

/// After a checksum failed multipath is about to end: nothing goes out again at the data level, so
/// that TCP can take over.
#[test]
fn after_a_wrong_checksum_nothing_is_sent_again_at_the_data_level() {
    let mut raw = Raw::with(|config| config.checksum = true);
    let sub = raw.half_open();
    let mut third = raw.third_ack(None);
    if let Some(MpCapable::Ack { flags, .. }) = &mut third.capable {
        *flags = CapableFlags::HMAC_SHA256.with(CapableFlags::CHECKSUM);
    }
    raw.send(sub, Flags::ACK, third, b"");
    raw.write(b"mine");
    raw.said();
    let mut wrong = raw.dss(Some(1), Some((1, 1, 4)), false);
    if let Some(mapping) = wrong.dss.as_mut().and_then(|dss| dss.mapping.as_mut()) {
        mapping.checksum = Some(1);
    }
    let sub = Sub { ack: 5, ..sub };
    raw.send(sub, Flags::ACK, wrong, b"data");
    let sub = Sub { seq: 5, ..sub };
    raw.pass(10_000);
    let said = raw.said();
    assert!(said.iter().all(|s| !s.contains("map")), "{said:?}");
    let fail = Some(MpFail { dsn: raw.dsn(1) });
    raw.send(sub, Flags::ACK, MptcpOptions { fail, ..raw.dss(Some(1), None, false) }, b"");
    raw.write(b"more");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::ChecksumFailed));
    assert_eq!(raw.said(), ["#0 5:9 ack 5 dss map 5@5+0"]);
}

/// A DATA_ACK of nothing does not show that options pass both ways: "until one of the sent segments
/// has been acknowledged with a DSS option containing a Data ACK".
#[test]
fn a_data_ack_before_any_data_confirms_nothing() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let ack = raw.dss(Some(1), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    raw.write(b"some");
    assert_eq!(raw.said(), ["#0 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.send(Sub { ack: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    raw.write(b"more");
    assert_eq!(raw.said(), ["#0 5:9 ack 1 dss map 5@5+0"]);
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::OptionsStripped));
}

/// A peer whose options come may not know: it is answered with DATA_ACKs until new data can tell
/// it, so that it does not send again what TCP would read twice.
#[test]
fn data_acks_go_on_until_the_peer_can_be_told() {
    let (mut raw, mut sub) = acknowledged_without_options();
    assert_eq!(protocol(&raw), Protocol::Multipath);
    raw.data(&mut sub, 5, b"data");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 9 dss ack 9"]);
    raw.write(b"more");
    assert_eq!(raw.said(), ["#0 5:9 ack 9 dss map 5@5+0"]);
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::OptionsStripped));
    let last = raw.dss(Some(5), Some((9, 9, 4)), false);
    raw.send(sub, Flags::ACK, last, b"last");
    assert_eq!(raw.read(), "somedatalast");
}

/// What the peer sends again all the same, at another place of the subflow, is not TCP's to read.
#[test]
fn what_comes_again_at_another_place_ends_the_subflow() {
    let (mut raw, sub) = acknowledged_without_options();
    raw.write(b"more");
    raw.said();
    let again = raw.dss(Some(5), Some((1, 5, 4)), false);
    raw.send(sub, Flags::ACK, again, b"some");
    assert_eq!(raw.said(), ["#0 R ack 5 reason 6"]);
    assert_eq!(raw.read(), "some");
}

/// Nor while the peer has not been told: where the two levels count no longer alike, TCP cannot go on.
#[test]
fn what_comes_again_before_the_peer_is_told_ends_the_subflow() {
    let (mut raw, sub) = acknowledged_without_options();
    assert_eq!(protocol(&raw), Protocol::Multipath);
    let again = raw.dss(Some(5), Some((1, 5, 4)), false);
    raw.send(sub, Flags::ACK, again, b"some");
    assert_eq!(raw.said(), ["#0 R ack 5 reason 6"]);
    assert_eq!(raw.read(), "some");
}

/// Nor is data taken for TCP's that came without its mapping where others had theirs: it may be such data.
#[test]
fn data_that_waits_for_its_mapping_when_options_vanish_ends_the_subflow() {
    for late in [false, true] {
        let mut raw = Raw::new();
        let mut sub = raw.accepted();
        raw.write(b"mine");
        raw.data(&mut sub, 1, b"some");
        let ack = raw.dss(Some(5), None, false);
        raw.send(Sub { ack: 5, ..sub }, Flags::ACK, ack, b"");
        raw.write(b"more");
        raw.said();
        // The last that comes acknowledges without options.
        let data: &[u8] = if late { b"" } else { b"data" };
        raw.send(Sub { ack: 9, ..sub }, Flags::ACK, MptcpOptions::default(), data);
        raw.pass(2_500);
        if late {
            raw.send(Sub { ack: 9, ..sub }, Flags::ACK, MptcpOptions::default(), b"data");
        }
        let said = raw.said();
        assert!(said.last().unwrap().ends_with("reason 6"), "{late}: {said:?}");
        assert_eq!(raw.read(), "some");
        assert_eq!(raw.end(), Some(Some(ConnectionError::NoPath)), "it was the only one: {late}");
    }
}

/// The first data of all may have its mapping in MP_CAPABLE (RFC 8684 §3.1).
#[test]
fn data_that_waits_behind_that_of_mp_capable_is_not_taken_for_tcps() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(Some(4)), b"some");
    raw.write(b"mine");
    raw.said();
    raw.send(Sub { seq: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"more");
    raw.send(Sub { seq: 9, ack: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    assert!(raw.said().last().unwrap().ends_with("reason 6"));
    assert_eq!(raw.read(), "some");
}

/// A peer that did not hear the end of a join's handshake may go over to TCP where this side cannot: on a
/// subflow whose options vanished nothing is sent again. Where they come it is.
#[test]
fn where_options_vanished_nothing_is_sent_again() {
    for vanish in [true, false] {
        let mut raw = Raw::new();
        let sub = raw.connected();
        let (second, nonce) = raw.meet_join();
        let options = raw.join_syn_ack(nonce, 1);
        raw.send(second, Flags::SYN | Flags::ACK, options, b"");
        raw.write(b"some");
        let ack = raw.dss(Some(5), None, false);
        raw.send(Sub { ack: 5, ..sub }, Flags::ACK, ack.clone(), b"");
        raw.write(b"more");
        raw.said();
        let last = if vanish { MptcpOptions::default() } else { ack };
        raw.send(Sub { ack: 9, ..sub }, Flags::ACK, last, b"");
        raw.pass(2_500);
        let said = raw.said();
        let again = said.iter().any(|s| s.starts_with("#0 9:13 ") && s.ends_with("map 5@9+4"));
        let reset = said.iter().any(|s| s.starts_with("#0 R ") && s.ends_with("reason 6"));
        assert_eq!((again, reset), (!vanish, vanish), "{said:?}");
        let down = raw.events.iter().any(|e| matches!(e, Event::PathDown(..)));
        assert_eq!(down, vanish, "it is told at once: {:?}", raw.events);
    }
}

/// A peer that has gone over to TCP reads no DATA_FIN: the end of the subflow follows it.
#[test]
fn the_end_is_told_to_tcp_too() {
    let (mut raw, _) = acknowledged_without_options();
    raw.shutdown();
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5 map 5@0+1 fin"]);
    raw.pass(2_500);
    assert_eq!(raw.said()[0], "#0 F ack 5");
}

/// Data of both sides came, and ours was acknowledged without options.
fn acknowledged_without_options() -> (Raw, Sub) {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.write(b"mine");
    raw.data(&mut sub, 1, b"some");
    raw.pass(100);
    raw.said();
    sub.ack = 5;
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"");
    (raw, sub)
}

/// Data without options before any mapping has come is TCP's, at once: nothing can have been sent twice.
#[test]
fn the_first_data_without_a_mapping_is_taken_as_tcp() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"some");
    assert_eq!((raw.read().as_str(), raw.said()), ("some", vec!["#0 ack 5".to_owned()]));
    raw.send(Sub { seq: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"more");
    assert_eq!(raw.read(), "more");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::NoMapping));
}

/// Not where options come now and then: the peer may have sent the same at the data level again.
#[test]
fn options_that_come_now_and_then_reset_the_subflow() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.write(b"mine");
    raw.said();
    raw.data(&mut sub, 1, b"some");
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"more");
    assert_eq!(raw.read(), "some");
    raw.said();
    raw.send(Sub { seq: 9, ack: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"last");
    assert_eq!(raw.said(), ["#0 R ack 9 reason 6"]);
    assert_eq!(raw.read(), "");
}
