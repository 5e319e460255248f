//! Proportional rate reduction (RFC 6937).

use crate::testing::Script;

/// RFC 6937 §3.1: down to ssthresh one segment for two delivered, there one for one.
#[test]
fn recovery_sends_in_proportion_to_what_is_delivered() {
    Script::established().cwnd(1000).run(
        "
        0ms   write 1000
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        0ms   > 601:701
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        40ms  < ack 1 sack 101:401
        40ms  > 1:101           // in flight 700, ssthresh 500
        40ms  check in_flight 700
        40ms  check ssthresh 500
        40ms  write 2000
        40ms  check in_flight 700
        41ms  < ack 1 sack 101:501
        41ms  > 1001:1101       // 400 * 500 / 1000 - 100
        42ms  < ack 1 sack 101:601
        43ms  < ack 1 sack 101:701
        43ms  check in_flight 500
        44ms  < ack 1 sack 101:801
        44ms  > 1101:1201       // below ssthresh now: one for one
        45ms  < ack 1 sack 101:901
        45ms  > 1201:1301
        46ms  < ack 1 sack 101:1001
        46ms  > 1301:1401
        46ms  check in_flight 500
        ",
    );
}

/// RFC 6937 §3.1, the reduction bound: after heavy losses slow start leads back to ssthresh.
#[test]
fn after_heavy_losses_it_slow_starts() {
    Script::established().cwnd(1000).run(
        "
        0ms   write 1000
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        0ms   > 201:301         // lost
        0ms   > 301:401         // lost
        0ms   > 401:501         // lost
        0ms   > 501:601         // lost
        0ms   > 601:701         // lost
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        40ms  < ack 1 sack 701:801
        41ms  < ack 1 sack 701:901
        42ms  < ack 1 sack 701:1001
        42ms  > 1:101           // one delivered and one more
        42ms  > 101:201
        82ms  < ack 101 sack 701:1001
        82ms  > 201:301
        82ms  > 301:401
        82ms  < ack 201 sack 701:1001
        82ms  > 401:501
        82ms  > 501:601
        122ms < ack 301 sack 701:1001
        122ms > 601:701
        122ms < ack 1001
        ",
    );
}

/// Acknowledgments that come all at once leave a flight that has just been drained when the loss
/// shows; what the path carried within the round trip tells more of it.
#[test]
fn a_loss_behind_a_burst_of_acknowledgments_halves_what_was_in_flight() {
    Script::established().cwnd(1000).run(
        "
        0ms   write 1000
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        0ms   > 601:701         // lost
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        60ms  < ack 601
        60ms  check in_flight 400
        60ms  < ack 601 sack 701:1001
        60ms  > 601:701
        60ms  check ssthresh 500
        100ms < ack 1001
        ",
    );
}
