//! Needless retransmissions are found and their cost is taken back (RFC 3522, RFC 4015, RFC 3708).

use crate::EcnMode;
use crate::testing::Script;

/// RFC 3522 §3.2: the acknowledgment echoes the original's timestamp.
#[test]
fn a_timeout_is_undone_by_the_echo_of_an_original() {
    Script::established().mss(112).timestamps().run(
        "
        0ms   write 300
        0ms   > 1:101 ts 0 0
        0ms   > 101:201
        0ms   > 201:301
        80ms  > 201:301
        280ms > 1:101 ts 280 0
        280ms check cwnd 100
        300ms < ack 101 ts 300 0
        300ms check spurious 1
        300ms check cwnd 10000
        300ms check between_losses 0
        300ms check since_loss 100
        301ms < ack 301 ts 301 0
        301ms check in_flight 0
        ",
    );
}

/// RFC 8985 §6.2 step 2: an original that comes later than a round trip after the retransmission is
/// not the delivery of the retransmission, behind which everything else would be lost.
#[test]
fn a_late_original_does_not_make_those_behind_it_lost() {
    Script::established().mss(112).timestamps().run(
        "
        0ms   write 300
        0ms   > 1:101 ts 0 0
        0ms   > 101:201
        0ms   > 201:301
        80ms  > 201:301
        280ms > 1:101 ts 280 0
        330ms < ack 101 ts 330 0
        330ms check spurious 1
        330ms check in_flight 200
        340ms < ack 201 ts 340 0
        350ms < ack 301 ts 350 0
        350ms check in_flight 0
        ",
    );
}

/// RFC 4015 §3.2 (ECN): an acknowledgment that echoes a mark reverses nothing.
#[test]
fn a_marked_acknowledgment_undoes_nothing() {
    Script::established().mss(112).timestamps().ecn(EcnMode::Ask).run(
        "
        0ms   write 300
        0ms   > 1:101 ts 0 0 ect0
        0ms   > 101:201 ect0
        0ms   > 201:301 ect0
        80ms  > 201:301
        280ms > 1:101 ts 280 0
        300ms < E. ack 101 ts 300 0
        300ms check ssthresh 200
        300ms check reductions 0
        301ms < ack 301 ts 301 0
        ",
    );
}

/// RFC 3522 §3.2: the echo of the retransmission proves the loss.
#[test]
fn a_real_timeout_stays() {
    Script::established().mss(112).timestamps().run(
        "
        0ms   write 200
        0ms   > 1:101 ts 0 0
        0ms   > 101:201
        80ms  > 101:201
        280ms > 1:101 ts 280 0
        320ms < ack 101 ts 320 280
        320ms > 101:201
        320ms check spurious 0
        360ms < ack 201
        ",
    );
}

/// RFC 3708 §3: every retransmission is reported as a duplicate, after recovery has ended.
#[test]
fn a_recovery_is_undone_by_dsack() {
    Script::established().cwnd(500).run(
        "
        0ms   write 500
        0ms   > 1:101           // late
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 101:501
        40ms  > 1:101
        40ms  check ssthresh 250
        45ms  < ack 501
        45ms  check spurious 0
        80ms  < ack 501 sack 1:101
        80ms  check spurious 1
        80ms  check ssthresh 4294967295
        ",
    );
}

/// RFC 3708 §3: a duplicate that the network made proves nothing.
#[test]
fn a_duplicate_of_something_else_undoes_nothing() {
    Script::established().cwnd(500).run(
        "
        0ms   write 500
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        40ms  < ack 1 sack 101:501
        40ms  > 1:101
        41ms  < ack 1 sack 201:301 101:501
        41ms  check spurious 0
        80ms  < ack 501
        80ms  check spurious 0
        ",
    );
}
