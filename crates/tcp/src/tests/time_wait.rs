//! TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4).

use crate::testing::Script;

const CLOSED: &str = "
        0ms   close
        0ms   > F 1:1
        40ms  < F 1:1 ack 2
        40ms  > . 2:2 ack 2
        40ms  state TimeWait
";

fn after_closing(text: &str) {
    Script::established().run(&[CLOSED, text].concat());
}

/// RFC 9293 §3.10.7.4, eighth: the acknowledgment of a FIN that comes again, and 2 MSL anew.
#[test]
fn a_repeated_fin_is_answered_and_restarts_the_wait() {
    after_closing(
        "
        30s       < F 1:1
        30s       > . 2:2 ack 2
        60040ms   state TimeWait
        90s       expect Closed(Finished)
        ",
    );
}

/// RFC 9293 §3.10.7.4, second: CLOSED, and nothing was lost by it.
#[test]
fn a_rst_ends_the_wait_in_good_order() {
    after_closing(
        "
        5s   < R 2:2
        5s   expect Closed(Finished)
        ",
    );
}

/// RFC 5961 §4.2: a SYN in the window, even of a new connection, is challenged.
#[test]
fn a_syn_is_challenged() {
    after_closing(
        "
        5s   < S 900:900
        5s   > . 2:2 ack 2
        5s   state TimeWait
        ",
    );
}

/// RFC 9293 §3.10.5: nobody needs to be told.
#[test]
fn aborting_sends_nothing() {
    after_closing(
        "
        5s   abort
        5s   expect Closed(Aborted)
        ",
    );
}

/// RFC 6191 §2, RFC 9293 §3.6.1: without timestamps the sequence number decides.
#[test]
fn a_later_sequence_number_may_take_over() {
    after_closing(
        "
        5s   replaceable S 2:2
        5s   replaceable S 900:900
        5s   irreplaceable S 1:1
        5s   irreplaceable S 0:0
        5s   irreplaceable S. 900:900
        5s   irreplaceable SR 900:900
        5s   irreplaceable . 900:900
        ",
    );
}

/// RFC 6191 §2: with timestamps they decide, and the sequence number where they are equal; a
/// connection without them must have a later sequence number.
#[test]
fn a_later_timestamp_may_take_over() {
    Script::established().timestamps().run(
        "
        0ms   close
        0ms   > F 1:1
        40ms  < F 1:1 ack 2 ts 500 0
        40ms  > . 2:2 ack 2
        5s    replaceable S 0:0 ts 501 0
        5s    irreplaceable S 900:900 ts 499 0
        5s    replaceable S 900:900 ts 500 0
        5s    irreplaceable S 0:0 ts 500 0
        5s    replaceable S 900:900
        5s    irreplaceable S 0:0
        ",
    );
}

/// Only TIME-WAIT can be taken over.
#[test]
fn a_living_flow_is_not_replaced() {
    Script::established().run("0ms irreplaceable S 900:900");
}
