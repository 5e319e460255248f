//! Holding back partial segments, and changing one's mind.

use crate::testing::Script;

/// Full segments go, the rest waits for more, for 200 ms at most.
#[test]
fn a_corked_flow_sends_full_segments() {
    Script::established().run(
        "
        0ms   cork on
        0ms   write 150
        0ms   > 1:101
        40ms  < ack 101
        200ms > P 101:151
        240ms < ack 151
        250ms write 60
        260ms write 60
        260ms > 151:251
        300ms < ack 251
        ",
    );
}

#[test]
fn uncorking_sends_what_waits() {
    Script::established().run(
        "
        0ms   cork on
        0ms   write 50
        10ms  write 20
        50ms  cork off
        50ms  > P 1:71
        ",
    );
}

/// FIN follows at once: nothing more will come.
#[test]
fn closing_uncorks() {
    Script::established().run(
        "
        0ms   cork on
        0ms   write 50
        50ms  close
        50ms  > F 1:51
        ",
    );
}

/// A write that says that more follows waits for the one that does not.
#[test]
fn a_hint_joins_writes() {
    Script::established().nagle(false).run(
        "
        0ms   write-more 10
        1ms   write-more 20
        2ms   write 30
        2ms   > P 1:61
        42ms  < ack 61
        43ms  write-more 10
        243ms > P 61:71         // nothing followed
        ",
    );
}

/// MUST-17 of RFC 9293 §3.7.4, at any time.
#[test]
fn nagle_can_be_turned_off_while_data_waits() {
    Script::established().run(
        "
        0ms   write 10
        0ms   > 1:11
        1ms   write 10
        2ms   nodelay on
        2ms   > 11:21
        ",
    );
}
