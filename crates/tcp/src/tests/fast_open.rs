//! TCP Fast Open (RFC 7413).

use manypath_base::Mss;

use crate::testing::Script;
use crate::{Cookie, FastOpen};

fn cookie() -> Cookie {
    Cookie::from_slice(&[1, 2, 3, 4, 5, 6, 7, 8])
}

/// A client with a cookie and so many bytes to send early.
fn client(early: usize) -> Script {
    let fast_open = FastOpen::Use { cookie: cookie(), peer_mss: Some(Mss(1000)) };
    Script::connecting().mss(1000).fast_open(fast_open, early)
}

/// RFC 7413 §4.1.2: asking for a cookie; data waits.
#[test]
fn a_client_asks_for_a_cookie() {
    Script::connecting().fast_open(FastOpen::Ask, 50).run(
        "
        0ms   > S mss 100 sackOK fo -
        30ms  < S. ack 1 win 5000 mss 100 sackOK fo 0a0b0c0d
        30ms  > P 1:51 ack 1
        30ms  expect FastOpenAnswered
        30ms  answer 0 0 0a0b0c0d
        70ms  < ack 51
        ",
    );
}

/// RFC 7413 §4.2.1: data rides on the SYN and is acknowledged with it.
#[test]
fn data_rides_on_the_syn() {
    client(300).run(
        "
        0ms   > S 0:300 mss 1000 sackOK fo 0102030405060708
        30ms  < S. ack 301 win 5000 mss 1000 sackOK
        30ms  > . 301:301 ack 1
        30ms  expect Acknowledged
        30ms  answer 300 300
        30ms  check unacknowledged 0
        31ms  write 100
        31ms  > 301:401
        ",
    );
}

/// RFC 7413 §4.2.1: no more than fits one packet beside the options, and what the server does not
/// take goes again, at once.
#[test]
fn what_is_not_acknowledged_goes_again() {
    for (ack, first) in [(1, "1:1001"), (401, "401:1401")] {
        let text = alloc::format!(
            "
            0ms   > S 0:980 mss 1000 sackOK fo 0102030405060708
            30ms  < S. ack {ack} win 5000 mss 1000 sackOK
            30ms  > {first} ack 1
            30ms  check unacknowledged {}
            ",
            2000 - ack + 1
        );
        // 20 bytes of options: MSS, SACK permitted, cookie.
        let text = text + if ack == 1 { "30ms > 1001:2001" } else { "30ms > P 1401:2001" };
        client(2000).nagle(false).run(&text);
    }
}

/// RFC 7413 §4.2.1: the SYN is sent again without data and cookie; the answer to the first one
/// still counts.
#[test]
fn a_lost_syn_falls_back() {
    client(300).run(
        "
        0ms     > S 0:300 mss 1000 sackOK fo 0102030405060708
        1s      > S mss 1000 sackOK
        1030ms  < S. ack 301 win 5000 mss 1000 sackOK
        1030ms  > . 301:301 ack 1
        1030ms  check unacknowledged 0
        ",
    );
}

/// RFC 9293 §3.10.7.3: beyond what the SYN carried nothing can be acknowledged.
#[test]
fn an_acknowledgment_beyond_the_data_is_refused() {
    client(300).run(
        "
        0ms   > S 0:300 mss 1000 sackOK fo 0102030405060708
        30ms  < S. ack 302 win 5000 mss 1000 sackOK
        30ms  > R 302:302
        30ms  state SynSent
        ",
    );
}

/// RFC 7413 §4.1.3: without a cached MSS the default counts.
#[test]
fn without_an_mss_the_default_counts() {
    let fast_open = FastOpen::Use { cookie: cookie(), peer_mss: None };
    Script::connecting().mss(1000).fast_open(fast_open, 2000).run(
        "
        0ms   > S 0:516 mss 1000 sackOK fo 0102030405060708
        ",
    );
}

/// RFC 7413 §4.2.2: the server takes the data, and answers before the third segment.
#[test]
fn a_server_takes_data_and_answers_early() {
    Script::accepting().trusting().fast_open(FastOpen::Off, 0).run(
        "
        0ms   < S 0:100 win 5000 mss 100 sackOK fo 0102030405060708
        0ms   > S. ack 101 mss 100 sackOK
        0ms   expect Received
        0ms   read 100
        1ms   write 150
        1ms   > 1:101 ack 101
        1ms   state SynReceived
        40ms  < . ack 101
        40ms  expect Established
        40ms  > P 101:151 ack 101
        80ms  < ack 151
        ",
    );
}

/// RFC 7413 §4.2.2: data of both sides survives the loss of the SYN/ACK.
#[test]
fn a_lost_syn_ack_is_sent_again_beside_early_data() {
    Script::accepting().trusting().run(
        "
        0ms     < S 0:100 win 5000 mss 100 sackOK fo 0102030405060708
        0ms     > S. ack 101 mss 100 sackOK
        1ms     write 50
        1ms     > P 1:51 ack 101
        1s      > S. ack 101 mss 100 sackOK
        1s      < S 0:0 mss 100 sackOK
        1s      > S. ack 101 mss 100 sackOK
        1001ms  > P 1:51 ack 101
        1040ms  < . 101:101 ack 51
        1040ms  expect Established
        1040ms  check unacknowledged 0
        ",
    );
}

/// FIN waits for the handshake, early data or not.
#[test]
fn an_early_close_waits_for_the_handshake() {
    Script::accepting().trusting().run(
        "
        0ms   < S 0:100 win 5000 mss 100 sackOK fo 0102030405060708
        0ms   > S. ack 101 mss 100 sackOK
        1ms   write 100
        1ms   > P 1:101 ack 101
        2ms   close
        40ms  < . ack 101
        40ms  > F 101:101 ack 101
        40ms  state FinWait1
        ",
    );
}

/// RFC 7413 §4.1.2: a server hands a cookie out; without a valid one only the SYN is acknowledged.
#[test]
fn a_server_grants_a_cookie() {
    Script::accepting().fast_open(FastOpen::Grant(cookie()), 0).run(
        "
        0ms   < S 0:100 win 5000 mss 100 sackOK fo -
        0ms   > S. ack 1 mss 100 sackOK fo 0102030405060708
        1ms   write 50          // waits
        30ms  < 1:101 ack 1
        30ms  > P 1:51 ack 101
        ",
    );
}

/// RFC 9293 §3.10.7.3: text in a SYN/ACK is taken.
#[test]
fn text_of_a_syn_ack_is_taken() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        30ms  < SF. 0:50 ack 1 win 5000 mss 100 sackOK
        30ms  > . 1:1 ack 52
        30ms  read 50
        30ms  state CloseWait
        ",
    );
}
