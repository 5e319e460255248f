//! MP_FAIL, checksums and infinite mappings (RFC 8684 §3.7), segment by segment.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use common::raw::{Raw, Sub};
use manypath_base::DataSeq;
use manypath_mptcp::{Event, FallbackReason, Protocol};
use manypath_wire::{CapableFlags, Flags, MpCapable, MpFail, MptcpOptions, dss_checksum};

fn protocol(raw: &Raw) -> Protocol {
    raw.endpoint.info(raw.conn.unwrap()).unwrap().protocol
}

fn checked() -> (Raw, Sub) {
    let mut raw = Raw::with(|config| config.checksum = true);
    let sub = raw.half_open();
    let mut third = raw.third_ack(None);
    let flags = CapableFlags::HMAC_SHA256.with(CapableFlags::CHECKSUM);
    if let Some(MpCapable::Ack { flags: there, .. }) = &mut third.capable {
        *there = flags;
    }
    raw.send(sub, Flags::ACK, third, b"");
    raw.said();
    (raw, sub)
}

/// Data with a checksum that is right but for `error`.
fn summed(
    raw: &Raw,
    dsn: u64,
    ssn: u32,
    bytes: &'static [u8],
    fin: bool,
    error: u16,
) -> MptcpOptions {
    let len = bytes.len() as u16 + u16::from(fin);
    let mut options = raw.dss(Some(1), Some((dsn, ssn, len)), fin);
    let payload = bytes::Bytes::from_static(bytes).into();
    let sum = dss_checksum(raw.dsn(dsn).0, ssn, len, &payload) ^ error;
    if let Some(mapping) = options.dss.as_mut().and_then(|dss| dss.mapping.as_mut()) {
        mapping.checksum = Some(sum);
    }
    options
}

fn fail(dsn: DataSeq) -> MptcpOptions {
    MptcpOptions { fail: Some(MpFail { dsn }), ..MptcpOptions::default() }
}

#[test]
fn the_place_of_data_fin_counts_in_the_checksum() {
    let (mut raw, sub) = checked();
    let options = summed(&raw, 1, 1, b"some", true, 0);
    raw.send(sub, Flags::ACK, options, b"some");
    assert_eq!(raw.read(), "some|");
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn a_wrong_checksum_on_the_only_subflow_goes_on_as_tcp() {
    let (mut raw, sub) = checked();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5 fail 1"], "it will not come again");
    assert_eq!(protocol(&raw), Protocol::Multipath, "the peer does not know");
    raw.send(Sub { seq: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"more");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::ChecksumFailed));
    assert_eq!(raw.read(), "somemore");
    raw.send(Sub { seq: 9, ..sub }, Flags::ACK, MptcpOptions::default(), b"last");
    let fell = |e: &&Event| matches!(e, Event::FellBack(_, FallbackReason::ChecksumFailed));
    assert_eq!(raw.events.iter().filter(fell).count(), 1, "{:?}", raw.events);
}

/// RFC 8684 §3.7: the infinite mapping comes "on the first new packet", which may be none. Until
/// then mappings go on, and are acknowledged: a peer that answers MP_FAIL may wait for that.
#[test]
fn data_after_a_wrong_checksum_is_acknowledged_until_the_peer_maps_without_end() {
    let (mut raw, mut sub) = checked();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5 fail 1"]);
    sub.seq = 5;
    let mut answer = raw.dss(Some(1), None, false);
    answer.fail = Some(MpFail { dsn: raw.dsn(1) });
    raw.send(sub, Flags::ACK, answer, b"");
    let options = summed(&raw, 5, 5, b"more", false, 1);
    raw.send(sub, Flags::ACK, options, b"more");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 9 dss ack 9"], "said and answered, and not verified again");
    sub.seq = 9;
    let infinite = raw.dss(Some(1), Some((9, 9, 0)), false);
    raw.send(sub, Flags::ACK, infinite, b"last");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::ChecksumFailed));
    assert_eq!(raw.read(), "somemorelast");
}

/// Nothing new may come at all: the connection closes as MPTCP.
#[test]
fn data_fin_after_a_wrong_checksum_is_acknowledged() {
    let (mut raw, mut sub) = checked();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    raw.said();
    sub.seq = 5;
    let mut fin = summed(&raw, 5, 0, b"", true, 0);
    fin.fail = Some(MpFail { dsn: raw.dsn(1) });
    raw.send(sub, Flags::ACK, fin, b"");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 6"]);
    assert_eq!(raw.read(), "some|");
}

/// While multipath ends, no subflow is added to it.
#[test]
fn no_join_is_taken_after_a_wrong_checksum() {
    let (mut raw, sub) = checked();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    raw.said();
    let syn = raw.join_syn(1);
    raw.send(raw.sub(1, 40_001, 80), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 3"]);
}

/// A join that was never more than tried leaves both levels counting alike ("before any additional
/// subflows are added"), and ends with multipath.
#[test]
fn a_join_that_is_only_tried_does_not_keep_the_connection_from_tcp() {
    let (mut raw, sub) = checked();
    let (second, third) = raw.joining(raw.sub(1, 40_001, 80), 1);
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 6", "#0 ack 5 dss ack 5 fail 1"]);
    raw.send(second, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["#1 R"], "nobody is there any more");
    raw.send(Sub { seq: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"more");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::ChecksumFailed));
    assert_eq!((raw.read().as_str(), raw.subflows()), ("somemore", 1));
}

/// Nor does one that this side tries.
#[test]
fn options_may_vanish_while_a_join_is_tried() {
    let mut raw = Raw::new();
    let first = raw.connected();
    let (second, nonce) = raw.meet_join();
    raw.write(b"some");
    raw.said();
    raw.send(Sub { ack: 5, ..first }, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.subflows(), 1);
    let options = raw.join_syn_ack(nonce, 1);
    raw.send(second, Flags::SYN | Flags::ACK, options, b"");
    assert_eq!(raw.said(), ["#1 R"]);
    raw.write(b"more");
    assert_eq!(raw.said(), ["#0 5:9 ack 1 dss map 5@5+0"]);
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::OptionsStripped));
}

/// What ends the last of several subflows does not end the connection, which waits for another.
#[test]
fn a_connection_that_had_two_paths_outlives_mp_fail_on_the_last() {
    let mut raw = Raw::new();
    let (first, second) = raw.connected_twice();
    raw.send(second, Flags::RST, MptcpOptions::default(), b"");
    raw.said();
    raw.send(first, Flags::ACK, fail(raw.dsn(1)), b"");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 6"]);
    assert_eq!((raw.end(), raw.subflows()), (None, 0));
    raw.pass(3_000);
    assert!(raw.said().iter().any(|s| s.starts_with("new S join")));
}

/// Where the first subflow is gone there is none that TCP could go on with: least of all a join that is
/// tried, which the peer takes for a connection of its own if the option is lost.
#[test]
fn a_join_that_is_tried_does_not_become_tcp() {
    let mut raw = Raw::new();
    let first = raw.connected();
    raw.write(b"some");
    raw.send(Sub { seq: 1, ..first }, Flags::RST, MptcpOptions::default(), b"");
    raw.write(b"more");
    raw.pass(2_500);
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

/// RFC 8684 §3.7: acknowledgments are lost in silence, so MP_FAIL is repeated until the peer shows
/// that it knows: its data comes without DATA_ACK.
#[test]
fn mp_fail_is_repeated_until_the_peer_reverts_to_tcp() {
    let (mut raw, mut sub) = checked();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5 fail 1"]);
    sub.seq = 5;
    let options = summed(&raw, 5, 5, b"more", false, 0);
    raw.send(sub, Flags::ACK, options, b"more");
    assert_eq!(raw.said(), ["#0 ack 9 dss ack 9 fail 1"]);
    sub.seq = 9;
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"last");
    assert_eq!(raw.said(), ["#0 ack 13"]);
    assert_eq!(raw.read(), "somemorelast");
}

#[test]
fn mp_fail_is_repeated_until_the_peer_says_it_too() {
    let (mut raw, sub) = checked();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(sub, Flags::ACK, options, b"some");
    raw.send(Sub { seq: 5, ..sub }, Flags::ACK, fail(DataSeq(raw.their_dsn(1))), b"");
    raw.said();
    raw.write(b"back");
    assert_eq!(raw.said(), ["#0 1:5 ack 5 dss map 1@1+0"]);
}

/// RFC 8684 §3.3: a mapping without the checksum that was agreed.
#[test]
fn a_missing_checksum_resets_the_subflow() {
    let (mut raw, mut sub) = checked();
    raw.data(&mut sub, 1, b"some");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 1"]);
}

/// RFC 8684 §3.3: a checksum that was not agreed.
#[test]
fn a_checksum_that_was_not_agreed_resets_the_subflow() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let options = summed(&raw, 1, 1, b"some", false, 0);
    raw.send(sub, Flags::ACK, options, b"some");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 1"]);
}

/// The same in MP_CAPABLE with the first data (RFC 8684 §3.1).
#[test]
fn first_data_must_have_the_checksum_that_was_agreed() {
    let mut raw = Raw::with(|config| config.checksum = true);
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(Some(4)), b"some");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 1"]);
}

#[test]
fn a_wrong_checksum_on_one_of_two_subflows_resets_it() {
    let (mut raw, _) = checked();
    let second = raw.joined();
    let options = summed(&raw, 1, 1, b"some", false, 1);
    raw.send(second, Flags::ACK, options, b"some");
    assert_eq!(raw.said(), ["#1 R ack 5 fail 1 reason 6"]);
    assert_eq!(raw.read(), "");
}

#[test]
fn mp_fail_on_the_only_subflow_is_followed_by_an_infinite_mapping() {
    let (mut raw, sub) = checked();
    raw.write(b"some");
    raw.said();
    raw.send(Sub { ack: 5, ..sub }, Flags::ACK, fail(raw.dsn(1)), b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::ChecksumFailed));
    raw.write(b"more");
    // RFC 8684 §3.7: it MUST be answered in kind.
    assert_eq!(raw.said(), ["#0 ack 1 fail 1", "#0 5:9 ack 1 dss map 5@5+0 fail 1"]);
    raw.send(Sub { ack: 9, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    raw.write(b"last");
    assert_eq!(raw.said(), ["#0 9:13 ack 1"]);
}

#[test]
fn an_infinite_mapping_of_the_peer_goes_on_as_tcp() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    let infinite = raw.dss(Some(1), Some((5, 5, 0)), false);
    raw.send(sub, Flags::ACK, infinite, b"more");
    raw.send(Sub { seq: 9, ..sub }, Flags::FIN | Flags::ACK, MptcpOptions::default(), b"last");
    assert_eq!(raw.read(), "somemorelast|");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::PeerFellBack));
}

#[test]
fn an_infinite_mapping_beside_other_subflows_resets() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.joined();
    raw.data(&mut sub, 1, b"some");
    let infinite = raw.dss(Some(1), Some((5, 5, 0)), false);
    raw.send(sub, Flags::ACK, infinite, b"more");
    assert!(raw.said().iter().any(|s| s.starts_with("#0 R")));
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn nothing_is_lost_when_a_plain_connection_is_closed_before_it_is_read() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"");
    let mut sub = Sub { seq: 1, ..sub };
    // More than is read ahead, in order, then both sides close.
    for _ in 0..130 {
        raw.send(sub, Flags::ACK, MptcpOptions::default(), &[b'a'; 1_000]);
        sub.seq += 1_000;
    }
    raw.send(sub, Flags::FIN | Flags::ACK, MptcpOptions::default(), b"");
    raw.shutdown();
    raw.send(Sub { ack: 2, seq: sub.seq + 1, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.read().len(), 130_001);
}

#[test]
fn mp_fail_beside_other_subflows_ends_the_one_it_came_on() {
    let (mut raw, sub) = checked();
    raw.joined();
    raw.write(b"some");
    raw.said();
    raw.send(sub, Flags::ACK, fail(DataSeq(raw.their_dsn(1))), b"");
    let said = raw.said();
    assert_eq!(said[0], "#0 R ack 1 reason 6");
    assert_eq!(raw.subflows(), 1);
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

/// RFC 8684 §3.7: MP_FAIL in a RST; what was in flight comes again on another subflow.
#[test]
fn mp_fail_in_a_reset_sends_the_data_elsewhere() {
    let (mut raw, sub) = checked();
    raw.write(b"some");
    raw.said();
    raw.joined();
    raw.send(sub, Flags::RST, fail(DataSeq(raw.their_dsn(1))), b"");
    assert_eq!(raw.said(), ["#1 1:5 ack 1 dss ack 1 map 1@1+4"]);
}

/// RFC 8684 §3.7: data that is acknowledged without a DATA_ACK, before any came.
#[test]
fn data_acknowledged_without_options_goes_on_as_tcp() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    assert_eq!(raw.said(), ["#0 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.send(Sub { ack: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::OptionsStripped));
    raw.write(b"more");
    assert_eq!(raw.said(), ["#0 5:9 ack 1 dss map 5@5+0"]);
}

#[test]
fn data_acknowledged_without_options_on_a_joined_subflow_resets_it() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    let second = raw.joined();
    let prio = manypath_wire::MpPrio { backup: true, addr_id: None };
    raw.send(first, Flags::ACK, MptcpOptions { prio: Some(prio), ..Default::default() }, b"");
    raw.write(b"some");
    assert_eq!(raw.said(), ["#1 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.send(Sub { ack: 5, ..second }, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 6"]);
    raw.pass(1_000);
    assert_eq!(raw.said()[0], "#0 1:5 ack 1 dss ack 1 map 1@1+4", "it had no DATA_ACK");
}

/// Once a DATA_ACK has come, an acknowledgment may do without (RFC 8684 §3.3.2).
#[test]
fn acknowledgments_without_options_are_fine_later() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    let ack = raw.dss(Some(5), None, false);
    raw.send(Sub { ack: 5, ..sub }, Flags::ACK, ack, b"");
    raw.write(b"more");
    raw.send(Sub { ack: 9, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

/// RFC 8684 §3.7: "Once MPTCP falls back to regular TCP, it MUST NOT revert to MPTCP".
#[test]
fn a_connection_that_fell_back_takes_no_join() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"");
    let syn = raw.join_syn(1);
    raw.said();
    raw.send(raw.sub(1, 40_001, 80), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 3"]);
    let keys = raw.third_ack(None);
    raw.send(sub, Flags::ACK, keys, b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::OptionsStripped));
}

/// RFC 8684 §3.3.1: a mapping that rides on a later segment, and whose checksum covers both.
#[test]
fn data_that_waited_for_its_mapping_is_verified() {
    for error in [0, 1] {
        let (mut raw, sub) = checked();
        let first = summed(&raw, 1, 1, b"some", false, 0);
        raw.send(sub, Flags::ACK, first, b"some");
        raw.send(Sub { seq: 5, ..sub }, Flags::ACK, MptcpOptions::default(), b"more");
        raw.send(Sub { seq: 9, ..sub }, Flags::ACK, MptcpOptions::default(), b"last");
        assert_eq!(raw.read(), "some");
        let map = summed(&raw, 5, 5, b"morelast", false, error);
        raw.send(Sub { seq: 13, ..sub }, Flags::ACK, map, b"");
        assert_eq!(raw.read(), "morelast", "TCP would have taken it");
        let failed = raw.said().iter().any(|said| said.ends_with("fail 5"));
        assert_eq!(failed, error == 1);
    }
}

/// The checksum of a DATA_FIN alone covers the pseudo-header (RFC 8684 §3.3.3).
#[test]
fn a_data_fin_alone_carries_the_agreed_checksum() {
    let (mut raw, sub) = checked();
    raw.shutdown();
    let fin = raw.take().options.mptcp.dss.unwrap();
    let empty = bytes::Bytes::new().into();
    let sum = dss_checksum(raw.their_dsn(1), 0, 1, &empty);
    assert_eq!(fin.mapping.unwrap().checksum, Some(sum));
    let options = summed(&raw, 1, 0, b"", true, 0);
    raw.send(sub, Flags::ACK, options, b"");
    assert_eq!(raw.read(), "|");
}
