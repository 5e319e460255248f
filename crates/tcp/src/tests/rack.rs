//! Loss detection by time (RFC 8985 §6).

use crate::testing::Script;

/// RFC 8985 §6.2 step 5: a segment overtaken by one other waits for a quarter of the smallest
/// round-trip time.
#[test]
fn one_segment_passed_over_is_lost_when_the_reordering_window_ends() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101           // lost
        0ms   > 101:201
        40ms  < ack 1 sack 101:201
        50ms  > 1:101           // sent at 0, round trip 40, window 10
        90ms  < ack 201
        ",
    );
}

/// RFC 8985 §6.2 step 4: what comes within the window was only reordered.
#[test]
fn a_late_segment_is_not_sent_again() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101           // late
        0ms   > 101:201
        40ms  < ack 1 sack 101:201
        45ms  < ack 201
        99ms  check resent 0
        ",
    );
}

/// RFC 8985 §6.2 step 4: once reordering was seen, three segments are no proof any more.
#[test]
fn where_reordering_was_seen_the_window_is_kept() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101           // late
        0ms   > 101:201
        40ms  < ack 1 sack 101:201
        45ms  < ack 201
        100ms write 500
        100ms > 201:301         // late again
        100ms > 301:401
        100ms > 401:501
        100ms > 501:601
        100ms > 601:701
        140ms < ack 201 sack 301:401
        141ms < ack 201 sack 301:501
        142ms < ack 201 sack 301:601
        143ms < ack 201 sack 301:701
        149ms < ack 701
        200ms check resent 0
        ",
    );
}

/// RFC 8985 §3.1: a retransmission that is lost is found when something sent after it arrives.
#[test]
fn a_lost_retransmission_is_found() {
    Script::established().cwnd(500).run(
        "
        0ms   write 800
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 101:201
        40ms  > 501:601
        41ms  < ack 1 sack 101:301
        41ms  > 601:701
        42ms  < ack 1 sack 101:401
        42ms  > 1:101           // lost again
        43ms  < ack 1 sack 101:501
        81ms  < ack 1 sack 101:701
        81ms  > 701:801
        121ms < ack 1 sack 101:801
        121ms > 1:101
        161ms < ack 801
        161ms check timeouts 0
        ",
    );
}

/// RFC 8985 §6.2 step 5, on a second hole behind a retransmission that is still on its way.
#[test]
fn a_hole_behind_a_retransmission_is_found() {
    Script::established().cwnd(800).run(
        "
        0ms   write 800
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501         // lost
        0ms   > 501:601
        0ms   > 601:701
        0ms   > 701:801
        40ms  < ack 1 sack 101:401
        40ms  > 1:101
        44ms  < ack 1 sack 101:401 501:801
        44ms  > 401:501
        84ms  < ack 801
        84ms  check resent 200
        ",
    );
}

/// RFC 8985 §6.2 step 3: blocks that one acknowledgment brings tell no order of arrival.
#[test]
fn the_order_of_blocks_is_no_reordering() {
    Script::established().cwnd(600).run(
        "
        0ms   write 600
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301         // lost
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        40ms  < ack 1 sack 301:401 101:201
        41ms  < ack 1 sack 301:601 101:201
        41ms  > 1:101           // not at 50 ms
        41ms  > 201:301
        81ms  < ack 601
        ",
    );
}

/// After a recovery that was not needed, segments are known to overtake each other.
#[test]
fn a_needless_recovery_teaches_patience() {
    Script::established().cwnd(500).run(
        "
        0ms   write 500
        0ms   > 1:101           // late
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 101:501
        40ms  > 1:101
        45ms  < ack 501
        80ms  < ack 501 sack 1:101
        80ms  check spurious 1
        100ms write 500
        100ms > 501:601         // late
        100ms > 601:701
        100ms > 701:801
        100ms > 801:901
        100ms > 901:1001
        140ms < ack 501 sack 601:1001
        150ms < ack 1001
        150ms check resent 100
        ",
    );
}
