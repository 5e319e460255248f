//! DATA_FIN, and what is left behind (RFC 8684 §3.3.3), segment by segment.

mod common;

use common::options::capable_syn;
use common::raw::{Raw, Sub};
use manypath_mptcp::{ConnectOptions, ConnectionError, ConnectionMode};
use manypath_wire::{Flags, MptcpOptions};

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
    assert_eq!(raw.end(), Some(None));
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
    assert_eq!(raw.end(), Some(None));
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
    raw.send(raw.sub(0, 40_000, 80), Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 ack 2 dss ack 2"]);
    raw.send(Sub { seq: 2, ..raw.sub(0, 40_000, 80) }, Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 S ack 3 capable"]);
    assert_eq!(raw.endpoint.len(), 1);
}

#[test]
fn all_subflows_closed_without_a_data_fin_is_no_good_order() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!(raw.end(), Some(Some(ConnectionError::Reset)));
    raw.release();
    assert_eq!(raw.endpoint.len(), 0);
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
        raw.connecting_with(&ConnectOptions {
            mode: ConnectionMode::PlainTcp,
            ..ConnectOptions::default()
        });
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
    assert_eq!((raw.read().as_str(), raw.end()), ("", None));
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
