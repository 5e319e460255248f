//! Closing (RFC 9293 §3.6).

use crate::testing::Script;

/// RFC 9293 §3.6, figure 12, the side that closes first.
#[test]
fn the_first_to_close_passes_through_time_wait() {
    Script::established().run(
        "
        0ms   close
        0ms   > F 1:1 ack 1
        0ms   state FinWait1
        40ms  < . ack 2
        40ms  state FinWait2
        90ms  < F 1:1
        90ms  > . 2:2 ack 2
        90ms  expect PeerClosed
        90ms  state TimeWait
        60089ms never Closed(Finished)
        60090ms expect Closed(Finished)
        ",
    );
}

/// RFC 9293 §3.6, figure 12, the side that closes last.
#[test]
fn the_last_to_close_ends_with_the_acknowledgment_of_its_fin() {
    Script::established().run(
        "
        0ms   < F 1:1
        0ms   > . 1:1 ack 2
        0ms   expect PeerClosed
        0ms   state CloseWait
        9ms   write 100
        9ms   > 1:101 ack 2
        9ms   close
        9ms   > F 101:101 ack 2
        9ms   state LastAck
        49ms  < . ack 102
        49ms  expect Closed(Finished)
        ",
    );
}

/// RFC 9293 §3.8.1: FIN occupies sequence space and is sent again like data, by the tail loss
/// probe (RFC 8985 §7) and then by timeouts.
#[test]
fn a_lost_fin_is_sent_again() {
    Script::established().run(
        "
        0ms    close
        0ms    > F 1:1
        120ms  > F 1:1
        320ms  > F 1:1
        720ms  > F 1:1
        760ms  < . ack 2
        760ms  state FinWait2
        ",
    );
}

/// RFC 9293 §3.6, case 1: after FIN this side still receives.
#[test]
fn a_half_closed_flow_receives() {
    Script::established().run(
        "
        0ms    close
        0ms    > F 1:1
        40ms   < . ack 2
        50ms   < 1:101
        50ms   < 101:201
        50ms   > . 2:2 ack 201
        50ms   read 100
        50ms   read 100
        60ms   < F 201:251
        60ms   > . 2:2 ack 252
        60ms   read 50
        60ms   state TimeWait
        ",
    );
}

/// RFC 9293 §3.10.4: FIN follows everything that was written, on the last segment of it.
#[test]
fn fin_rides_on_the_last_data() {
    Script::established().run(
        "
        0ms   write 150
        0ms   > 1:101
        1ms   close
        1ms   > F 101:151
        41ms  < . ack 152
        41ms  state FinWait2
        ",
    );
}

/// RFC 9293 §3.10.7.4, eighth: FIN counts once everything before it has come.
#[test]
fn a_fin_out_of_order_waits_for_the_data() {
    Script::established().run(
        "
        0ms   < F 101:201
        0ms   > . ack 1 sack 101:201
        0ms   state Established
        5ms   < 1:101
        5ms   > . ack 202
        5ms   state CloseWait
        5ms   expect PeerClosed
        5ms   read 100
        5ms   read 100
        ",
    );
}

/// RFC 9293 §3.10.7.4, first: a FIN that comes again is acknowledged again.
#[test]
fn a_repeated_fin_is_acknowledged() {
    Script::established().run(
        "
        0ms   < F 1:1
        0ms   > . ack 2
        200ms < F 1:1
        200ms > . ack 2
        200ms state CloseWait
        ",
    );
}

/// RFC 9293 §3.10.7.4, seventh: text beyond FIN is ignored.
#[test]
fn data_beyond_fin_is_ignored() {
    Script::established().run(
        "
        0ms   < F 1:101
        0ms   > . ack 102
        0ms   read 100
        5ms   < 102:202
        5ms   check readable 0
        ",
    );
}

/// RFC 9293 §3.10.2: nothing can be written behind FIN.
#[test]
fn what_is_written_after_close_is_ignored() {
    Script::established().run(
        "
        0ms   close
        0ms   > F 1:1
        1ms   write 100
        1ms   check unsent 0
        ",
    );
}

/// RFC 9293 §3.6, case 3, with data still on its way: LAST-ACK repeats what was lost.
#[test]
fn last_ack_repeats_lost_data_before_fin() {
    Script::established().run(
        "
        0ms   < F 1:1
        0ms   > . ack 2
        0ms   write 400
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   close
        0ms   > F 401:401
        40ms  < . ack 1 sack 101:402
        40ms  > 1:101
        80ms  < . ack 402
        80ms  expect Closed(Finished)
        ",
    );
}
