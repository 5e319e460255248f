//! F-RTO (RFC 5682): timeouts that were not needed, found without timestamps.

use crate::testing::Script;

/// What leads to the timeout: everything is late by 300 ms.
const LATE: &str = "
        0ms   write 600
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        80ms  > 401:501
        280ms > 1:101
        280ms check cwnd 100
";

fn after_timeout(text: &str) {
    Script::established().cwnd(400).run(&[LATE, text].concat());
}

/// RFC 5682 §3.1, steps 2 b and 3 b: two new segments, then an acknowledgment of something that
/// was not sent again.
#[test]
fn originals_that_arrive_make_a_timeout_spurious() {
    after_timeout(
        "
        300ms < ack 101
        300ms > 501:601         // new data, not 101:201
        310ms < ack 201
        310ms check spurious 1
        310ms check ssthresh 4294967295
        320ms < ack 501
        330ms < ack 501 sack 1:101
        340ms < ack 601
        340ms check resent 100
        ",
    );
}

/// RFC 5682 §3.1, step 3 a: the next acknowledgment is of new data, so what was sent before the
/// timeout is gone.
#[test]
fn a_duplicate_for_the_new_data_confirms_the_timeout() {
    after_timeout(
        "
        320ms < ack 101
        320ms > 501:601
        360ms < ack 101 sack 501:601
        360ms > 101:201
        360ms > 201:301
        360ms > 301:401
        360ms > 401:501
        400ms < ack 601
        400ms check spurious 0
        ",
    );
}

/// RFC 5682 §3.1, step 2 b: without new data recovery is conventional.
#[test]
fn without_new_data_recovery_is_conventional() {
    Script::established().run(
        "
        0ms   write 300
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        80ms  > 201:301
        280ms > 1:101
        320ms < ack 101
        320ms > 101:201
        320ms > 201:301
        360ms < ack 301
        360ms check spurious 0
        ",
    );
}

/// RFC 5682 §3.1: no F-RTO where the timer expires in fast recovery.
#[test]
fn not_within_recovery() {
    Script::established().cwnd(500).run(
        "
        0ms   write 700
        0ms   > 1:101           // lost
        0ms   > 101:201         // late
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 201:501
        40ms  > 1:101           // lost
        40ms  > 101:201
        240ms > 1:101
        280ms < ack 101 sack 201:501
        280ms > 101:201
        280ms > 501:601
        280ms > 601:701
        320ms < ack 701
        320ms check spurious 0
        ",
    );
}
