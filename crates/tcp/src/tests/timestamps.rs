//! Timestamps (RFC 7323).

use alloc::format;

use crate::testing::Script;

fn script() -> Script {
    Script::established().mss(112).timestamps()
}

/// RFC 7323 §4.3 (A): with delayed acknowledgments the earliest segment is echoed.
#[test]
fn the_earliest_unacknowledged_segment_is_echoed() {
    script().run(
        "
        0ms   < 1:101 ts 1000 0
        10ms  < 101:201 ts 1010 0
        10ms  > . ack 201 ts 10 1000
        20ms  < 201:301 ts 1020 0
        30ms  < 301:401 ts 1030 0
        30ms  > . ack 401 ts 30 1020
        ",
    );
}

/// RFC 7323 §4.3 (B), (C): beyond a hole nothing is taken; what fills it is.
#[test]
fn a_hole_keeps_the_echo_until_it_is_filled() {
    script().run(
        "
        0ms   < 1:101 ts 1000 0
        40ms  > . ack 101 ts 40 1000
        50ms  < 201:301 ts 1050 0
        50ms  > . ack 101 sack 201:301 ts 50 1000
        60ms  < 101:201 ts 1060 0
        60ms  > . ack 301 ts 60 1060
        ",
    );
}

/// RFC 7323 §5.3 R1: an old TSval is dropped and answered.
#[test]
fn paws_drops_old_segments() {
    script().run(
        "
        0ms   < 1:101 ts 1000 0
        40ms  > . ack 101
        50ms  < 101:201 ts 999 0
        50ms  > . ack 101 ts 50 1000
        50ms  check paws 1
        50ms  check readable 100
        ",
    );
}

/// RFC 7323 §5.3 R1 answers old segments; two sides that take each other for old must not do so
/// for ever, so empty ones are answered at the rate of challenges.
#[test]
fn empty_old_segments_are_answered_now_and_then() {
    script().run(
        "
        0ms    < 1:101 ts 1000 0
        40ms   > . ack 101
        50ms   < . 101:101 ts 999 0
        50ms   > . ack 101
        51ms   < . 101:101 ts 999 0
        149ms  < . 101:101 ts 999 0
        150ms  < . 101:101 ts 999 0
        150ms  > . ack 101
        150ms  check paws 4
        ",
    );
}

/// RFC 7323 §5.5: after 24 days TS.Recent is outdated.
#[test]
fn paws_forgets_after_24_days() {
    script().run(
        "
        0ms        < 1:101 ts 1000 0
        40ms       > . ack 101
        2073599s   < 101:201 ts 999 0
        2073599s   > . ack 101
        2073601s   < 101:201 ts 999 0
        2073601s   < 201:301 ts 1001 0
        2073601s   > . ack 301
        ",
    );
}

/// RFC 7323 §5.2: RST needs no fresh timestamp.
#[test]
fn paws_spares_rst() {
    script().run(
        "
        0ms   < 1:101 ts 1000 0
        1ms   < R 101:101 ts 1 0
        1ms   expect Closed(Reset(None))
        ",
    );
}

/// Who acknowledges what was never sent, or long ago, sets no TS.Recent: PAWS would drop what the
/// peer sends (RFC 5961 §5).
#[test]
fn a_wrong_acknowledgment_leaves_the_echo_alone() {
    for wrong in ["9999", "4294900000"] {
        script().run(&format!(
            "
            0ms    < 1:101 ts 1000 0
            40ms   > . ack 101 ts 40 1000
            500ms  < 101:201 ack {wrong} ts 900000 0
            500ms  > . ack 101 ts 500 1000
            600ms  < 101:201 ack 1 ts 1600 0
            640ms  > . ack 201 ts 640 1600
            "
        ));
    }
}

/// RFC 7323 §3.2: on a RST they SHOULD be, once they are agreed on.
#[test]
fn a_rst_has_timestamps() {
    script().run(
        "
        0ms   < 1:101 ts 1000 0
        5ms   abort
        5ms   > R. 1:1 ack 101 ts 5 1000
        5ms   expect Closed(Aborted)
        ",
    );
}

/// RFC 7323 §3.2: timestamps are on every segment.
#[test]
fn every_segment_has_timestamps() {
    script().run(
        "
        0ms   write 100
        0ms   > 1:101 ts 0 0
        40ms  < ack 101 ts 40 0
        50ms  close
        50ms  > F 101:101 ts 50 40
        90ms  < F 1:1 ack 102 ts 90 50
        90ms  > . ack 2 ts 90 90
        ",
    );
}
