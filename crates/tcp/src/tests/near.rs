//! Sending to a peer near by: room is saved until it is worth a train of bursts.

use core::time::Duration;

use crate::testing::Script;

fn bursts(rtt: Duration) -> Script {
    Script::established().cwnd(600).rtt(rtt).config(|c| c.max_burst = 60_000)
}

#[test]
fn a_near_peer_is_sent_nothing_for_less_than_a_third_of_the_window() {
    bursts(Duration::from_millis(1)).run(
        "
        0ms   write 900
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        1ms   < ack 101
        1ms   < ack 201
        1ms   > 601:701
        1ms   > 701:801
        1ms   < ack 301         // what is left is all there is
        1ms   > P 801:901
        2ms   < ack 901
        ",
    );
}

#[test]
fn a_far_one_is_sent_what_each_acknowledgment_admits() {
    bursts(Duration::from_millis(40)).run(
        "
        0ms   write 900
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        40ms  < ack 101
        40ms  > 601:701
        40ms  < ack 201
        40ms  > 701:801
        40ms  < ack 301
        40ms  > P 801:901
        80ms  < ack 901
        ",
    );
}
