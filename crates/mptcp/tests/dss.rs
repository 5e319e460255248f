//! Mappings, DATA_ACK and the shared window (RFC 8684 §3.3), segment by segment.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use common::raw::{Raw, Sub};
use manypath_mptcp::{ConnectionError, Event};
use manypath_wire::{Flags, MptcpOptions};

#[test]
fn data_is_acknowledged_at_both_levels() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5"]);
    assert_eq!(raw.read(), "some");
}

#[test]
fn eight_byte_numbers_are_answered_with_eight_bytes() {
    let mut raw = Raw::new();
    raw.wide = true;
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 5 dss wide ack 5"]);
    raw.write(b"answer");
    assert_eq!(raw.said(), ["#0 1:7 ack 5 dss wide ack 5 map 1@1+6"]);
    let ack = raw.dss(Some(7), None, false);
    raw.send(Sub { ack: 7, ..sub }, Flags::ACK, ack, b"");
    assert_eq!(raw.endpoint.info(raw.conn.unwrap()).unwrap().bytes_acknowledged, 6);
}

#[test]
fn two_subflows_fill_each_others_holes() {
    let mut raw = Raw::new();
    let mut first = raw.accepted();
    let mut second = raw.joined();
    raw.data(&mut second, 5, b"more");
    assert_eq!(raw.read(), "");
    raw.data(&mut first, 1, b"some");
    assert_eq!(raw.read(), "somemore");
}

#[test]
fn the_same_data_on_two_subflows_is_taken_once() {
    let mut raw = Raw::new();
    let mut first = raw.accepted();
    let mut second = raw.joined();
    raw.data(&mut first, 1, b"some");
    raw.data(&mut second, 1, b"XXXXmore");
    assert_eq!(raw.read(), "somemore");
}

/// What a peer can make a subflow hold is bound by the buffer as it is, not as it may become.
#[test]
fn a_subflow_takes_twice_the_buffer_out_of_order() {
    let mut raw = Raw::with(|config| {
        (config.tcp.recv_buffer, config.tcp.recv_buffer_max) = (4_000, 1 << 20);
    });
    let sub = raw.accepted();
    for seq in [8_000, 8_001] {
        raw.send(Sub { seq, ..sub }, Flags::ACK, MptcpOptions::default(), b"x");
    }
    raw.said();
    let map = raw.dss(Some(1), Some((1, 1, 7_999)), false);
    raw.send(sub, Flags::ACK, map, &[b'x'; 7_999]);
    raw.pass(100);
    let said = raw.said();
    assert!(said.concat().contains("ack 8001 "), "the first of both and no more: {said:?}");
}

#[test]
fn a_mapping_holds_for_segments_behind_it() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let map = raw.dss(Some(1), Some((1, 1, 8)), false);
    raw.send(sub, Flags::ACK, map, b"some");
    let sub = Sub { seq: 5, ..sub };
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"more");
    assert_eq!(raw.read(), "somemore");
}

#[test]
fn a_mapping_may_come_before_its_data() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let map = raw.dss(Some(1), Some((1, 1, 4)), false);
    raw.send(sub, Flags::ACK, map, b"");
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"some");
    assert_eq!(raw.read(), "some");
}

#[test]
fn a_mapping_that_contradicts_an_earlier_one_is_ignored() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let map = raw.dss(Some(1), Some((1, 1, 8)), false);
    raw.send(sub, Flags::ACK, map, b"some");
    let other = raw.dss(Some(1), Some((100, 5, 4)), false);
    raw.send(Sub { seq: 5, ..sub }, Flags::ACK, other, b"more");
    assert_eq!(raw.read(), "somemore");
}

/// RFC 8684 §3.3.1: data without a mapping is acknowledged at the subflow and waits.
#[test]
fn data_waits_for_a_mapping_that_rides_on_a_later_segment() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"more");
    raw.pass(100);
    assert_eq!(raw.said().last().unwrap(), "#0 ack 9 dss ack 5");
    let map = raw.dss(Some(1), Some((5, 5, 8)), false);
    raw.send(Sub { seq: 9, ..sub }, Flags::ACK, map, b"last");
    assert_eq!(raw.read(), "somemorelast");
}

#[test]
fn data_behind_a_gap_in_the_mappings_is_delivered() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"????");
    sub.seq += 4;
    raw.data(&mut sub, 5, b"more");
    assert_eq!(raw.read(), "somemore");
    let map = raw.dss(Some(1), Some((9, 5, 4)), false);
    raw.send(sub, Flags::ACK, map, b"");
    assert_eq!(raw.read(), "????");
}

/// RFC 8684 §3.3.1, §3.7: where the mapping never comes, the subflow is of no use.
#[test]
fn a_subflow_whose_mappings_never_come_is_reset() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.joined();
    raw.data(&mut sub, 1, b"some");
    raw.said();
    for _ in 0..262 {
        raw.send(sub, Flags::ACK, MptcpOptions::default(), &[b'?'; 1_000]);
        sub.seq += 1_000;
    }
    assert!(!raw.said().iter().any(|s| s.contains(" R")));
    raw.send(sub, Flags::ACK, MptcpOptions::default(), &[b'?'; 1_000]);
    assert_eq!(raw.said().last().unwrap(), "#0 R ack 263005 reason 6");
    assert_eq!(raw.read(), "some");
}

#[test]
fn a_mapping_that_begins_in_the_past_is_of_no_use() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1, b"some");
    raw.pass(100);
    raw.said();
    let stale = raw.dss(Some(1), Some((50, 3, 6)), false);
    raw.send(sub, Flags::ACK, stale, b"more");
    assert_eq!(raw.said().last().unwrap(), "#0 ack 9 dss ack 5");
    assert_eq!(raw.endpoint.info(raw.conn.unwrap()).unwrap().bytes_out_of_order, 0);
}

#[test]
fn data_far_outside_the_window_is_acknowledged_at_the_subflow_alone() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data(&mut sub, 1_000_000_000, b"far");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 4 dss ack 1"]);
    assert_eq!(raw.endpoint.info(raw.conn.unwrap()).unwrap().bytes_out_of_order, 0);
}

#[test]
fn a_data_ack_beyond_what_was_sent_is_ignored() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    let sub = Sub { ack: 5, ..sub };
    for ack in [6, 1 << 30] {
        let options = raw.dss(Some(ack), None, false);
        raw.send(sub, Flags::ACK, options, b"");
        assert_eq!(raw.endpoint.info(raw.conn.unwrap()).unwrap().bytes_acknowledged, 0);
    }
    let options = raw.dss(Some(5), None, false);
    raw.send(sub, Flags::ACK, options, b"");
    assert_eq!(raw.endpoint.info(raw.conn.unwrap()).unwrap().bytes_acknowledged, 4);
}

#[test]
fn a_lost_data_ack_is_asked_for() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    raw.said();
    // The subflow has it, and the connection's acknowledgment went astray.
    let ack = raw.dss(Some(1), None, false);
    raw.send(Sub { ack: 5, ..sub }, Flags::ACK, ack, b"");
    raw.pass(2_500);
    assert_eq!(raw.said()[0], "#0 5:9 ack 1 dss ack 1 map 1@5+4");
}

/// The end of the furthest segment of what was said.
fn top(said: &[String]) -> Option<u32> {
    said.iter().filter_map(|s| s.split_once(':')?.1.split(' ').next()?.parse().ok()).max()
}

#[test]
fn a_closed_window_is_probed_and_the_connection_waits() {
    let mut raw = Raw::new();
    let closed = Sub { window: 0, ..raw.accepted() };
    raw.write(&[b'a'; 50_003]);
    // The window that was offered at first is used up.
    while let Some(end) = top(&raw.said()) {
        let ack = raw.dss(Some(end.into()), None, false);
        raw.send(Sub { ack: end, ..closed }, Flags::ACK, ack, b"");
    }
    raw.pass(1_000);
    assert_eq!(raw.said()[0], "#0 50001:50002 ack 1 dss ack 1 map 50001@50001+1");
    // Ten minutes of a closed window do not end the connection, if the peer answers.
    let mut end = 50_002;
    let mut probes = 0;
    for _ in 0..600 {
        let ack = raw.dss(Some(50_001), None, false);
        raw.send(Sub { ack: end, ..closed }, Flags::ACK, ack, b"");
        raw.pass(1_000);
        if let Some(top) = top(&raw.said()) {
            end = top;
            probes += 1;
        }
    }
    assert!((20..60).contains(&probes), "{probes}");
    assert!(!raw.events.iter().any(|e| matches!(e, Event::Closed(..))));
    let ack = raw.dss(Some(50_002), None, false);
    raw.send(Sub { ack: end, window: 10, ..closed }, Flags::ACK, ack, b"");
    assert!(raw.said()[0].contains("map 50002@"));
}

#[test]
fn a_peer_that_never_acknowledges_data_is_given_up() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    for _ in 0..400 {
        let end = top(&raw.said()).unwrap_or(5);
        let ack = raw.dss(Some(1), None, false);
        raw.send(Sub { ack: end, ..sub }, Flags::ACK, ack, b"");
        raw.pass(1_000);
    }
    let end = raw.events.iter().find(|e| matches!(e, Event::Closed(..)));
    assert_eq!(end, Some(&Event::Closed(raw.conn.unwrap(), Some(ConnectionError::TimedOut))));
}

/// RFC 8684 §3.3.2: "an implementation MUST accept either".
#[test]
fn data_acks_of_either_length_count() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for (n, wide) in [(1, false), (2, true), (3, false)] {
        raw.write(b"some");
        raw.wide = wide;
        let ack = raw.dss(Some(1 + 4 * n), None, false);
        raw.send(Sub { ack: 1 + 4 * n as u32, ..sub }, Flags::ACK, ack, b"");
        let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
        assert_eq!(info.bytes_acknowledged, 4 * n);
    }
}

/// RFC 8684 §3.3.2: the window is relative to the DATA_ACK, and means nothing without.
#[test]
fn a_window_counts_only_beside_a_data_ack() {
    let mut raw = Raw::new();
    let small = Sub { window: 500, ..raw.sub(0, 40_000, 80) };
    let sub = raw.open(small, common::options::capable_syn());
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    raw.said();
    raw.write(&[b'x'; 900]);
    assert_eq!(raw.said(), ["#0 1:501 ack 1 dss ack 1 map 1@1+500"]);
    let large = Sub { window: 60_000, ..sub };
    raw.send(large, Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), Vec::<String>::new());
    let ack = raw.dss(Some(501), None, false);
    raw.send(Sub { ack: 501, ..large }, Flags::ACK, ack, b"");
    assert_eq!(raw.said(), ["#0 501:901 ack 1 dss ack 1 map 501@501+400"]);
}

/// A DATA_ACK that comes late, behind a newer one, takes nothing back.
#[test]
fn an_old_data_ack_changes_nothing() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.write(b"some");
    for at in [5, 1, 3] {
        let ack = raw.dss(Some(at), None, false);
        raw.send(Sub { ack: 5, ..sub }, Flags::ACK, ack, b"");
    }
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.bytes_acknowledged, 4);
}

/// A DATA_ACK may come on another subflow than the data (RFC 8684 §3.3.2).
#[test]
fn a_data_ack_counts_on_any_subflow() {
    let mut raw = Raw::new();
    raw.accepted();
    let second = raw.joined();
    raw.write(b"some");
    let ack = raw.dss(Some(5), None, false);
    raw.send(second, Flags::ACK, ack, b"");
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.bytes_acknowledged, 4);
}

/// One mapping over several segments, one of which comes twice and one too early.
#[test]
fn a_mapping_spans_segments_in_any_order() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let at = |seq| Sub { seq, ..sub };
    let map = raw.dss(Some(1), Some((1, 1, 12)), false);
    raw.send(at(9), Flags::ACK, map.clone(), b"last");
    raw.send(at(1), Flags::ACK, map.clone(), b"some");
    raw.send(at(1), Flags::ACK, map.clone(), b"some");
    raw.send(at(5), Flags::ACK, map, b"more");
    assert_eq!(raw.read(), "somemorelast");
}

/// Segments that a middlebox joined carry the first one's option (RFC 8684 §3.3.1).
#[test]
fn two_mappings_may_lie_in_one_segment() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let second = raw.dss(Some(1), Some((5, 5, 4)), false);
    raw.send(sub, Flags::ACK, second, b"");
    let first = raw.dss(Some(1), Some((1, 1, 4)), false);
    raw.send(sub, Flags::ACK, first, b"somemore");
    assert_eq!(raw.read(), "somemore");
}
