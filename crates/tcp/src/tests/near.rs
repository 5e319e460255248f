//! Sending to a peer beside this host: room is saved until it is worth a train of bursts.

use core::time::Duration;

use crate::testing::Script;

/// Windows of six packets that have 10 KB each, so that a round trip of 50 us delivers more than
/// a link of 1 Gbit/s does, and one of 450 us does not.
fn big(rtt: Duration) -> Script {
    Script::established()
        .mss(10_000)
        .cwnd(60_000)
        .window(65_000)
        .rtt(rtt)
        .config(|c| c.max_burst = 60_000)
}

#[test]
fn a_peer_beside_us_is_sent_nothing_for_less_than_a_third_of_the_window() {
    big(Duration::from_micros(50)).run(
        "
        0us   write 100000
        0us   > 1:10001
        0us   > 10001:20001
        0us   > 20001:30001
        0us   > 30001:40001
        0us   > 40001:50001
        0us   > 50001:60001
        50us  < ack 10001 win 65000
        50us  < ack 20001 win 65000
        50us  > 60001:70001
        50us  > 70001:80001
        50us  < ack 30001 win 65000     // as much as is left has room only with the next
        50us  < ack 40001 win 65000
        50us  > 80001:90001
        50us  > P 90001:100001
        100us < ack 100001 win 65000
        ",
    );
}

#[test]
fn a_slow_link_is_sent_what_each_acknowledgment_admits() {
    big(Duration::from_micros(450)).run(
        "
        0us   write 100000
        0us   > 1:10001
        0us   > 10001:20001
        0us   > 20001:30001
        0us   > 30001:40001
        0us   > 40001:50001
        0us   > 50001:60001
        450us < ack 10001 win 65000
        450us > 60001:70001
        450us < ack 20001 win 65000
        450us > 70001:80001
        450us < ack 30001 win 65000
        450us > 80001:90001
        450us < ack 40001 win 65000
        450us > P 90001:100001
        900us < ack 100001 win 65000
        ",
    );
}
