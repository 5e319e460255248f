//! Explicit congestion notification (RFC 3168, RFC 8511).

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::Mss;
use manypath_cc::{Algorithm, Config as CcConfig, NewReno};

use crate::testing::{LinkConfig, Pair, Script, Side, Sides, ms};
use crate::{Config, EcnMode};

fn script() -> Script {
    Script::established().ecn(EcnMode::Ask)
}

/// RFC 3168 §6.1.1: ECN-setup SYN, ECN-setup SYN/ACK; §6.1.5: only data is ECN-capable.
#[test]
fn a_client_asks_and_marks_its_data() {
    Script::connecting().ecn(EcnMode::Ask).run(
        "
        0ms   > SEW mss 100 sackOK
        30ms  < SE. ack 1 win 5000 mss 100 sackOK
        30ms  > . 1:1 ack 1
        30ms  write 150
        30ms  > 1:101 ect0
        70ms  < ack 101
        70ms  > 101:151 ect0
        110ms < ack 151
        110ms close
        110ms > F 151:151
        ",
    );
}

/// RFC 3168 §6.1.1: who is asked may accept.
#[test]
fn a_server_accepts() {
    Script::accepting().run(
        "
        0ms   < SEW mss 100 sackOK
        0ms   > SE. ack 1 mss 100 sackOK
        1s    > SE. ack 1 mss 100 sackOK
        1030ms < . ack 1
        1030ms write 10
        1030ms > 1:11 ect0
        ",
    );
}

/// RFC 3168 §6.1.1: without an ECN-setup SYN there is no ECN-setup SYN/ACK, and one flag alone
/// sets nothing up.
#[test]
fn a_server_is_silent_if_not_asked_or_turned_off() {
    for (mode, syn) in
        [(EcnMode::Ask, "S"), (EcnMode::Ask, "SE"), (EcnMode::Ask, "SW"), (EcnMode::Off, "SEW")]
    {
        let text = alloc::format!(
            "
            0ms   < {syn} mss 100 sackOK
            0ms   > S. ack 1 mss 100 sackOK
            30ms  < . ack 1
            30ms  write 10
            30ms  > 1:11
            40ms  < 1:101 ce
            40ms  > . ack 101
            "
        );
        Script::accepting().ecn(mode).run(&text);
    }
}

/// RFC 3168 §6.1.1.2: a SYN/ACK that reflects both flags is of a host that knows neither.
#[test]
fn a_reflected_syn_agrees_to_nothing() {
    for flags in ["SEW.", "S.", "SW."] {
        let text = alloc::format!(
            "
            0ms   > SEW mss 100 sackOK
            30ms  < {flags} ack 1 win 5000 mss 100 sackOK
            30ms  > . 1:1 ack 1
            30ms  write 10
            30ms  > 1:11
            70ms  < E. ack 11
            70ms  check reductions 0
            "
        );
        Script::connecting().ecn(EcnMode::Ask).run(&text);
    }
}

/// RFC 3168 §6.1.1.1: a SYN that is sent again does not ask, and then nothing is ECN-capable; a
/// mark is echoed still, since the first SYN offered that.
#[test]
fn a_lost_syn_falls_back() {
    Script::connecting().ecn(EcnMode::Ask).run(
        "
        0ms     > SEW mss 100 sackOK
        1s      > S mss 100 sackOK
        1030ms  < SE. ack 1 win 5000 mss 100 sackOK
        1030ms  > . 1:1 ack 1
        1030ms  write 10
        1030ms  > 1:11
        1040ms  < 1:101 ack 11 ce
        1040ms  > E. ack 101
        ",
    );
}

/// RFC 3168 §6.1.1.1, the scenario at its end: the server hears a SYN that asks no more.
#[test]
fn a_server_falls_back_with_the_client() {
    Script::accepting().run(
        "
        0ms     < SEW 0:0 mss 100 sackOK
        0ms     > SE. ack 1 mss 100 sackOK
        900ms   < S 0:0 mss 100 sackOK
        900ms   > S. ack 1 mss 100 sackOK
        930ms   < . 1:1 ack 1
        930ms   write 10
        930ms   > 1:11
        ",
    );
}

/// RFC 3168 §6.1.3: every acknowledgment echoes a mark, until CWR comes; a mark on the packet
/// with CWR is a new one.
#[test]
fn a_mark_is_echoed_until_it_is_answered() {
    script().run(
        "
        0ms   < 1:101 ce
        0ms   > E. ack 101
        5ms   < 101:201 ect0
        5ms   < 201:301 ect0
        5ms   > E. ack 301
        9ms   write 10
        9ms   > E 1:11 ect0
        20ms  < W 301:401 ack 11 ect0
        20ms  < 401:501 ect0
        20ms  > . ack 501
        30ms  < W 501:601 ce
        30ms  > E. ack 601
        30ms  check marks 2
        ",
    );
}

/// RFC 3168 §6.1.5: what lies outside the window is ignored.
#[test]
fn a_mark_outside_the_window_is_ignored() {
    script().run(
        "
        0ms   < 20001:20101 ce
        0ms   > . ack 1
        0ms   check marks 0
        ",
    );
}

/// RFC 3168 §6.1.2: the window is reduced once for a window of data, the first new data says so,
/// and retransmissions are neither ECN-capable nor carry CWR.
#[test]
fn an_echo_reduces_the_window_once_a_round_trip() {
    let reno = NewReno::new(CcConfig { mss: Mss(100), initial_window: 800 });
    script().controller(Box::new(reno)).run(
        "
        0ms   write 1000
        0ms   > 1:101 ect0
        0ms   > 101:201 ect0
        0ms   > 201:301 ect0
        0ms   > 301:401 ect0
        0ms   > 401:501 ect0
        0ms   > 501:601 ect0
        0ms   > 601:701 ect0
        0ms   > 701:801 ect0
        40ms  < E. ack 201
        40ms  check reductions 1
        40ms  check cwnd 400
        41ms  < E. ack 501
        41ms  > W 801:901 ect0
        41ms  check reductions 1
        42ms  < E. ack 801
        42ms  > 901:1001 ect0
        82ms  < E. ack 1001
        82ms  check reductions 2
        ",
    );
}

/// RFC 3168 §6.1.2: a loss in the same window of data is the same congestion; what is sent again
/// is not ECN-capable.
#[test]
fn a_mark_and_a_loss_count_once() {
    let reno = NewReno::new(CcConfig { mss: Mss(100), initial_window: 800 });
    script().controller(Box::new(reno)).run(
        "
        0ms   write 600
        0ms   > 1:101 ect0
        0ms   > 101:201 ect0    // lost
        0ms   > 201:301 ect0
        0ms   > 301:401 ect0
        0ms   > 401:501 ect0
        0ms   > 501:601 ect0
        40ms  < E. ack 101
        40ms  check ssthresh 300
        41ms  < E. ack 101 sack 201:601
        41ms  > 101:201
        41ms  check ssthresh 300
        81ms  < ack 601
        ",
    );
}

/// RFC 3168 §6.1.2: CWR after any reduction, here for a loss.
#[test]
fn a_loss_sets_cwr_too() {
    script().cwnd(500).run(
        "
        0ms   write 600
        0ms   > 1:101 ect0      // lost
        0ms   > 101:201 ect0
        0ms   > 201:301 ect0
        0ms   > 301:401 ect0
        0ms   > 401:501 ect0
        40ms  < ack 1 sack 101:501
        40ms  > 1:101
        40ms  > W 501:601 ect0
        80ms  < ack 601
        ",
    );
}

/// RFC 3168 §6.1.6: neither ECT nor CWR on a window probe.
#[test]
fn probes_are_not_ecn_capable() {
    script().window(100).run(
        "
        0ms    write 300
        0ms    > 1:101 ect0
        40ms   < ack 101 win 20
        240ms  > 101:121
        280ms  < ack 121 win 0
        680ms  > . 120:120
        ",
    );
}

/// Where the queue marks, nothing is lost and the path is full all the same, under controllers that
/// fill queues.
#[test]
fn a_marking_queue_loses_nothing() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Lia] {
        let link = LinkConfig { mark: Some(30_000), ..LinkConfig::clean(20, ms(10)) };
        let link = LinkConfig { queue: 1 << 20, ..link };
        let config = Config { ecn: EcnMode::Ask, ..Config::default() };
        let mut pair = Pair::new(1, Sides { algorithm, config, ..Sides::over(link) });
        pair.write(Side::Client, 1 << 30);
        pair.run_for(Duration::from_secs(10));
        let counters = pair.flow(Side::Client).counters();
        assert_eq!(counters.bytes_retransmitted, 0, "{algorithm}");
        assert!(counters.ecn_reductions > 3, "{algorithm}: {counters:?}");
        let carried = pair.received(Side::Server) * 8 / 10_000_000;
        assert!(carried >= 17, "{algorithm}: {carried} of 20 Mb/s");
    }
}
