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

/// RFC 9293 §3.6.1 (MAY-2): a number beyond all that the old connection used.
#[test]
fn it_gives_way_to_a_syn_with_a_higher_number() {
    after_closing(
        "
        5s   gives-way-to S 2:2
        5s   gives-way-to S 90000:90000
        5s   holds-against S 1:1
        5s   holds-against S 4294960000:4294960000
        ",
    );
}

/// RFC 6191 §2: where both have timestamps, theirs decide, and numbers between equals.
#[test]
fn it_gives_way_to_a_syn_with_a_later_timestamp() {
    Script::established().timestamps().run(
        "
        0ms   close
        0ms   > F 1:1
        40ms  < F 1:1 ack 2 ts 1000 0
        40ms  > . 2:2 ack 2
        5s    gives-way-to S 0:0 ts 1001 0
        5s    holds-against S 90000:90000 ts 999 0
        5s    gives-way-to S 90000:90000 ts 1000 0
        5s    holds-against S 0:0 ts 1000 0
        ",
    );
}
