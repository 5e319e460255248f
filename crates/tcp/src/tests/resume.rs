//! SYN cookies (RFC 4987 §3.6): a flow from the third segment of its handshake.

use crate::testing::Script;

#[test]
fn the_acknowledgment_of_a_cookie_makes_a_flow() {
    Script::resuming().run(
        "
        0ms   < . 1:1 ack 1 win 250
        0ms   expect Established
        0ms   state Established
        0ms   write 300
        0ms   > 1:101 ack 1
        0ms   > 101:201
        40ms  < ack 201 win 250
        40ms  > 201:301
        ",
    );
}

/// RFC 9293 §3.10.7.4: the third segment may carry data, and be lost but for that.
#[test]
fn data_with_the_acknowledgment_is_taken() {
    Script::resuming().run(
        "
        0ms   < F 1:51 ack 1
        0ms   > . ack 52
        0ms   read 50
        0ms   state CloseWait
        ",
    );
}

/// What the cookie tells of options counts: the window is scaled, timestamps are sent and
/// checked, and blocks are reported.
#[test]
fn options_are_those_of_the_cookie() {
    let script = Script::resuming().mss(112).timestamps().window_scale().recv_buffer(1_000_000);
    script.run(
        "
        0ms   < . 1:1 ack 1 win 60 ts 500 0
        0ms   write 240
        0ms   > 1:101 ack 1 win 1000000 ts 0 500
        0ms   > 101:201
        1ms   < 101:201 ack 1 win 240 ts 501 0
        1ms   > . ack 1 sack 101:201 ts 1 500
        2ms   < 1:101 ts 400 0
        2ms   > . ack 1 sack 101:201
        2ms   check paws 1
        ",
    );
}

/// Only what the SYN/ACK could have brought about: its number, and no more.
#[test]
fn a_wrong_acknowledgment_makes_nothing() {
    for line in ["< . 1:1 ack 2", "< . 1:1 ack 0", "< R 1:1 ack 1", "< S 1:1 ack 1"] {
        Script::resuming().run(&alloc::format!("0ms {line}\n0ms expect Closed(Refused)"));
    }
}
