//! The user timeout and its option (RFC 9293 §3.8.3, RFC 5482).

use core::time::Duration;

use crate::UserTimeoutLimits;
use crate::testing::Script;

fn with_option(script: Script) -> Script {
    script.config(|c| c.user_timeout_option = Some(UserTimeoutLimits::default()))
}

/// RFC 5482 §3: on the SYN, and on the first segment without it. §3.1: the larger of both counts.
#[test]
fn timeouts_are_exchanged() {
    with_option(Script::connecting()).run(
        "
        0ms   > S mss 100 sackOK uto 300
        30ms  < S. ack 1 mss 100 sackOK uto 500
        30ms  > . 1:1 ack 1 uto 300
        30ms  check user-timeout 500
        31ms  write 100
        31ms  > 1:101
        40ms  < ack 101 uto 200
        40ms  check user-timeout 300
        ",
    );
}

/// RFC 5482 §3.1: limits; §3.4: 0 is reserved and ignored.
#[test]
fn limits_hold() {
    let limits =
        UserTimeoutLimits { lower: Duration::from_secs(400), upper: Duration::from_secs(600) };
    Script::accepting().config(|c| c.user_timeout_option = Some(limits)).run(
        "
        0ms   < S mss 100 sackOK uto 1
        0ms   > S. ack 1 mss 100 sackOK uto 300
        0ms   check user-timeout 400
        1ms   < . ack 1 uto 30000
        1ms   check user-timeout 600
        2ms   < . ack 1 uto 0
        2ms   check user-timeout 600
        3ms   write 10
        3ms   > 1:11 uto 300
        ",
    );
}

/// RFC 5482 §3: what the application sets, the peer does not change, and is told.
#[test]
fn the_application_has_the_last_word() {
    with_option(Script::established()).run(
        "
        0ms   user-timeout 20
        1ms   write 10
        1ms   > 1:11 uto 20
        5ms   < ack 11 uto 900
        5ms   check user-timeout 20
        ",
    );
}

/// RFC 5482 §3: not enabled, it is ignored.
#[test]
fn without_permission_the_option_means_nothing() {
    Script::established().run(
        "
        0ms   < ack 1 uto 900
        0ms   check user-timeout 300
        ",
    );
}

/// MUST-21 of RFC 9293 §3.8.3: the application sets when the flow is given up.
#[test]
fn a_timeout_set_late_counts() {
    Script::established().run(
        "
        0ms    write 100
        0ms    > 1:101
        120ms  > 1:101
        200ms  user-timeout 1
        320ms  > 1:101
        720ms  > 1:101
        1520ms > R. 101:101
        1520ms expect Closed(TimedOut)
        ",
    );
}
