//! When an acknowledgment goes out (RFC 5681 §4.2, RFC 9293 §3.8.6.3).

use crate::testing::Script;

#[test]
fn one_segment_waits_for_a_second_or_the_timer() {
    Script::established().run(
        "
        0ms   < 1:101
        40ms  > . ack 101
        50ms  < 101:201
        60ms  < 201:301
        60ms  > . ack 301
        ",
    );
}

#[test]
fn an_acknowledgment_rides_on_data() {
    Script::established().run(
        "
        0ms   < 1:101
        10ms  write 100
        10ms  > 1:101 ack 101
        50ms  < ack 101
        ",
    );
}

/// RFC 5681 §4.2: at once for what is out of order or fills (a part of) a hole.
#[test]
fn disorder_is_acknowledged_at_once() {
    Script::established().run(
        "
        0ms   < 201:301
        0ms   > . ack 1 sack 201:301
        5ms   < 1:101
        5ms   > . ack 101 sack 201:301
        6ms   < 101:201
        6ms   > . ack 301
        ",
    );
}

/// RFC 5681 §4.2: "every second full-sized segment", and segments with options are full-sized.
#[test]
fn segments_with_options_count_as_full() {
    Script::established().mss(1460).timestamps().recv_buffer(60_000).run(
        "
        0ms   < 1:1449
        0ms   < 1449:2897
        0ms   > . ack 2897
        5ms   < 2897:4345
        45ms  > . ack 4345
        ",
    );
}

/// At the start every segment is acknowledged, so that the peer's slow start is not slowed.
#[test]
fn the_start_is_acknowledged_quickly() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        30ms  < S. ack 1 mss 100 sackOK
        30ms  > . 1:1 ack 1
        30ms  < 1:101
        30ms  > . ack 101
        31ms  < 101:201
        31ms  > . ack 201
        ",
    );
}

#[test]
fn an_acknowledgment_can_be_asked_for() {
    Script::established().run(
        "
        0ms   request-ack
        0ms   > . 1:1 ack 1
        ",
    );
}
