//! A sign of life on request (RFC 9293 §3.8.4).

use crate::testing::Script;

/// The segment stands before what is not acknowledged, so that a peer must answer it; it is asked
/// once for each request, and silence does nothing.
#[test]
fn a_peer_is_asked_once_for_each_request() {
    Script::established().run(
        "
        0ms     write 100
        0ms     > 1:101
        10ms    ask-alive
        10ms    > . 0:0 ack 1
        40ms    < ack 101
        1000ms  ask-alive
        1000ms  > . 100:100 ack 1
        90s     state Established
        ",
    );
}

/// What the peer does not read takes no delayed acknowledgment along.
#[test]
fn an_acknowledgment_that_is_due_still_goes_out() {
    Script::established().run(
        "
        0ms     < 1:101
        10ms    ask-alive
        10ms    > . 0:0 ack 101
        40ms    > . 1:1 ack 101
        ",
    );
}
