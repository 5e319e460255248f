//! How well a flow uses a path. Virtual time: the same numbers on every machine.

use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::Rate;
use manypath_cc::Algorithm;

use crate::Event;
use crate::testing::{LinkConfig, Pair, Side, Sides, ms};

/// Payload that a rate can carry in `time`, in bytes: packets of 1448 in 1500.
fn ceiling(rate: Rate, time: Duration) -> u64 {
    rate.bytes_in(time) * 1448 / 1500
}

/// Goodput of ten seconds in thousandths of the ceiling.
fn utilisation(link: LinkConfig, algorithm: Algorithm) -> u64 {
    let mut pair = Pair::new(1, Sides { algorithm, ..Sides::over(link) });
    let time = Duration::from_secs(10);
    pair.write(Side::Client, 1 << 30);
    pair.run_for(time);
    let rate = link.rate.expect("the link has a rate");
    pair.received(Side::Server) * 1_000 / ceiling(rate, time)
}

#[test]
fn a_path_with_a_queue_of_one_bdp_is_full() {
    for algorithm in Algorithm::ALL {
        for (mbps, delay, least) in [(20, 10, 950), (10, 40, 930)] {
            let got = utilisation(LinkConfig::clean(mbps, ms(delay)), algorithm);
            assert!(got >= least, "{algorithm} at {mbps} Mb/s, {delay} ms: {got}/1000");
        }
    }
}

/// The window of CUBIC at loss rate p is at least that of its Reno-friendly bound, which is that
/// of a Reno: sqrt(1.5 / p) segments (RFC 9438 §4.3, Mathis et al.), here 17.3: 5.0 Mb/s at 40 ms.
/// What the theory leaves out, that a window of losses costs recovery time, is a tenth.
#[test]
fn random_loss_costs_no_more_than_theory_says() {
    let link = LinkConfig { loss: 50, ..LinkConfig::clean(20, ms(20)) };
    for seed in 0..5 {
        let mut pair = Pair::new(seed, Sides::over(link));
        let time = Duration::from_secs(30);
        pair.write(Side::Client, 1 << 30);
        pair.run_for(time);
        let segments = pair.received(Side::Server) / 1448;
        let round_trips = 30_000 / 40;
        let expected = round_trips * 173 / 10 * 9 / 10;
        assert!(segments >= expected, "seed {seed}: {segments} of {expected} segments");
        assert_eq!(pair.flow(Side::Client).counters().timeouts, 0, "seed {seed}");
    }
}

#[test]
fn a_path_that_was_cut_is_reported_and_resumes_soon() {
    for seed in 0..10 {
        let mut pair = Pair::new(seed, Sides::over(LinkConfig::clean(20, ms(10))));
        pair.run_for(ms(200));
        pair.flow_mut(Side::Client).set_max_rto(Duration::from_secs(1));
        pair.write(Side::Client, 1 << 30);
        pair.run_for(ms(2_000 + 37 * seed));
        let cut_at = pair.now();
        pair.cut(true);
        pair.run_for(ms(3_000));
        let info = pair.flow(Side::Client).paths().next().expect("a flow has a path");
        let suspect = |e: &Event| matches!(e, Event::PathSuspect(_));
        let noticed = pair.events.iter().find(|(at, _, e)| *at > cut_at && suspect(e));
        let (at, ..) = noticed.expect("it was noticed");
        // The last acknowledgments arrive within one round trip of the cut.
        let bound = info.srtt * 2 + info.rtt_var * 4 + ms(50);
        assert!(at.since(cut_at) <= bound, "seed {seed}: {:?} > {bound:?}", at.since(cut_at));
        let before = pair.received(Side::Server);
        pair.cut(false);
        assert!(pair.run_until(ms(1_500), |p| p.received(Side::Server) > before), "seed {seed}");
        pair.run_for(ms(3_000));
        let got = pair.received(Side::Server) - before;
        let full = ceiling(Rate::from_bits_per_sec(20_000_000), ms(3_000));
        assert!(got * 10 >= full * 6, "seed {seed}: {got} of {full}");
    }
}

#[test]
fn a_steady_transfer_is_never_suspected() {
    for algorithm in Algorithm::ALL {
        for (mbps, delay) in [(20, 10), (10, 40), (1, 5), (100, 1)] {
            let link = LinkConfig::clean(mbps, ms(delay));
            let mut pair = Pair::new(3, Sides { algorithm, ..Sides::over(link) });
            pair.write(Side::Client, 1 << 30);
            pair.run_for(Duration::from_secs(10));
            let suspected: Vec<_> = pair
                .events
                .iter()
                .filter(|(_, _, e)| matches!(e, Event::PathSuspect(_) | Event::PathFailed(_)))
                .collect();
            assert!(suspected.is_empty(), "{algorithm}, {mbps} Mb/s, {delay} ms: {suspected:?}");
        }
    }
}

/// Reordering by less than a quarter of the round trip is not taken for loss for long: the
/// adaptive window of RFC 8985 §6.2 ends the needless retransmissions.
#[test]
fn mild_reordering_costs_little() {
    let clean = LinkConfig::clean(20, ms(20));
    let link = LinkConfig { reorder: 500, jitter: ms(4), ..clean };
    let mut pair = Pair::new(1, Sides::over(link));
    pair.write(Side::Client, 1 << 30);
    pair.run_for(Duration::from_secs(10));
    let counters = pair.flow(Side::Client).counters();
    let resent = counters.bytes_retransmitted * 1_000 / counters.bytes_sent;
    assert!(resent < 10, "{resent}/1000 of the bytes were sent again");
    let rate = link.rate.expect("the link has a rate");
    let full = ceiling(rate, Duration::from_secs(10));
    assert!(pair.received(Side::Server) * 10 >= full * 9, "{}", pair.received(Side::Server));
}
/// Without SACK a window of losses would cost a round trip for each: the timer ends that (RFC 6582
/// §4, the impatient variant).
#[test]
fn without_sack_a_burst_of_losses_is_survived() {
    for (mbps, delay) in [(10, 40), (100, 20)] {
        let link = LinkConfig::clean(mbps, ms(delay));
        let mut sides = Sides { algorithm: Algorithm::NewReno, ..Sides::over(link) };
        sides.config.sack = false;
        let mut pair = Pair::new(1, sides);
        let time = Duration::from_secs(10);
        pair.write(Side::Client, 1 << 30);
        pair.run_for(time);
        let full = ceiling(Rate::from_bits_per_sec(mbps * 1_000_000), time);
        let got = pair.received(Side::Server) * 1_000 / full;
        assert!(got >= 800, "{mbps} Mb/s, {delay} ms: {got}/1000");
    }
}
