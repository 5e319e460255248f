//! DATA_FIN, MP_FASTCLOSE, and what is left behind (RFC 8684 §3.3.3, §3.5), segment by segment.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use common::raw::{KEY, Raw, Sub};
use manypath_base::Key;
use manypath_mptcp::{ConnectOptions, ConnectionError, Event};
use manypath_wire::{FastClose, Flags, MptcpOptions};

fn fastclose(key: Key) -> MptcpOptions {
    MptcpOptions { fastclose: Some(FastClose { receiver_key: key }), ..MptcpOptions::default() }
}

fn end(raw: &Raw) -> Option<Option<ConnectionError>> {
    raw.events.iter().find_map(|e| match e {
        Event::Closed(_, error) => Some(*error),
        _ => None,
    })
}

#[test]
fn a_data_fin_is_repeated_until_it_is_acknowledged() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.shutdown();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 map 1@0+1 fin"]);
    raw.pass(5_000);
    let said = raw.said();
    assert!(said.len() >= 2 && said.iter().all(|s| s.ends_with("fin")), "{said:?}");
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    raw.pass(60_000);
    assert_eq!(raw.said(), Vec::<String>::new());
}

#[test]
fn a_data_fin_that_comes_again_is_acknowledged_again() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    for _ in 0..2 {
        raw.data_fin(sub, 1, 1);
        assert_eq!(raw.said(), ["#0 ack 1 dss ack 2"]);
    }
    assert_eq!(raw.read(), "|");
}

#[test]
fn a_data_fin_may_come_with_the_last_data() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let last = raw.dss(Some(1), Some((1, 1, 5)), true);
    raw.send(sub, Flags::ACK, last, b"some");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 6"]);
    assert_eq!(raw.read(), "some|");
}

#[test]
fn a_data_fin_waits_for_missing_data() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data_fin(sub, 1, 5);
    assert_eq!((raw.said().len(), raw.read().as_str()), (0, ""));
    raw.data(&mut sub, 1, b"some");
    raw.pass(100);
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 6"]);
    assert_eq!(raw.read(), "some|");
}

#[test]
fn two_data_fins_that_cannot_be_acknowledged_do_not_answer_each_other() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.shutdown();
    raw.said();
    for _ in 0..5 {
        raw.data_fin(sub, 1, 5);
    }
    assert_eq!(raw.said(), Vec::<String>::new());
}

#[test]
fn both_sides_may_close_at_once() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.shutdown();
    raw.said();
    raw.data_fin(sub, 1, 1);
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 2 map 1@0+1 fin"]);
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    assert_eq!(raw.said(), ["#0 F ack 1 dss ack 2"]);
    let ack = raw.dss(Some(2), None, false);
    raw.send(Sub { ack: 2, ..sub }, Flags::FIN | Flags::ACK, ack, b"");
    assert_eq!(end(&raw), Some(None));
    raw.release();
    assert_eq!(raw.endpoint.len(), 1);
    raw.pass(61_000);
    assert_eq!(raw.endpoint.len(), 0);
}

#[test]
fn half_closed_connections_last_as_long_as_the_application_wants() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.shutdown();
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    raw.pass(10_000_000);
    raw.data(&mut sub, 1, b"late");
    assert_eq!(raw.read(), "late");
}

#[test]
fn a_peer_that_never_closes_is_not_waited_for_without_an_application() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.release();
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    raw.said();
    raw.pass(59_000);
    assert_eq!(raw.endpoint.len(), 1);
    raw.pass(2_000);
    assert_eq!(raw.said(), ["#0 R ack 1 fastclose"]);
    assert_eq!(raw.endpoint.len(), 0);
}

#[test]
fn a_peer_that_never_closes_its_subflows_is_not_waited_for() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.shutdown();
    raw.data_fin(sub, 2, 1);
    let ack = raw.dss(Some(2), None, false);
    raw.send(Sub { ack: 2, ..sub }, Flags::ACK, ack, b"");
    assert_eq!(end(&raw), Some(None));
    raw.release();
    raw.pass(61_000);
    assert_eq!(raw.endpoint.len(), 0);
}

#[test]
fn a_new_syn_takes_over_a_connection_that_waits_out() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.shutdown();
    raw.data_fin(sub, 2, 1);
    let ack = raw.dss(Some(2), None, false);
    raw.send(Sub { ack: 2, ..sub }, Flags::FIN | Flags::ACK, ack, b"");
    raw.release();
    raw.said();
    assert_eq!(raw.endpoint.len(), 1);
    // An old one that wandered, then a new one: RFC 9293 §3.6.1 (MAY-2).
    raw.send(raw.sub(0, 40_000, 80), Flags::SYN, common::raw::capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 ack 2 dss ack 2"]);
    raw.send(Sub { seq: 2, ..raw.sub(0, 40_000, 80) }, Flags::SYN, common::raw::capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 S ack 3 capable"]);
    assert_eq!(raw.endpoint.len(), 1);
}

#[test]
fn all_subflows_closed_without_a_data_fin_is_no_good_order() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!(end(&raw), Some(Some(ConnectionError::Reset)));
    raw.release();
    assert_eq!(raw.endpoint.len(), 0);
}

#[test]
fn fastclose_in_an_ack_ends_every_subflow() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::ACK, fastclose(raw.key), b"");
    assert_eq!(raw.said(), ["#0 R ack 1", "#1 R ack 1"]);
    assert_eq!(end(&raw), Some(Some(ConnectionError::Reset)));
}

#[test]
fn fastclose_in_a_reset_ends_every_subflow() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.joined();
    raw.send(sub, Flags::RST, fastclose(raw.key), b"");
    assert_eq!(raw.said(), ["#1 R ack 1"]);
    assert_eq!(end(&raw), Some(Some(ConnectionError::Reset)));
}

#[test]
fn fastclose_with_a_wrong_key_is_ignored() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    let second = raw.joined();
    raw.send(sub, Flags::ACK, fastclose(KEY), b"");
    raw.send(second, Flags::RST, fastclose(KEY), b"");
    assert_eq!(end(&raw), None);
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
    assert_eq!(end(&raw), Some(Some(ConnectionError::Aborted)));
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

/// What an application may do to end a connection.
const ENDINGS: [fn(&mut Raw); 3] = [
    |raw| raw.release(),
    |raw| {
        raw.abort();
        raw.release();
    },
    |raw| {
        raw.shutdown();
        raw.release();
    },
];

/// A connection in some state.
const STATES: [fn(&mut Raw); 10] = [
    |raw| {
        raw.connecting();
    },
    |raw| {
        raw.connecting_with(&ConnectOptions { plain_tcp: true, ..ConnectOptions::default() });
    },
    |raw| {
        raw.connected();
    },
    |raw| {
        raw.accepted();
    },
    |raw| {
        raw.accepted();
        raw.joined();
    },
    |raw| {
        raw.accepted();
        raw.joining(raw.sub(1, 40_001, 80), 1);
    },
    |raw| {
        raw.accepted();
        raw.write(b"some");
    },
    |raw| {
        let sub = raw.accepted();
        raw.data_fin(sub, 1, 1);
    },
    |raw| {
        let sub = raw.accepted();
        raw.send(sub, Flags::FIN | Flags::ACK, MptcpOptions::default(), b"");
    },
    |raw| {
        let sub = raw.half_open();
        raw.send(sub, Flags::ACK, MptcpOptions::default(), b"");
        raw.send(sub, Flags::FIN | Flags::ACK, MptcpOptions::default(), b"plain");
    },
];

#[test]
fn nothing_is_left_of_a_connection_whose_peer_falls_silent() {
    for (s, state) in STATES.iter().enumerate() {
        for (e, ending) in ENDINGS.iter().enumerate() {
            for fastclose_by_ack in [false, true] {
                let mut raw = Raw::with(|config| config.fastclose_by_ack = fastclose_by_ack);
                state(&mut raw);
                ending(&mut raw);
                raw.pass(1_000_000);
                assert_eq!(raw.endpoint.len(), 0, "state {s}, ending {e}");
                assert_eq!(raw.endpoint.poll_timeout(), None, "state {s}, ending {e}");
            }
        }
    }
}

#[test]
fn a_listener_takes_what_waits_with_it() {
    let mut raw = Raw::new();
    raw.half_open();
    raw.endpoint.close_listener(raw.now, raw.listener);
    raw.drain();
    assert_eq!(raw.endpoint.len(), 0);
    assert_eq!(raw.said(), ["#0 R ack 1"]);
}

/// RFC 8684 §3.3.3: "all remaining subflows MUST be closed with standard FIN exchanges".
#[test]
fn every_subflow_is_closed_with_fin() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    raw.joined();
    raw.shutdown();
    raw.data_fin(first, 2, 1);
    let said = raw.said();
    for subflow in ["#0 F", "#1 F"] {
        assert!(said.iter().any(|s| s.starts_with(subflow)), "{said:?}");
    }
}

/// DATA_FIN may be said on any subflow, and is acknowledged there.
#[test]
fn a_data_fin_counts_on_any_subflow() {
    let mut raw = Raw::new();
    raw.accepted();
    let second = raw.joined();
    raw.data_fin(second, 1, 1);
    assert_eq!(raw.said(), ["#1 ack 1 dss ack 2"]);
    assert_eq!(raw.read(), "|");
}

/// The first DATA_FIN decides where the stream ends; another one changes nothing.
#[test]
fn a_second_data_fin_elsewhere_is_ignored() {
    let mut raw = Raw::new();
    let mut sub = raw.accepted();
    raw.data_fin(sub, 1, 5);
    raw.data_fin(sub, 1, 100);
    raw.data_fin(sub, 1, 1);
    raw.data(&mut sub, 1, b"somemore");
    assert_eq!(raw.read(), "some|");
}

/// Break before make: the only subflow closes with FIN and no DATA_FIN; that is no good order.
#[test]
fn a_fin_alone_does_not_end_the_stream() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let ack = raw.dss(Some(1), None, false);
    raw.send(sub, Flags::FIN | Flags::ACK, ack, b"");
    assert_eq!((raw.read().as_str(), end(&raw)), ("", None));
}

/// The same where this side's half was closed and acknowledged before the application let go.
#[test]
fn a_half_closed_connection_is_not_waited_for_once_it_is_released() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.shutdown();
    let ack = raw.dss(Some(2), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    raw.pass(1_000_000);
    raw.release();
    raw.pass(61_000);
    assert_eq!(raw.endpoint.len(), 0);
    let mut plain = Raw::new();
    let sub = plain.half_open();
    plain.send(sub, Flags::ACK, MptcpOptions::default(), b"");
    plain.shutdown();
    plain.send(Sub { ack: 2, ..sub }, Flags::ACK, MptcpOptions::default(), b"");
    plain.release();
    plain.pass(61_000);
    assert_eq!(plain.endpoint.len(), 0);
}
