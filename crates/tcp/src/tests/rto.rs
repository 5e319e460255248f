//! The retransmission timer (RFC 6298), and what it says of the path.

use crate::testing::{Script, ms};

/// RFC 6298 (5.4) to (5.6): once sent again, the timeout doubles; an acknowledgment ends that.
#[test]
fn timeouts_double_and_an_acknowledgment_ends_it() {
    Script::established().run(
        "
        0ms    write 100
        0ms    > 1:101
        120ms  > 1:101          // the tail loss probe
        320ms  > 1:101
        720ms  > 1:101
        1520ms > 1:101
        3120ms > 1:101
        3120ms check timeouts 4
        3160ms < ack 101
        3160ms check rto 200
        ",
    );
}

/// What OLIA reads as the run between two losses: a timeout that repeats is the same loss.
#[test]
fn a_timeout_that_repeats_is_one_loss() {
    Script::established().run(
        "
        0ms    write 100
        0ms    > 1:101
        40ms   < ack 101
        100ms  write 100
        100ms  > 101:201
        220ms  > 101:201
        420ms  > 101:201
        420ms  check between_losses 100
        820ms  > 101:201
        820ms  check timeouts 2
        820ms  check between_losses 100
        860ms  < ack 201
        860ms  check since_loss 100
        ",
    );
}

/// Where other paths carry the data, a failed one is tried at least once in the time given.
#[test]
fn the_timeout_can_be_capped() {
    Script::established().max_rto(ms(1_000)).run(
        "
        0ms    write 100
        0ms    > 1:101
        120ms  > 1:101
        320ms  > 1:101
        720ms  > 1:101
        1520ms > 1:101
        2520ms > 1:101
        3520ms > 1:101
        3520ms < ack 101
        ",
    );
}

/// RFC 5681 §3.1, RFC 6298 §5: after a timeout everything counts as lost and one segment goes
/// out; what is acknowledged opens the window again.
#[test]
fn a_timeout_sends_one_segment_and_then_the_rest() {
    Script::established().run(
        "
        0ms   write 300
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        80ms  > 201:301
        280ms > 1:101
        280ms check cwnd 100
        320ms < ack 101
        320ms > 101:201
        320ms > 201:301
        360ms < ack 301
        ",
    );
}

/// A silent path is suspected before its timer is due, fails with it, and is restored by what it
/// delivers.
#[test]
fn a_silent_path_is_reported() {
    Script::established().run(
        "
        0ms    write 400
        0ms    > 1:101
        0ms    > 101:201
        0ms    > 201:301
        0ms    > 301:401
        80ms   > 301:401
        169ms  never PathSuspect(PathId(0))
        170ms  expect PathSuspect(PathId(0))   // 40 + 4 * 20 + 10 + 40
        279ms  never PathFailed(PathId(0))
        280ms  expect PathFailed(PathId(0))
        280ms  > 1:101
        280ms  check failed 1
        320ms  < ack 401
        320ms  expect PathRestored(PathId(0))
        320ms  check failed 0
        ",
    );
}

/// RFC 9293 §3.8.3: after R2 without progress the flow is given up, with a RST.
#[test]
fn a_flow_without_progress_is_given_up() {
    Script::established().config(|c| c.user_timeout = ms(1_000)).run(
        "
        0ms    write 100
        0ms    > 1:101
        120ms  > 1:101
        320ms  > 1:101
        720ms  > 1:101
        1520ms > R. 101:101
        1520ms expect Closed(TimedOut)
        ",
    );
}

/// RFC 6298 (5.3): every acknowledgment of new data restarts the timer.
#[test]
fn progress_restarts_the_timer() {
    Script::established().cwnd(400).config(|c| c.min_rto = ms(200)).run(
        "
        0ms   write 400
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        70ms  < ack 101
        140ms < ack 201
        210ms < ack 301
        280ms < ack 401
        280ms check timeouts 0
        280ms check probes 0
        ",
    );
}

/// RFC 6298 (2.3): SRTT and RTTVAR by an eighth and a quarter.
#[test]
fn round_trip_times_are_smoothed() {
    Script::established().rtt(ms(80)).run(
        "
        0ms   check rto 240
        0ms   write 100
        0ms   > 1:101
        160ms < ack 101
        160ms check srtt 90
        160ms check rto 290
        ",
    );
}

/// RFC 3522: the answer to a retransmission of an earlier recovery does not make a timeout
/// spurious that came in its midst.
#[test]
fn a_timeout_within_recovery_is_not_undone() {
    Script::established().mss(112).timestamps().cwnd(500).run(
        "
        0ms   write 500
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 201:501
        40ms  > 1:101 ts 40 40
        40ms  > 101:201 ts 40 40        // lost again
        240ms > 1:101 ts 240 40
        250ms < ack 101 ts 250 40 sack 201:501
        250ms check spurious 0
        250ms > 101:201
        290ms < ack 501
        ",
    );
}
