//! Selective acknowledgment (RFC 2018), D-SACK (RFC 2883) and what follows from them (RFC 6675).

use crate::testing::Script;

/// RFC 6675 §5, RFC 8985 §6.2: three segments' worth beyond a hole make it lost at once.
#[test]
fn holes_are_retransmitted_after_three_segments() {
    Script::established().cwnd(500).run(
        "
        0ms   write 500
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 201:301
        41ms  < ack 1 sack 201:401
        42ms  < ack 1 sack 201:501
        42ms  > 1:101
        42ms  > 101:201
        42ms  check ssthresh 250 // half of the 500 outstanding, RFC 5681 (4)
        82ms  < ack 501
        82ms  check in_flight 0
        ",
    );
}

/// RFC 2018 §4: the block that changed first, then the others, latest first.
#[test]
fn blocks_are_reported_latest_first() {
    Script::established().run(
        "
        0ms   < 101:201
        0ms   > . ack 1 sack 101:201
        1ms   < 301:401
        1ms   > . ack 1 sack 301:401 101:201
        2ms   < 501:601
        2ms   > . ack 1 sack 501:601 301:401 101:201
        3ms   < 201:301
        3ms   > . ack 1 sack 101:401 501:601
        4ms   < 1:101
        4ms   > . ack 401 sack 501:601
        5ms   < 401:501
        5ms   > . ack 601
        ",
    );
}

/// RFC 2018 §4: a range that grows does not push the others out of the report.
#[test]
fn a_growing_range_is_reported_once() {
    Script::established().run(
        "
        0ms   < 101:201
        0ms   > . ack 1 sack 101:201
        0ms   < 2001:2101
        0ms   > . ack 1 sack 2001:2101 101:201
        0ms   < 1001:1101
        0ms   > . ack 1 sack 1001:1101 2001:2101 101:201
        1ms   < 1101:1201
        1ms   > . ack 1 sack 1001:1201 2001:2101 101:201
        2ms   < 1201:1301
        2ms   > . ack 1 sack 1001:1301 2001:2101 101:201
        3ms   < 401:501
        3ms   > . ack 1 sack 401:501 1001:1301 2001:2101 101:201
        4ms   < 601:701
        4ms   > . ack 1 sack 601:701 401:501 1001:1301 2001:2101
        ",
    );
}

/// RFC 2018 §3: beside timestamps three blocks fit.
#[test]
fn timestamps_leave_room_for_three_blocks() {
    Script::established().mss(112).timestamps().run(
        "
        0ms   < 101:201
        0ms   > . ack 1 sack 101:201
        0ms   < 301:401
        0ms   > . ack 1 sack 301:401 101:201
        0ms   < 501:601
        0ms   > . ack 1 sack 501:601 301:401 101:201
        0ms   < 701:801
        0ms   > . ack 1 sack 701:801 501:601 301:401
        ",
    );
}

/// RFC 2883 §4.1 and §4.2: a duplicate below the cumulative acknowledgment, and one above it,
/// where the block that holds it follows.
#[test]
fn duplicates_are_reported_once() {
    Script::established().run(
        "
        0ms   < 1:101
        1ms   < 1:101
        1ms   > . ack 101 sack 1:101
        2ms   < 201:301
        2ms   > . ack 101 sack 201:301
        3ms   < 201:301
        3ms   > . ack 101 sack 201:301 201:301
        4ms   < 301:401
        4ms   > . ack 101 sack 201:401
        5ms   < 51:201
        5ms   > . ack 401 sack 51:101
        ",
    );
}

/// RFC 2018 §8: a receiver may discard what it acknowledged selectively; it is sent again.
#[test]
fn a_receiver_may_take_back_what_it_reported() {
    Script::established().run(
        "
        0ms   write 300
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        40ms  < ack 101 sack 201:301
        45ms  < ack 201
        45ms  > 201:301
        85ms  < ack 301
        85ms  check in_flight 0
        ",
    );
}

/// RFC 2018 §3 and RFC 9293 §3.10.7.4: blocks of what was never sent, or upside down, say nothing.
#[test]
fn impossible_blocks_are_ignored() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 1 sack 201:901 150:120 4000000000:4000000100
        40ms  check in_flight 200
        41ms  < ack 201
        ",
    );
}

/// Without permission no blocks are sent (RFC 2018 §2).
#[test]
fn no_blocks_without_permission() {
    Script::established().sack(false).run(
        "
        0ms   < 101:201
        0ms   > . ack 1
        0ms   < 101:201
        0ms   > . ack 1
        ",
    );
}

/// RFC 2018 §4, RFC 5681 §4.2: segments that were handed in together open more holes than one
/// acknowledgment has room for. Each block is reported, oldest first, so that the sender does not
/// take what it has not heard of for lost.
#[test]
fn every_block_of_a_batch_is_reported() {
    Script::established().mss(112).timestamps().run(
        "
        0ms   <+ 101:201
        0ms   <+ 301:401
        0ms   <+ 501:601
        0ms   <+ 701:801
        0ms   < 901:1001
        0ms   > . ack 1 sack 501:601 301:401 101:201
        0ms   > . ack 1 sack 901:1001 701:801 501:601
        ",
    );
}

/// RFC 2018 §4: what was filled or has grown meanwhile needs no acknowledgment of its own.
#[test]
fn a_batch_in_order_or_of_one_range_is_acknowledged_once() {
    Script::established().run(
        "
        0ms   <+ 1:101
        0ms   <+ 101:201
        0ms   < 201:301
        0ms   > . ack 301
        1ms   <+ 401:501
        1ms   <+ 501:601
        1ms   < 601:701
        1ms   > . ack 301 sack 401:701
        2ms   <+ 801:901
        2ms   <+ 1001:1101
        2ms   <+ 701:801
        2ms   <+ 901:1001
        2ms   < 301:401
        2ms   > . ack 1101
        ",
    );
}

/// RFC 2883 §4: each duplicate of a batch is reported, beside the block that holds it.
#[test]
fn every_duplicate_of_a_batch_is_reported() {
    Script::established().run(
        "
        0ms   < 1:101
        0ms   < 201:301
        0ms   > . ack 101 sack 201:301
        5ms   <+ 1:101
        5ms   <+ 201:301
        5ms   < 401:501
        5ms   > . ack 101 sack 1:101 401:501 201:301
        5ms   > . ack 101 sack 201:301 201:301 401:501
        ",
    );
}

/// RFC 5681 §4.2: without SACK the sender counts duplicate acknowledgments, so every segment out
/// of order brings one; a hole that is filled ends that.
#[test]
fn without_sack_every_segment_out_of_order_is_acknowledged() {
    Script::established().sack(false).run(
        "
        0ms   <+ 101:201
        0ms   <+ 201:301
        0ms   < 301:401
        0ms   > . ack 1
        0ms   > . ack 1
        0ms   > . ack 1
        1ms   <+ 501:601
        1ms   <+ 601:701
        1ms   < 1:101
        1ms   > . ack 401
        ",
    );
}
