//! Both sides at once (RFC 9293 §3.5 figure 8, §3.6 figure 13).

use crate::testing::Script;

/// RFC 9293 §3.5, figure 8. The SYN/ACK of the peer repeats its SYN; it must not be answered
/// with SYN/ACKs for ever.
#[test]
fn simultaneous_open() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        10ms  < S 0:0 mss 100 sackOK win 5000
        10ms  > S. 0:0 ack 1 mss 100 sackOK
        10ms  state SynReceived
        20ms  < S. 0:0 ack 1 mss 100 sackOK
        20ms  expect Established
        20ms  state Established
        20ms  write 100
        20ms  > 1:101 ack 1
        ",
    );
}

/// RFC 9293 §3.6, figure 13.
#[test]
fn simultaneous_close() {
    Script::established().run(
        "
        0ms   close
        0ms   > F 1:1 ack 1
        10ms  < F 1:1 ack 1
        10ms  > . 2:2 ack 2
        10ms  state Closing
        10ms  expect PeerClosed
        40ms  < . 2:2 ack 2
        40ms  state TimeWait
        ",
    );
}

/// RFC 9293 §3.10.7.4, CLOSING: a FIN that comes again is acknowledged again, and ours is repeated.
#[test]
fn simultaneous_close_with_losses() {
    Script::established().run(
        "
        0ms    close
        0ms    > F 1:1 ack 1
        10ms   < F 1:1 ack 1
        10ms   > . 2:2 ack 2
        100ms  < F 1:1 ack 1
        100ms  > . 2:2 ack 2
        120ms  > F 1:1 ack 2
        160ms  < . 2:2 ack 2
        160ms  state TimeWait
        ",
    );
}
