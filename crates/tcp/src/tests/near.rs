//! Room is saved until it is worth a burst, and a train of bursts where the peer is beside this host.

use alloc::format;
use alloc::string::String;
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

/// Its window of 40 packets has bursts of 10.
#[test]
fn a_fast_path_is_sent_whole_bursts() {
    let packets = |at: &str, from: u32, to: u32| -> String {
        let lines = (from..to).map(|n| format!("{at} > {}:{}\n", n * 1_000 + 1, n * 1_000 + 1_001));
        lines.collect()
    };
    let script = Script::established()
        .mss(1_000)
        .cwnd(40_000)
        .window(65_000)
        .rtt(Duration::from_micros(1_500))
        .config(|c| c.max_burst = 60_000);
    let lines = [
        "0us write 100000\n",
        &packets("0us", 0, 40),
        "1500us < ack 5001 win 65000     // half a burst\n",
        "1500us < ack 10001 win 65000\n",
        &packets("1500us", 40, 50),
        "1500us < ack 15001 win 65000\n",
        // What is left was sent just now, so that nothing is due soon.
        "1500us < ack 40001 win 65000\n",
        &packets("1500us", 50, 80),
        "2000us < ack 45001 win 65000\n",
        &packets("2000us", 80, 85),
    ];
    script.run(&lines.concat());
}
