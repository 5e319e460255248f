//! Windows (RFC 9293 §3.8.6).

use crate::testing::Script;

/// RFC 9293 §3.8.6.2.1: the peer's window bounds what is in flight, and a piece too small is not
/// sent into what is left of it.
#[test]
fn the_peers_window_is_obeyed() {
    Script::established().window(250).run(
        "
        0ms   write 500
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 201 win 250
        40ms  > 201:301
        40ms  > 301:401
        80ms  < ack 401
        80ms  > 401:501
        ",
    );
}

/// RFC 9293 §3.8.6.2.1 (4): a window that stays small is used after a time.
#[test]
fn a_small_window_is_used_in_the_end() {
    Script::established().window(150).run(
        "
        0ms   write 300
        0ms   > 1:101
        40ms  < ack 101 win 50
        240ms > 101:151
        280ms < ack 151 win 50
        480ms > 151:201
        480ms check timeouts 0
        ",
    );
}

/// RFC 9293 §3.8.6.2.1 (3): half of the largest window is worth a segment.
#[test]
fn half_of_a_tiny_window_is_worth_sending() {
    Script::established().window(60).run(
        "
        0ms   write 100
        0ms   > 1:61
        40ms  < ack 61 win 30
        40ms  > 61:91
        ",
    );
}

/// RFC 9293 §3.8.6: a window taken back stops new data; what is out is repeated.
#[test]
fn a_window_taken_back_stops_new_data() {
    Script::established().cwnd(200).run(
        "
        0ms   write 400
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 101 win 50
        160ms > 101:201
        200ms < ack 201 win 1000
        200ms > 201:301
        200ms > 301:401
        ",
    );
}

/// RFC 9293 §3.10.7.4: an older segment does not set the window.
#[test]
fn the_window_of_an_older_segment_is_ignored() {
    Script::established().run(
        "
        0ms   < 101:201 ack 1 win 5000
        0ms   > . ack 1 sack 101:201
        1ms   < 1:101 ack 1 win 0
        1ms   > . ack 201
        2ms   write 100
        2ms   > 1:101
        ",
    );
}

/// RFC 9293 §3.8.6.2.2: what was not read closes the window; reading opens it by whole segments.
#[test]
fn reading_opens_the_window_by_whole_segments() {
    Script::established().recv_buffer(300).run(
        "
        0ms   < 1:51
        0ms   < 51:101
        0ms   > . ack 101 win 200
        0ms   < 101:201
        0ms   < 201:301
        0ms   > . ack 301 win 0
        5ms   read 50           // not worth telling
        6ms   read 50
        6ms   > . ack 301 win 100
        7ms   read 100
        7ms   > . ack 301 win 200
        8ms   read 100          // less than twice what the peer knows
        ",
    );
}

/// RFC 9293 §3.10.7.4, first: what lies beyond the window is cut off.
#[test]
fn data_beyond_the_window_is_cut_off() {
    Script::established().recv_buffer(150).run(
        "
        0ms   < F 1:201
        0ms   > . ack 151 win 0
        0ms   state Established
        0ms   read 150
        0ms   > . ack 151 win 150
        1ms   < F 151:201
        1ms   > . ack 202
        1ms   state CloseWait
        ",
    );
}

/// RFC 5681 §4.1: after a pause longer than the timeout the window is the initial one again.
#[test]
fn an_idle_window_is_not_trusted() {
    let controller = manypath_cc::NewReno::new(manypath_cc::Config {
        mss: manypath_base::Mss(100),
        initial_window: 200,
    });
    Script::established().controller(alloc::boxed::Box::new(controller)).run(
        "
        0ms    write 400
        0ms    > 1:101
        0ms    > 101:201
        40ms   < ack 201
        40ms   > 201:301
        40ms   > 301:401
        80ms   < ack 401
        80ms   check cwnd 600
        1000ms write 600
        1000ms check cwnd 200
        1000ms > 401:501
        1000ms > 501:601
        ",
    );
}

/// A peer that has filled the window and lost a segment acknowledges from the right edge itself.
/// RFC 9293 §3.10.7.4 taken to the letter would drop that, and both sides could wait for ever for
/// the other's acknowledgment.
#[test]
fn an_acknowledgment_at_the_right_edge_counts() {
    Script::established().recv_buffer(300).run(
        "
        0ms   write 100
        0ms   > 1:101
        10ms  < 101:201         // 1:101 is lost
        10ms  > . ack 1 sack 101:201
        10ms  < 201:301
        10ms  > . ack 1 sack 101:301
        40ms  < . 301:301 ack 101
        40ms  check unacknowledged 0
        41ms  < . 302:302 ack 101
        41ms  > . ack 1 sack 101:301
        ",
    );
}
