//! Nagle's algorithm (RFC 9293 §3.7.4) and segments of full size.

use crate::testing::Script;

#[test]
fn small_writes_wait_while_data_is_in_flight() {
    Script::established().run(
        "
        0ms   write 10
        0ms   > P 1:11
        1ms   write 10
        2ms   write 10
        40ms  < ack 11
        40ms  > P 11:31
        ",
    );
}

#[test]
fn it_can_be_turned_off() {
    Script::established().nagle(false).run(
        "
        0ms   write 10
        0ms   > 1:11
        1ms   write 10
        1ms   > 11:21
        ",
    );
}

#[test]
fn full_segments_do_not_wait_and_the_rest_does() {
    Script::established().run(
        "
        0ms   write 250
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 201
        40ms  > P 201:251
        ",
    );
}

/// RFC 6691: options shorten segments, so less than the MSS is a full segment.
#[test]
fn a_segment_beside_options_is_full() {
    Script::established().timestamps().run(
        "
        0ms   write 10
        0ms   > 1:11
        0ms   write 88
        0ms   > 11:99
        0ms   write 88
        0ms   > 99:187
        ",
    );
}

/// With super-segments the packets are the same.
#[test]
fn a_super_segment_is_cut_into_full_packets() {
    Script::established().config(|c| c.max_burst = 60_000).run(
        "
        0ms   write 250
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 201
        40ms  > P 201:251
        ",
    );
}
