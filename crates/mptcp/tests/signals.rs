//! When options travel in acknowledgments of their own (RFC 8684 §3, §4), segment by segment.

mod common;

use common::options::prio;
use common::raw::{Raw, Sub};
use common::signalling;
use manypath_base::{IfaceId, SubflowId};
use manypath_wire::{Flags, MptcpOptions};

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
