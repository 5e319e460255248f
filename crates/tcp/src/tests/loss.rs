//! Fast retransmit and recovery without SACK (RFC 5681 §3.2, RFC 6582).

use crate::testing::Script;

/// RFC 5681 §3.2, steps 2 and 3.
#[test]
fn third_duplicate_ack_retransmits_the_hole() {
    Script::established().sack(false).cwnd(300).run(
        "
        0ms   write 300
        0ms   > 1:101           // lost on the way
        0ms   > 101:201
        0ms   > 201:301
        40ms  < ack 1
        41ms  < ack 1
        42ms  < ack 1           // third duplicate
        42ms  > 1:101           // and nothing else may come out
        82ms  < ack 301
        82ms  check resent 100
        ",
    );
}

/// RFC 5681 §2: what changes the window, carries data or comes with nothing outstanding is no
/// duplicate acknowledgment.
#[test]
fn other_segments_are_no_duplicates() {
    Script::established().sack(false).cwnd(300).run(
        "
        0ms   < ack 1
        0ms   < ack 1
        0ms   < ack 1
        0ms   write 200
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 1 win 9000
        41ms  < ack 1 win 8000
        42ms  < 1:2 ack 1
        43ms  < 2:3 ack 1
        43ms  > . ack 3
        44ms  < 3:4 ack 1
        60ms  < ack 201
        80ms  check resent 0
        84ms  > . ack 4
        ",
    );
}

/// RFC 6582 §3.2, step 3: a partial acknowledgment means that the next segment is lost too.
#[test]
fn a_partial_acknowledgment_retransmits_the_next_hole() {
    Script::established().sack(false).cwnd(500).run(
        "
        0ms   write 500
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301         // lost
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1
        41ms  < ack 1
        42ms  < ack 1
        42ms  > 1:101
        82ms  < ack 201
        82ms  > 201:301
        122ms < ack 501
        122ms check ssthresh 250
        ",
    );
}

/// RFC 5681 §3.2: one reduction an episode, however many segments were lost.
#[test]
fn one_window_of_losses_is_one_signal() {
    Script::established().cwnd(600).run(
        "
        0ms   write 600
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        0ms   > 201:301         // lost
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        40ms  < ack 1 sack 301:601
        40ms  > 1:101
        40ms  > 101:201
        40ms  > 201:301
        40ms  check ssthresh 300
        80ms  < ack 101 sack 301:601
        81ms  < ack 201 sack 301:601
        82ms  < ack 601
        82ms  check ssthresh 300
        ",
    );
}
