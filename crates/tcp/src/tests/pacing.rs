//! Pacing of new data.

use crate::testing::Script;

/// A window of 400 bytes and a round trip of 40 ms are 20 bytes a millisecond at twice the rate:
/// 5 ms a segment. What a late timer missed is made good by one segment, no more.
#[test]
fn new_data_is_spread_over_the_round_trip() {
    Script::established().cwnd(400).config(|c| c.pacing = true).run(
        "
        0ms   write 400
        0ms   > 1:101
        0ms   > 101:201         // one segment of credit after idling
        5ms   > 201:301
        10ms  > 301:401
        40ms  < ack 401
        ",
    );
}

/// Recovery is metered by what is delivered, not by the pace.
#[test]
fn retransmissions_are_not_paced() {
    Script::established().cwnd(1000).config(|c| c.pacing = true).run(
        "
        0ms   write 600
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        2ms   > 201:301
        4ms   > 301:401
        6ms   > 401:501
        8ms   > 501:601
        50ms  < ack 1 sack 201:601
        50ms  > 1:101
        50ms  > 101:201
        90ms  < ack 601
        ",
    );
}
