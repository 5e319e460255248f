//! Keepalive (RFC 9293 §3.8.4).

use core::time::Duration;

use crate::testing::Script;
use crate::{Config, Keepalive};

fn script() -> Script {
    let (idle, interval) = (Duration::from_secs(100), Duration::from_secs(10));
    let keepalive = Keepalive { idle, interval, count: 3 };
    Script::established().config(|c| c.keepalive = Some(keepalive))
}

/// MUST-25 and MUST-28: off if nothing is said, and no sooner than after two hours.
#[test]
fn it_is_off_and_patient_by_default() {
    assert_eq!(Config::default().keepalive, None);
    assert!(Keepalive::default().idle >= Duration::from_secs(7_200));
    Script::established().run("100000s check in_flight 0");
}

/// SHLD-12: a probe carries no data; it stands before the window, so it is answered.
#[test]
fn an_idle_flow_is_probed() {
    script().run(
        "
        100s  > . 0:0 ack 1
        101s  < . 1:1 ack 1
        201s  > . 0:0 ack 1
        ",
    );
}

/// MUST-29: one probe without an answer means nothing, several do.
#[test]
fn a_peer_that_never_answers_is_gone() {
    script().run(
        "
        100s  > . 0:0
        110s  > . 0:0
        120s  > . 0:0
        129s  state Established
        130s  > R. 1:1
        130s  expect Closed(TimedOut)
        ",
    );
}

/// MUST-26: only where nothing was received for the interval, and nothing is outstanding.
#[test]
fn traffic_puts_it_off() {
    script().run(
        "
        60s     < 1:101
        60040ms > . ack 101
        110s    write 100
        110s    > 1:101
        110040ms < ack 101
        210040ms > . 100:100
        ",
    );
}

/// A half-closed flow waits for a peer that may be gone.
#[test]
fn a_half_closed_flow_is_probed() {
    script().run(
        "
        0ms      close
        0ms      > F 1:1
        40ms     < ack 2
        100040ms > . 1:1
        ",
    );
}

/// The segment stands before what is not acknowledged, so that a peer must answer it; it is asked
/// once for each request, and silence does nothing.
#[test]
fn a_peer_is_asked_once_for_each_request() {
    Script::established().run(
        "
        0ms     write 100
        0ms     > 1:101
        10ms    ask-alive
        10ms    > . 0:0 ack 1
        40ms    < ack 101
        1000ms  ask-alive
        1000ms  > . 100:100 ack 1
        90s     state Established
        ",
    );
}

/// What the peer does not read takes no delayed acknowledgment along.
#[test]
fn an_acknowledgment_that_is_due_still_goes_out() {
    Script::established().run(
        "
        0ms     < 1:101
        10ms    ask-alive
        10ms    > . 0:0 ack 101
        40ms    > . 1:1 ack 101
        ",
    );
}
