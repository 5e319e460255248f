//! ICMP errors (RFC 9293 §3.9.2.2, RFC 1191, RFC 5927).

use crate::testing::Script;

#[test]
fn a_hard_error_ends_an_attempt_to_connect() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        5ms   icmp refused 0
        5ms   expect Closed(Unreachable)
        ",
    );
}

/// RFC 9293 §3.9.2.2 (MUST-56, SHLD-25): soft errors end nothing, but the application can learn
/// of them.
#[test]
fn a_soft_error_does_not() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        5ms   check unreachable 0
        5ms   icmp unreachable 0
        5ms   check unreachable 1
        5ms   state SynSent
        30ms  < S. ack 1 mss 100 sackOK
        30ms  > . 1:1 ack 1
        30ms  expect Established
        ",
    );
}

/// RFC 5927 §5.2: no error ends an established flow.
#[test]
fn an_established_flow_survives_every_error() {
    Script::established().run(
        "
        0ms   write 100
        0ms   > 1:101
        5ms   icmp refused 1
        5ms   icmp unreachable 1
        5ms   state Established
        40ms  < ack 101
        ",
    );
}

/// RFC 1191 §6.4: what was too big is sent again in smaller packets, without congestion control.
#[test]
fn too_big_packets_are_cut_and_sent_again() {
    Script::established().mss(1000).run(
        "
        0ms   write 2000
        0ms   > 1:1001
        0ms   > 1001:2001
        5ms   icmp 552 1
        5ms   > 1:513
        5ms   > 513:1001
        5ms   > 1001:1513
        5ms   > 1513:2001
        5ms   check mss 512
        5ms   check ssthresh 4294967295
        45ms  < ack 2001
        ",
    );
}

/// RFC 5927 §4.1: an error about something that is not in flight is forged or late; and no error
/// makes packets absurdly small.
#[test]
fn errors_are_checked() {
    Script::established().mss(1000).run(
        "
        0ms   write 1000
        0ms   > 1:1001
        5ms   icmp 552 1001
        5ms   check mss 1000
        5ms   icmp 9000 1       // RFC 1191 §3: no message makes packets larger
        5ms   check mss 1000
        5ms   icmp 68 1
        5ms   > 1:513
        5ms   > 513:1001
        5ms   check mss 512
        ",
    );
}
