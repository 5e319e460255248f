//! Opening (RFC 9293 §3.5, §3.10).

use alloc::format;

use crate::testing::Script;

/// RFC 9293 §3.5, figure 6.
#[test]
fn a_client_completes_the_three_way_handshake() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        0ms   state SynSent
        30ms  < S. ack 1 win 5000 mss 100 sackOK
        30ms  > . 1:1 ack 1 win 10000
        30ms  expect Established
        30ms  state Established
        30ms  check srtt 30
        ",
    );
}

/// RFC 9293 §3.5, figure 6, the other side; RFC 6298 §2: the first round-trip time.
#[test]
fn a_server_completes_the_three_way_handshake() {
    Script::accepting().run(
        "
        0ms   < S win 5000 mss 100 sackOK
        0ms   > S. ack 1 win 10000 mss 100 sackOK
        0ms   state SynReceived
        30ms  < . ack 1
        30ms  expect Established
        30ms  check srtt 30
        ",
    );
}

/// RFC 7323 §2.2, §3.2 and RFC 2018 §2: options are used if both SYNs have them, and the window
/// of a SYN is not scaled.
#[test]
fn options_are_offered_and_agreed_on() {
    let script = Script::connecting().timestamps().window_scale().recv_buffer(1_000_000);
    script.run(
        "
        0ms   > S win 65535 mss 100 sackOK wscale 4 ts 0 0
        30ms  < S. ack 1 win 5000 mss 100 sackOK wscale 2 ts 500 0
        30ms  > . 1:1 ack 1 win 1000000 ts 30 500
        31ms  < . ack 1 win 8000 ts 501 30
        31ms  write 88
        31ms  > 1:89 ts 31 501
        ",
    );
}

/// RFC 7323 §2.2, §3.2: what the SYN did not offer, the SYN/ACK does not have.
#[test]
fn a_server_offers_only_what_the_client_did() {
    Script::accepting().timestamps().window_scale().recv_buffer(1_000_000).run(
        "
        0ms   < S win 5000 mss 100
        0ms   > S. ack 1 win 65535 mss 100
        1ms   < . ack 1
        1ms   write 10
        1ms   > 1:11 ack 1 win 65535
        ",
    );
}

/// RFC 6298 §5 and RFC 9293 §3.8.3: the SYN is sent again, ever later, then the attempt fails.
#[test]
fn a_syn_that_nobody_answers_is_sent_again_and_given_up() {
    Script::connecting().config(|c| c.syn_retries = 2).run(
        "
        0ms   > S mss 100 sackOK
        1s    > S mss 100 sackOK
        3s    > S mss 100 sackOK
        6999ms never Closed(TimedOut)
        7s    expect Closed(TimedOut)
        7s    state Closed
        ",
    );
}

/// RFC 9293 §3.8.3, MUST-23: an attempt to connect goes on for three minutes at least.
#[test]
fn an_attempt_to_connect_lasts_three_minutes() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        1s    > S mss 100 sackOK
        3s    > S mss 100 sackOK
        7s    > S mss 100 sackOK
        15s   > S mss 100 sackOK
        31s   > S mss 100 sackOK
        63s   > S mss 100 sackOK
        123s  > S mss 100 sackOK
        180s  state SynSent
        183s  expect Closed(TimedOut)
        ",
    );
}

/// RFC 6298 (5.7): data after a SYN that had to be sent again begins with a timeout of 3 s, and
/// Karn's algorithm takes no sample (§3).
#[test]
fn a_lost_syn_makes_the_first_timeout_longer() {
    Script::connecting().run(
        "
        0ms     > S mss 100 sackOK
        1s      > S mss 100 sackOK
        1010ms  < S. ack 1 win 5000 mss 100 sackOK
        1010ms  > . 1:1 ack 1
        1010ms  check srtt 0
        1010ms  check rto 3000
        ",
    );
}

/// RFC 6928 §2: the first window is one segment after more than one SYN was lost.
#[test]
fn two_lost_syns_leave_a_window_of_one_segment() {
    Script::connecting().run(
        "
        0ms    > S mss 100 sackOK
        1000ms > S mss 100 sackOK
        3000ms > S mss 100 sackOK
        3030ms < S. ack 1 win 5000 mss 100 sackOK
        3030ms > . 1:1 ack 1
        3030ms check cwnd 100
        ",
    );
}

/// RFC 9293 §3.8.1: the SYN/ACK is sent again until it is acknowledged.
#[test]
fn a_syn_ack_is_sent_again() {
    Script::accepting().run(
        "
        0ms     < S mss 100 sackOK
        0ms     > S. ack 1 mss 100 sackOK
        1s      > S. ack 1 mss 100 sackOK
        1020ms  < . ack 1
        1020ms  expect Established
        ",
    );
}

/// RFC 9293 §3.10.7.4: a client whose SYN/ACK was lost repeats its SYN, and gets it again.
#[test]
fn a_repeated_syn_brings_the_syn_ack_again() {
    Script::accepting().run(
        "
        0ms    < S 0:0 mss 100 sackOK
        0ms    > S. ack 1 mss 100 sackOK
        500ms  < S 0:0 mss 100 sackOK
        500ms  > S. ack 1 mss 100 sackOK
        510ms  < . 1:1 ack 1
        510ms  expect Established
        ",
    );
}

/// RFC 9293 §3.10.7.4, fifth: any acceptable acknowledgment completes the handshake.
#[test]
fn data_completes_a_handshake_whose_third_segment_was_lost() {
    Script::accepting().run(
        "
        0ms   < S mss 100 sackOK
        0ms   > S. ack 1 mss 100 sackOK
        40ms  < 1:101 ack 1
        40ms  > . ack 101
        40ms  expect Established
        40ms  read 100
        ",
    );
}

/// RFC 9293 §3.10.7.4, first: a SYN/ACK that comes again is not acceptable, so it is acknowledged.
#[test]
fn a_repeated_syn_ack_is_acknowledged() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        30ms  < S. 0:0 ack 1 mss 100 sackOK
        30ms  > . 1:1 ack 1
        1s    < S. 0:0 ack 1 mss 100 sackOK
        1s    > . 1:1 ack 1
        ",
    );
}

/// RFC 9293 §3.10.7.3: a RST counts only if it acknowledges the SYN.
#[test]
fn a_syn_is_refused_by_a_rst_that_acknowledges_it() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        10ms  < R
        10ms  < R. ack 2
        10ms  state SynSent
        20ms  < R. ack 1
        20ms  expect Closed(Refused)
        ",
    );
}

/// RFC 9293 §3.5.1, figure 10: a peer that holds an old connection answers with an
/// acknowledgment of something never sent. The RST ends its connection, the next SYN succeeds.
#[test]
fn a_half_open_connection_of_the_peer_is_reset() {
    Script::connecting().run(
        "
        0ms     > S mss 100 sackOK
        10ms    < . 300:300 ack 100
        10ms    > R 100:100
        10ms    state SynSent
        1s      > S mss 100 sackOK
        1010ms  < S. 0:0 ack 1 mss 100 sackOK
        1010ms  > . 1:1 ack 1
        1010ms  expect Established
        ",
    );
}

/// RFC 9293 §3.10.7.4, fifth, SYN-RECEIVED: a RST answers, and the handshake goes on.
#[test]
fn a_server_answers_a_wrong_acknowledgment_with_rst_and_waits_on() {
    Script::accepting().run(
        "
        0ms   < S mss 100 sackOK
        0ms   > S. ack 1 mss 100 sackOK
        5ms   < . 1:1 ack 700
        5ms   > R 700:700
        6ms   < . 1:1 ack 0
        6ms   > R 0:0
        9ms   < . 1:1 ack 1
        9ms   expect Established
        ",
    );
}

/// RFC 9293 §3.10.2: what is written before the handshake is complete is sent after it.
#[test]
fn early_writes_wait_for_the_handshake() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        0ms   write 150
        30ms  < S. ack 1 win 5000 mss 100 sackOK
        30ms  > 1:101 ack 1
        70ms  < ack 101
        70ms  > 101:151 ack 1
        ",
    );
}

/// RFC 9293 §3.10.4: closing before anyone answered deletes the flow.
#[test]
fn closing_before_an_answer_just_ends() {
    Script::connecting().run(
        "
        0ms   > S mss 100 sackOK
        5ms   close
        5ms   expect Closed(Aborted)
        ",
    );
}

/// RFC 9293 §3.10.4, SYN-RECEIVED: FIN waits for the handshake.
#[test]
fn a_server_that_closes_early_sends_fin_after_the_handshake() {
    Script::accepting().run(
        "
        0ms   < S mss 100 sackOK
        0ms   > S. ack 1 mss 100 sackOK
        5ms   close
        9ms   < . ack 1
        9ms   > F 1:1 ack 1
        9ms   state FinWait1
        ",
    );
}

/// RFC 9293 §3.7.1: the peer's MSS bounds segments, and without the option it is 536.
#[test]
fn the_peers_mss_is_obeyed() {
    for (option, bytes, first, second) in
        [("mss 300", 600, "1:301", "301:601"), ("", 1072, "1:537", "537:1073")]
    {
        let text = format!(
            "
            0ms   > S mss 1000 sackOK
            30ms  < S. ack 1 win 5000 sackOK {option}
            30ms  > . 1:1 ack 1
            30ms  write {bytes}
            30ms  > {first}
            30ms  > {second}
            "
        );
        Script::connecting().mss(1000).run(&text);
    }
}

/// RFC 9293 §3.4: numbers wrap at 2^32, on both sides and in SACK blocks.
#[test]
fn sequence_numbers_wrap() {
    Script::established().isn(u32::MAX - 150, u32::MAX - 50).run(
        "
        0ms   write 300
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        40ms  < 1:101 ack 101 sack 201:301
        40ms  < 101:201 ack 101 sack 201:301
        40ms  > . ack 201
        50ms  > 101:201 ack 201
        90ms  < 301:401 ack 301
        90ms  > . ack 201 sack 301:401
        91ms  < 201:301
        91ms  > . ack 401
        91ms  check unacknowledged 0
        ",
    );
}
