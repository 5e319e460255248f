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

/// RFC 5927 §7.2: where packets of that size came through, an error waits for the path to confirm it
/// by its silence, and is forgotten where the packet that it quotes arrives.
#[test]
fn an_error_against_the_evidence_waits_for_a_timeout() {
    Script::established().mss(1000).run(
        "
        0ms    write 1000
        0ms    > 1:1001
        40ms   < ack 1001
        50ms   write 1000
        50ms   > 1001:2001
        55ms   icmp 552 1001
        55ms   check mss 1000
        90ms   < ack 2001
        100ms  write 1000
        100ms  > 2001:3001
        105ms  icmp 600 2001
        140ms  < ack 3001
        150ms  write 1000
        150ms  > 3001:4001
        155ms  icmp 612 3001        // true: the path has changed
        155ms  check mss 1000
        270ms  > 3001:4001
        470ms  > 3001:3573
        470ms  check mss 572
        510ms  < ack 3573
        510ms  > 3573:4001
        550ms  < ack 4001
        ",
    );
}

/// RFC 5927 §7.2: a packet that is no larger than the error claims did not cause it.
#[test]
fn an_error_about_a_small_packet_is_forged() {
    Script::established().mss(1000).run(
        "
        0ms   write 400
        0ms   > 1:401
        5ms   icmp 552 1
        5ms   check mss 1000
        40ms  < ack 401
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
