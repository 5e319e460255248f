//! Blind attacks in the window (RFC 5961), and answers to answers.

use crate::testing::Script;

/// RFC 5961 §4.2.
#[test]
fn a_syn_in_the_window_is_challenged() {
    Script::established().run(
        "
        0ms   < S 5:5
        0ms   > . 1:1 ack 1
        0ms   state Established
        ",
    );
}

/// RFC 5961 §7: challenges are limited.
#[test]
fn challenges_are_limited_in_rate() {
    Script::established().run(
        "
        0ms    < S 5:5
        0ms    > . 1:1 ack 1
        1ms    < S 6:6
        50ms   < R 7:7
        100ms  < S 5:5
        100ms  > . 1:1 ack 1
        100ms  check challenges 2
        ",
    );
}

/// RFC 5961 §5.2: acknowledgments of what was never sent, or older than any window.
#[test]
fn data_with_an_impossible_acknowledgment_is_dropped() {
    Script::established().window(500).run(
        "
        0ms    < 1:101 ack 2
        0ms    > . 1:1 ack 1
        200ms  < 1:101 ack 4294967000
        200ms  > . 1:1 ack 1
        200ms  check readable 0
        ",
    );
}

/// RFC 9293 §3.10.7.4, first: data outside the window is acknowledged, each time.
#[test]
fn data_outside_the_window_is_acknowledged() {
    Script::established().run(
        "
        0ms   < 20001:20101
        0ms   > . ack 1
        1ms   < 20001:20101
        1ms   > . ack 1
        1ms   check outside 2
        ",
    );
}

/// Two sides that disagree on where they are must not answer each other for ever: empty segments
/// outside the window are answered at the rate of challenges.
#[test]
fn empty_segments_outside_the_window_are_answered_now_and_then() {
    Script::established().run(
        "
        0ms    < . 20001:20001
        0ms    > . ack 1
        1ms    < . 20001:20001
        99ms   < . 20001:20001
        101ms  < . 0:0
        101ms  > . ack 1
        ",
    );
}
