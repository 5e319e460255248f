//! MP_FASTCLOSE (RFC 8684 §3.5), segment by segment.

mod common;

use common::options::fastclose;
use common::raw::{KEY, Raw, Sub};
use manypath_mptcp::ConnectionError;
use manypath_wire::{Flags, MptcpOptions};

#[test]
fn fastclose_in_an_ack_ends_every_subflow() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::ACK, fastclose(raw.key), b"");
    assert_eq!(raw.said(), ["#0 R ack 1", "#1 R ack 1"]);
    assert_eq!(raw.end(), Some(Some(ConnectionError::Reset)));
}

#[test]
fn fastclose_in_a_reset_ends_every_subflow() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::RST, fastclose(raw.key), b"");
    assert_eq!(raw.said(), ["#1 R ack 1"]);
    assert_eq!(raw.end(), Some(Some(ConnectionError::Reset)));
}

#[test]
fn fastclose_with_a_wrong_key_is_ignored() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    let second = raw.joined();
    raw.send(sub, Flags::ACK, fastclose(KEY), b"");
    raw.send(second, Flags::RST, fastclose(KEY), b"");
    assert_eq!(raw.end(), None);
    raw.data(&mut sub, 1, b"some");
    assert_eq!(raw.read(), "some");
}

#[test]
fn abort_says_so_on_every_subflow_and_leaves_nothing() {
    let mut raw = Raw::new();
    raw.accepted();
    raw.joined();
    raw.write(b"some");
    raw.said();
    raw.abort();
    assert_eq!(raw.said(), ["#0 R ack 1 fastclose", "#1 R ack 1 fastclose"]);
    raw.release();
    assert_eq!(raw.endpoint.len(), 0);
}

/// A connection with two subflows that was aborted by option A.
fn aborted_by_ack() -> (Raw, Sub, Sub) {
    let mut raw = Raw::with(|config| config.fastclose_by_ack = true);
    let first = raw.accepted();
    let second = raw.joined();
    raw.abort();
    assert_eq!(raw.said(), ["#1 R ack 1", "#0 ack 1 dss ack 1 fastclose"]);
    (raw, first, second)
}

/// RFC 8684 §3.5, option A: an ACK with the option on one subflow, RST on the others; the peer's
/// RST ends the rest.
#[test]
fn fastclose_by_ack_waits_for_the_reset() {
    let (mut raw, first, _) = aborted_by_ack();
    assert_eq!(raw.end(), Some(Some(ConnectionError::Aborted)));
    raw.release();
    assert_eq!(raw.endpoint.len(), 1, "FASTCLOSE_WAIT");
    raw.send(first, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!((raw.endpoint.len(), raw.said().len()), (0, 0));
}

/// RFC 8684 §3.5: repeated after each RTO, three times, then a RST with the option.
#[test]
fn fastclose_by_ack_is_repeated_three_times() {
    let (mut raw, _, _) = aborted_by_ack();
    raw.release();
    for _ in 0..3 {
        raw.pass(200);
        assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 fastclose"]);
    }
    raw.pass(200);
    assert_eq!(raw.said(), ["#0 R ack 1 fastclose"]);
    assert_eq!((raw.endpoint.len(), raw.endpoint.poll_timeout()), (0, None));
}

/// RFC 8684 §3.5: both sides at once.
#[test]
fn fastcloses_that_cross_end_with_a_reset() {
    let (mut raw, first, _) = aborted_by_ack();
    raw.send(first, Flags::ACK, fastclose(raw.key), b"");
    assert_eq!(raw.said(), ["#0 R ack 1"]);
    raw.release();
    assert_eq!(raw.endpoint.len(), 0);
}

/// Data that still comes is acknowledged and dropped, and none is sent.
#[test]
fn nothing_is_taken_or_given_after_fastclose_by_ack() {
    let mut raw = Raw::with(|config| config.fastclose_by_ack = true);
    let mut sub = raw.accepted();
    sub.window = 0;
    let closed = raw.dss(Some(1), None, false);
    raw.send(sub, Flags::ACK, closed, b"");
    raw.write(b"more");
    raw.abort();
    raw.said();
    raw.data(&mut sub, 1, b"some");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5"]);
    assert_eq!(raw.read(), "");
}

/// Before the peer has shown that it has the keys, and after falling back, only RST is left.
#[test]
fn fastclose_by_ack_needs_a_confirmed_subflow() {
    let mut raw = Raw::with(|config| config.fastclose_by_ack = true);
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, MptcpOptions::default(), b"");
    raw.said();
    raw.abort();
    assert_eq!(raw.said(), ["#0 R ack 1"]);
}
