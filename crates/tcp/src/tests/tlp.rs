//! Tail loss probes (RFC 8985 §7).

use crate::testing::Script;

/// RFC 8985 §7.2, §7.3: after two round trips the last segment goes out again.
#[test]
fn a_silent_tail_is_probed() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101
        0ms   > 101:201         // lost
        40ms  < ack 101
        160ms > 101:201         // two round trips and a delayed acknowledgment
        160ms check probes 1
        200ms < ack 201
        ",
    );
}

/// RFC 8985 §7.3: the probe is new data if there is any, one segment beyond the window.
#[test]
fn a_probe_prefers_new_data() {
    Script::established().cwnd(200).run(
        "
        0ms   write 300
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        80ms  > 201:301
        120ms < ack 1 sack 201:301
        120ms > 1:101
        120ms > 101:201
        160ms < ack 301
        ",
    );
}

/// RFC 8985 §7.4.2, case 1: a D-SACK says that nothing was lost.
#[test]
fn a_needless_probe_costs_nothing() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101
        0ms   > 101:201
        80ms  > 101:201
        85ms  < ack 201
        90ms  write 100
        90ms  > 201:301
        120ms < ack 201 sack 101:201
        130ms < ack 301
        130ms check ssthresh 4294967295
        ",
    );
}

/// RFC 8985 §7.4.2, case 2: without D-SACK a duplicate acknowledgment says the same.
#[test]
fn a_duplicate_acknowledgment_excuses_a_probe() {
    Script::established().run(
        "
        0ms   write 200
        0ms   > 1:101
        0ms   > 101:201
        80ms  > 101:201
        85ms  < ack 201
        120ms < ack 201
        130ms write 100
        130ms > 201:301
        170ms < ack 301
        170ms check ssthresh 4294967295
        ",
    );
}

/// RFC 8985 §7.4.2: a loss that the probe repaired is congestion, known once more is acknowledged.
#[test]
fn a_repaired_loss_counts_as_congestion() {
    Script::established().run(
        "
        0ms   write 600
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601         // lost
        40ms  < ack 501
        160ms > 501:601
        200ms < ack 601
        200ms check ssthresh 4294967295
        210ms write 100
        210ms > 601:701
        250ms < ack 701
        250ms check ssthresh 200
        250ms check between_losses 700
        250ms check since_loss 0
        ",
    );
}

/// RFC 8985 §7.3: after a probe the retransmission timer runs anew, and the next probe needs a
/// new round-trip time.
#[test]
fn no_second_probe_without_a_new_round_trip_time() {
    Script::established().run(
        "
        0ms   write 100
        0ms   > 1:101
        120ms > 1:101
        160ms < ack 101         // of which copy?
        200ms write 100
        200ms > 101:201
        400ms > 101:201
        400ms check timeouts 1
        400ms check probes 1
        440ms < ack 201
        ",
    );
}

/// RFC 8985 §7.2: where the retransmission timer is due sooner, the probe takes its place.
#[test]
fn a_probe_comes_no_later_than_the_timeout_would() {
    Script::established().rtt(crate::testing::ms(400)).run(
        "
        0ms    write 100
        0ms    > 1:101
        840ms  > 1:101
        840ms  check timeouts 0
        2040ms > 1:101
        2040ms check timeouts 1
        ",
    );
}

/// RFC 8985 §7.3, condition 2, where the last probe is answered but gave no sample.
#[test]
fn an_answered_probe_that_gave_no_sample_allows_no_other() {
    Script::established().run(
        "
        0ms   write 100
        0ms   > 1:101
        120ms > 1:101
        130ms < ack 101
        160ms < ack 101 sack 1:101
        200ms write 100
        200ms > 101:201
        400ms > 101:201         // not at 320 ms
        400ms check timeouts 1
        440ms < ack 201
        ",
    );
}
