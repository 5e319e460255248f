//! Pacing of new data.

use crate::testing::Script;

/// A window of 2,000 bytes and a round trip of 40 ms are 100 bytes a millisecond at twice the rate:
/// a segment each. The initial window of ten segments leaves at once (RFC 9002 §7.7), and what a
/// late timer missed is made good by one segment, no more.
#[test]
fn new_data_is_spread_over_the_round_trip() {
    Script::established().cwnd(2000).config(|c| c.pacing = true).run(
        "
        0ms   write 1300
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        0ms   > 601:701
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        0ms   > 1001:1101       // one segment of credit after idling
        1ms   > 1101:1201
        2ms   > 1201:1301
        40ms  < ack 1301
        ",
    );
}

/// Recovery is metered by what is delivered, not by the pace.
#[test]
fn retransmissions_are_not_paced() {
    Script::established().cwnd(2000).config(|c| c.pacing = true).run(
        "
        0ms   write 1300
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        0ms   > 601:701
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        0ms   > 1001:1101
        1ms   > 1101:1201
        2ms   > 1201:1301
        50ms  < ack 1 sack 201:1301
        50ms  > 1:101
        50ms  > 101:201
        90ms  < ack 1301
        ",
    );
}
