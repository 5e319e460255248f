//! Urgent data (RFC 9293 §3.8.5, RFC 6093): delivered in line, like any other, and never sent.

use crate::testing::Script;

/// RFC 6093 §6: in line; the urgent pointer takes nothing out and changes no order.
#[test]
fn urgent_data_stays_in_line() {
    Script::established().run(
        "
        0ms   < U 1:101
        1ms   < U 201:301
        1ms   > . ack 101 sack 201:301
        2ms   < 101:201
        2ms   > . ack 301
        2ms   read 100
        2ms   read 100
        2ms   read 100
        2ms   check readable 0
        ",
    );
}

/// MUST-66: an acknowledgment with URG is read although the window is closed.
#[test]
fn a_closed_window_takes_the_acknowledgment_beside_urg() {
    Script::established().recv_buffer(100).run(
        "
        0ms   write 100
        0ms   > 1:101
        9ms   < 1:51
        9ms   < 51:101
        9ms   > . ack 101 win 0
        40ms  < U 101:102 ack 101
        40ms  > . ack 101 win 0
        40ms  check unacknowledged 0
        40ms  check readable 100
        ",
    );
}
