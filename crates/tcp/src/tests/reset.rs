//! RST (RFC 9293 §3.5.2, §3.10; RFC 5961 §3).

use crate::testing::Script;

/// RFC 5961 §3.2: exactly at RCV.NXT.
#[test]
fn a_rst_at_rcv_nxt_ends_the_flow() {
    Script::established().run(
        "
        0ms   < 1:101
        5ms   < R 101:101
        5ms   expect Closed(Reset(None))
        ",
    );
}

/// RFC 9293 §3.5.3, SHLD-2: a RST may carry data, which means nothing.
#[test]
fn a_rst_may_carry_data() {
    Script::established().run(
        "
        0ms   < R 1:51
        0ms   expect Closed(Reset(None))
        0ms   check readable 0
        ",
    );
}

/// RFC 5961 §3.2: elsewhere in the window it is challenged; outside it is dropped silently.
#[test]
fn a_rst_elsewhere_does_not() {
    Script::established().run(
        "
        0ms   < R 2:2
        0ms   > . 1:1 ack 1
        0ms   check challenges 1
        1s    < R 20000:20000
        1s    < R 0:0
        1s    state Established
        ",
    );
}

/// RFC 9293 §3.10.7.4, first: with a closed window a RST at RCV.NXT is acceptable still.
#[test]
fn a_rst_counts_with_a_closed_window() {
    Script::established().recv_buffer(100).run(
        "
        0ms   < 1:51
        0ms   < 51:101
        0ms   > . ack 101 win 0
        5ms   < R 101:101
        5ms   expect Closed(Reset(None))
        ",
    );
}

/// RFC 9293 §3.10.5: the RST of an abort stands at SND.NXT, where the peer believes it.
#[test]
fn an_abort_sends_rst() {
    Script::established().run(
        "
        0ms   write 100
        0ms   > 1:101
        5ms   abort
        5ms   > R. 101:101 ack 1
        5ms   expect Closed(Aborted)
        9ms   < ack 101
        ",
    );
}

/// RFC 9293 §3.10.7.4, second, SYN-RECEIVED: the attempt was refused.
#[test]
fn a_rst_in_the_handshake_refuses_it() {
    Script::accepting().run(
        "
        0ms   < S mss 100 sackOK
        0ms   > S. ack 1 mss 100 sackOK
        5ms   < R 1:1
        5ms   expect Closed(Refused)
        ",
    );
}
