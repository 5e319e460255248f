//! A closed window (RFC 9293 §3.8.6.1).

use crate::testing::{Script, ms};

/// MUST-35, SHLD-29, SHLD-30: probes at doubling intervals, until the window opens. They are no
/// sign of congestion or of a bad path.
#[test]
fn a_closed_window_is_probed() {
    Script::established().window(100).run(
        "
        0ms    write 300
        0ms    > 1:101
        40ms   < ack 101 win 0
        240ms  > . 100:100
        280ms  < ack 101 win 0
        640ms  > . 100:100
        1440ms > . 100:100
        1480ms < ack 101 win 1000
        1480ms > 101:201
        1480ms > 201:301
        1520ms < ack 301
        1520ms check timeouts 0
        1520ms check probes 0
        ",
    );
}

/// RFC 9293 §3.8.6.1: as long as probes are answered, the flow stays open.
#[test]
fn a_window_may_stay_closed() {
    Script::established().window(100).config(|c| c.user_timeout = ms(1_000)).run(
        "
        0ms    write 200
        0ms    > 1:101
        40ms   < ack 101 win 0
        240ms  > . 100:100
        280ms  < ack 101 win 0
        640ms  > . 100:100
        680ms  < ack 101 win 0
        1440ms > . 100:100
        1480ms < ack 101 win 0
        3040ms > R. 101:101     // the probe of 3040 ms finds a peer silent for 1560 ms
        3040ms expect Closed(TimedOut)
        ",
    );
}

/// RFC 9293 §3.8.3: the time without progress begins when something waits, not before.
#[test]
fn idle_time_before_a_closed_window_does_not_count() {
    Script::established().config(|c| c.user_timeout = ms(1_000)).run(
        "
        0ms     < ack 1 win 0
        5s      write 200
        5200ms  > . 0:0
        5240ms  < ack 1 win 1000
        5240ms  > 1:101
        5240ms  > 101:201
        ",
    );
}

/// FIN needs the window as data does.
#[test]
fn a_fin_waits_for_the_window() {
    Script::established().window(100).run(
        "
        0ms    write 100
        0ms    > 1:101
        40ms   < ack 101 win 0
        50ms   close
        250ms  > . 100:100
        290ms  < ack 101 win 10
        290ms  > F 101:101
        ",
    );
}

/// RFC 9293 §3.10.7.4, first: with RCV.WND = 0 nothing is taken but the acknowledgment.
#[test]
fn a_probe_of_our_closed_window_is_answered_and_its_acknowledgment_read() {
    Script::established().recv_buffer(100).run(
        "
        0ms   write 100
        0ms   > 1:101
        9ms   < 1:51
        9ms   < 51:101
        9ms   > . ack 101 win 0
        50ms  < 101:102 ack 101
        50ms  > . ack 101 win 0
        50ms  check unacknowledged 0
        50ms  check readable 100
        60ms  < . 100:100
        60ms  > . ack 101 win 0
        70ms  read 50
        70ms  > . ack 101 win 50
        70ms  read 50
        70ms  > . ack 101 win 100
        ",
    );
}
