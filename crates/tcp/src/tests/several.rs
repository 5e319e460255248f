//! A flow over several paths to a peer that knows of one: nothing is lost, the paths pool, a dead
//! one is left, and what is forged changes nothing.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{Mss, PathId, Rate, Rng};
use manypath_cc::Algorithm;

use crate::testing::{LinkConfig, Pair, Side, Sides, ms};
use crate::{Barred, Config, EcnMode, Event};

const FIRST: PathId = PathId(0);
const SECOND: PathId = PathId(1);

/// The scenario of the facts page: 20 Mb/s and 10 ms, 10 Mb/s and 40 ms, one way.
fn fast() -> LinkConfig {
    LinkConfig::clean(20, ms(10))
}

fn slow() -> LinkConfig {
    LinkConfig::clean(10, ms(40))
}

fn sides(link: LinkConfig) -> Sides {
    Sides { algorithm: Algorithm::Lia, ..Sides::over(link) }
}

/// A pair that has a further path of the client.
fn pair(seed: u64, first: LinkConfig, second: LinkConfig, config: Config) -> Pair {
    let mut pair = Pair::new(seed, Sides { config, ..sides(first) });
    assert!(pair.transfer(10_000, ms(1_000)).intact);
    pair.add_path(seed, second, Algorithm::Lia);
    pair
}

/// Mb/s of payload, once it has settled.
fn goodput(pair: &mut Pair, time: Duration) -> u64 {
    pair.write(Side::Client, 1 << 30);
    pair.run_for(Duration::from_secs(5));
    let before = pair.received(Side::Server);
    pair.run_for(time);
    let bytes = pair.received(Side::Server) - before;
    Rate::from_transfer(bytes, time).bits_per_sec() / 10_000
}

fn has(pair: &Pair, wanted: impl Fn(&Event) -> bool) -> bool {
    pair.events.iter().any(|(_, side, event)| *side == Side::Client && wanted(event))
}

#[test]
fn two_paths_carry_together_what_each_could_alone() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    let got = goodput(&mut pair, Duration::from_secs(20));
    assert!(has(&pair, |e| *e == Event::PathProven(SECOND)), "{:?}", pair.events);
    // Of 28.96 Mb/s.
    assert!(got >= 2_750, "{got}: {:#?}", pair.flow(Side::Client).paths().collect::<Vec<_>>());
}

/// Whatever overtakes on another path is no loss, and each path has its own round-trip time.
#[test]
fn paths_are_judged_each_by_itself() {
    let ample = |link| LinkConfig { queue: 1 << 20, ..link };
    let mut pair = pair(1, ample(fast()), ample(slow()), Config::default());
    assert!(pair.transfer(500_000, Duration::from_secs(5)).intact);
    let paths: Vec<_> = pair.flow(Side::Client).paths().collect();
    assert!(paths.iter().all(|p| p.sent > 20_000 && p.lost == 0), "{paths:?}");
    assert!(paths[0].min_rtt < ms(25) && paths[1].min_rtt >= ms(50), "{paths:?}");
}

/// What is under way on the first path is repeated on the second, which may be faster: it is proven a
/// round trip after the first data, and no delivery of the first path is taken for another's.
#[test]
fn a_path_is_proven_before_anything_is_acknowledged() {
    for (first, second) in [(fast(), slow()), (slow(), fast()), (fast(), fast())] {
        let mut pair = Pair::new(1, sides(first));
        pair.run_for(ms(200));
        pair.add_path(1, second, Algorithm::Lia);
        pair.write(Side::Client, 1 << 20);
        let back = first.delay;
        // The first flight is on its way once more before the ping.
        pair.run_for(second.delay + back + ms(20));
        assert!(has(&pair, |e| *e == Event::PathProven(SECOND)), "{:?}", pair.events);
        assert!(pair.run_until(Duration::from_secs(5), |p| p.received(Side::Server) >= 1 << 20));
        let rtts: Vec<_> = pair.flow(Side::Client).paths().map(|p| p.min_rtt).collect();
        assert!(rtts[0] >= first.delay + back && rtts[1] >= second.delay + back, "{rtts:?}");
        assert_eq!(pair.flow(Side::Client).counters().pings_sent, 1);
    }
}

/// A loss on a path of which nothing is known would cost more than it can gain.
#[test]
fn a_short_transfer_keeps_to_one_path() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    assert!(pair.transfer(50_000, Duration::from_secs(5)).intact);
    assert!(has(&pair, |e| *e == Event::PathProven(SECOND)), "{:?}", pair.events);
    assert_eq!(pair.flow(Side::Client).paths().nth(1).map(|p| p.sent), Some(0));
}

/// How long a transfer is shows in the queue: the second path begins as soon as it is proven.
#[test]
fn a_long_transfer_does_not_wait_for_its_slow_first_path() {
    let (slow, fast) = (LinkConfig::clean(2, ms(10)), LinkConfig::clean(80, ms(10)));
    let mut pair = pair(1, slow, fast, Config::default());
    // The first 128 KB alone would take the first path half a second.
    assert!(pair.transfer(1 << 20, ms(450)).intact);
}

/// What the first path was told of a mark before there was a second: the peer echoes it until it hears
/// of a reduction (RFC 3168 §6.1.3), whatever path that goes by.
#[test]
fn a_mark_from_before_the_second_path_is_answered() {
    let config = Config { ecn: EcnMode::Ask, ..Config::default() };
    let first = LinkConfig { mark: Some(15_000), ..fast() };
    let mut pair = Pair::new(1, Sides { config, ..sides(first) });
    pair.write(Side::Client, 1 << 30);
    pair.run_for(ms(75));
    pair.add_path(1, slow(), Algorithm::Lia);
    pair.run_for(Duration::from_secs(4));
    let reductions = pair.flow(Side::Client).counters().ecn_reductions;
    assert!((1..=8).contains(&reductions), "{reductions}");
    assert!(pair.received(Side::Server) >= 10_000_000, "{}", pair.received(Side::Server));
}

#[test]
fn a_receiver_with_little_buffer_is_not_harmed() {
    let buffer = |bytes| Config { recv_buffer: bytes, recv_buffer_max: bytes, ..Config::default() };
    for (bytes, least) in [(128 << 10, 1_880), (200 << 10, 2_270), (256 << 10, 2_700)] {
        let mut pair = pair(1, fast(), slow(), buffer(bytes));
        let got = goodput(&mut pair, Duration::from_secs(20));
        assert!(got >= least, "{bytes}: {got}");
    }
}

#[test]
fn a_path_that_dies_in_silence_holds_nothing_up_for_long() {
    for cut_first in [false, true] {
        let mut pair = pair(1, fast(), slow(), Config::default());
        pair.write(Side::Client, 40 << 20);
        pair.run_for(Duration::from_secs(5));
        if cut_first {
            pair.cut_path_of(Side::Client, true);
        } else {
            pair.cut_path(SECOND, true);
        }
        let mut longest = Duration::ZERO;
        let mut last = pair.last_read[1];
        for _ in 0..500 {
            pair.run_for(ms(2));
            longest = longest.max(pair.now().since(last));
            last = pair.last_read[1];
        }
        assert!(longest <= ms(300), "{cut_first}: {longest:?}");
        pair.cut_path(SECOND, false);
        pair.cut_path_of(Side::Client, false);
        assert!(pair.run_until(Duration::from_secs(60), |p| p.received(Side::Server) >= 40 << 20));
        let dead = if cut_first { PathId(0) } else { SECOND };
        assert!(has(&pair, |e| *e == Event::PathRestored(dead)), "{:?}", pair.events);
    }
}

/// A network with everything wrong with it, chosen by seed.
fn hostile(rng: &mut Rng) -> LinkConfig {
    let delay = Duration::from_micros(100 + rng.below(60_000));
    LinkConfig {
        rate: Some(Rate::from_bits_per_sec(1_000_000 + rng.below(50_000_000))),
        delay,
        queue: 5_000 + rng.below(100_000),
        loss: rng.below(500),
        duplicate: rng.below(300),
        reorder: rng.below(500),
        jitter: delay * 2,
        mark: None,
    }
}

#[test]
fn nothing_is_lost_over_two_hostile_paths() {
    for seed in 0..200 {
        let mut rng = Rng::seeded(seed);
        let (first, second) = (hostile(&mut rng), hostile(&mut rng));
        let buffer = u32::try_from(8_000 + rng.below(300_000)).expect("it is small");
        let config = Config {
            recv_buffer: buffer,
            recv_buffer_max: buffer * 2,
            timestamps: rng.chance(3, 4),
            max_burst: if rng.chance(1, 2) { 1 } else { 65_000 },
            ..Config::default()
        };
        let mut pair = Pair::new(seed, Sides { config, mss: Mss(1_400), ..sides(first) });
        assert!(pair.transfer(5_000, Duration::from_secs(60)).intact);
        pair.add_path(seed, second, Algorithm::Lia);
        let up = 100_000 + rng.below(400_000);
        pair.write(Side::Server, rng.below(100_000));
        let transfer = pair.transfer(up, Duration::from_secs(300));
        assert!(transfer.intact, "seed {seed}: {:?}", pair.flow(Side::Client));
        assert_eq!(pair.fresh_dropped, 0, "seed {seed}");
        assert!(pair.finish(Duration::from_secs(120)), "seed {seed}: {pair:?}");
    }
}

#[test]
fn without_sack_there_is_one_path() {
    let config = Config { sack: false, ..Config::default() };
    let mut pair = pair(1, fast(), slow(), config);
    assert!(pair.transfer(1 << 20, Duration::from_secs(10)).intact);
    assert_eq!(pair.flow(Side::Client).paths().count(), 1);
}

#[test]
fn a_path_that_leads_nowhere_carries_nothing() {
    let mut pair = Pair::new(1, sides(fast()));
    assert!(pair.transfer(10_000, ms(1_000)).intact);
    pair.add_path(1, LinkConfig { loss: 10_000, ..slow() }, Algorithm::Lia);
    assert!(pair.transfer(8 << 20, Duration::from_secs(10)).intact);
    let second = pair.flow(Side::Client).paths().find(|p| p.id == SECOND).expect("it is there");
    assert!(!second.usable && second.sent == 0, "{second:?}");
    assert!(pair.flow(Side::Client).counters().pings_sent > 2);
}

/// It passes the bytes of a ping and swallows what is out of order: harmless to one path, a grave to
/// a second.
#[test]
fn a_path_that_takes_pings_and_swallows_data_is_barred() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    pair.swallow(SECOND);
    assert!(pair.transfer(20 << 20, Duration::from_secs(60)).intact);
    assert!(has(&pair, |e| *e == Event::PathBarred(SECOND, Barred::Swallows)), "{:?}", pair.events);
}

/// Whatever became of the first path while there was another: it is used when it is the only one.
#[test]
fn the_last_path_is_used_whatever_it_was_barred_for() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    pair.write(Side::Client, 4 << 20);
    pair.run_for(ms(500));
    let now = pair.now();
    let flow = pair.flow_mut(Side::Client);
    flow.stir();
    flow.bar(now, 0, Barred::Harm);
    flow.remove_path(now, SECOND);
    assert!(pair.run_until(Duration::from_secs(20), |p| p.received(Side::Server) >= 4 << 20));
}

/// What is under way on a path that goes tells nothing of the one that is left.
#[test]
fn what_arrives_of_a_path_that_is_gone_is_no_sample_of_another() {
    for sack in [true, false] {
        for at in (100..1_500).step_by(50) {
            let config = Config { sack, ..Config::default() };
            let mut pair = pair(1, slow(), fast(), config);
            pair.write(Side::Client, 4 << 20);
            pair.run_for(ms(at));
            let now = pair.now();
            pair.flow_mut(Side::Client).remove_path(now, SECOND);
            pair.run_for(ms(300));
            let left = pair.flow_mut(Side::Client).paths().next().unwrap();
            assert!(left.rate < Rate::from_bits_per_sec(1_000_000_000), "{at}: {left:?}");
            assert!(left.min_rtt >= ms(80), "{at}: {left:?}");
        }
    }
}

/// RFC 9293 §3.10.7.4 would end the flow. A RST on the first path may be a middlebox that cannot
/// place what it sees of the others: the flow keeps to that path and asks, and the next RST counts.
#[test]
fn a_rst_while_data_is_on_several_paths_is_believed_the_second_time() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    pair.write(Side::Client, 4 << 20);
    pair.run_for(ms(500));
    pair.reset(Side::Client, FIRST);
    assert!(has(&pair, |e| *e == Event::PathBarred(SECOND, Barred::Reset)), "{:?}", pair.events);
    assert!(pair.run_until(Duration::from_secs(20), |p| p.received(Side::Server) >= 4 << 20));
    pair.reset(Side::Client, FIRST);
    assert!(has(&pair, |e| matches!(e, Event::Closed(_))), "{:?}", pair.events);
}

/// A box that cannot place what it sees answers each segment of a flight with a RST.
#[test]
fn the_rsts_of_a_whole_flight_end_their_path_only() {
    for path in [FIRST, SECOND] {
        let mut pair = pair(1, fast(), slow(), Config::default());
        pair.write(Side::Client, 4 << 20);
        pair.run_for(ms(500));
        (0..20).for_each(|_| pair.reset(Side::Client, path));
        assert!(
            has(&pair, |e| *e == Event::PathBarred(SECOND, Barred::Reset)),
            "{:?}",
            pair.events
        );
        assert!(pair.run_until(Duration::from_secs(20), |p| p.received(Side::Server) >= 4 << 20));
        pair.reset(Side::Client, path);
        assert!(has(&pair, |e| matches!(e, Event::Closed(_))), "{path:?}: {:?}", pair.events);
    }
}

/// Whoever does not see a ping cannot answer it: even D-SACKs of all that it can be prove nothing.
#[test]
fn guessed_answers_prove_no_path() {
    let mut pair = Pair::new(1, sides(fast()));
    assert!(pair.transfer(100_000, ms(1_000)).intact);
    pair.add_path(2, LinkConfig { loss: 10_000, ..slow() }, Algorithm::Lia);
    pair.run_for(ms(100));
    for back in 1..=2_048 {
        (1..=64).for_each(|len| pair.forge_duplicate(Side::Client, back, len));
    }
    let second = pair.flow(Side::Client).paths().find(|p| p.id == SECOND).expect("it is there");
    assert!(!second.usable, "{second:?}");
}

/// RFC 5927 §7.2: whoever sees a path, or guesses, and forges errors about whatever may be in flight
/// makes no packet smaller where packets come through.
#[test]
fn forged_errors_make_no_packets_smaller() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    pair.write(Side::Client, 1 << 30);
    pair.run_for(Duration::from_secs(1));
    let before: Vec<_> = pair.flow(Side::Client).paths().map(|p| p.mss).collect();
    for n in 0..2_000u32 {
        pair.run_for(ms(5));
        pair.too_big(Side::Client, n * 1_237 % 400_000, 552 + n % 700);
    }
    assert_eq!(pair.flow(Side::Client).paths().map(|p| p.mss).collect::<Vec<_>>(), before);
    let sent: Vec<_> = pair.flow(Side::Client).paths().map(|p| p.sent >> 20).collect();
    assert!(sent.iter().all(|&mib| mib >= 8), "both carry on: {sent:?}");
}

/// A path whose packets have become too big for it, and no other, sends smaller ones.
#[test]
fn a_true_error_makes_the_packets_of_its_path_smaller() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    pair.write(Side::Client, 1 << 30);
    pair.run_for(Duration::from_secs(2));
    pair.cut_path(SECOND, true);
    // What was on the wire arrives first: no error is about that.
    pair.run_for(ms(150));
    for ahead in (0..400_000).step_by(500) {
        pair.too_big(Side::Client, ahead, 1_280);
    }
    pair.run_for(Duration::from_secs(1));
    let mss: Vec<_> = pair.flow(Side::Client).paths().map(|p| p.mss).collect();
    assert_eq!(mss, [Mss(1_460), Mss(1_240)]);
}

/// What goes out twice in the first flight is held for the first path: an error about the copy concerns
/// the path of the copy, whose window does not suffer for it.
#[test]
fn an_error_about_a_copy_concerns_the_path_of_the_copy() {
    let ample = |link| LinkConfig { queue: 1 << 20, ..link };
    let mut pair = Pair::new(1, sides(ample(fast())));
    pair.run_for(ms(200));
    pair.narrow(SECOND, 1_280, true);
    pair.add_path(1, ample(slow()), Algorithm::Lia);
    assert!(pair.transfer(1 << 20, Duration::from_secs(5)).intact);
    let paths: Vec<_> = pair.flow(Side::Client).paths().collect();
    assert_eq!([paths[0].mss, paths[1].mss], [Mss(1_460), Mss(1_240)], "{paths:?}");
    assert_eq!(paths[0].lost, 0, "{paths:?}");
    assert!(paths[1].sent > 200_000 && paths[1].ssthresh == u32::MAX, "{paths:?}");
}

/// R13: each path has packets as long as it takes, whether a router says how long or nobody does; with
/// nobody it shows by the silence of a path that answers pings.
#[test]
fn each_path_has_packets_as_long_as_it_takes() {
    for (narrow, from_the_start, tells) in [FIRST, SECOND].into_iter().flat_map(|path| {
        [(true, true), (true, false), (false, true), (false, false)].map(|(a, b)| (path, a, b))
    }) {
        let mut pair = Pair::new(1, sides(fast()));
        pair.run_for(ms(200));
        if from_the_start {
            pair.narrow(narrow, 1_280, tells);
        }
        pair.add_path(1, slow(), Algorithm::Lia);
        pair.write(Side::Client, 4 << 20);
        pair.run_for(ms(800));
        pair.narrow(narrow, 1_280, tells);
        let got = goodput(&mut pair, Duration::from_secs(10));
        let paths: Vec<_> = pair.flow(Side::Client).paths().collect();
        let what = format!("{narrow:?} narrow, {from_the_start}, {tells}: {got} {paths:#?}");
        assert!(paths.iter().all(|p| (p.mss == Mss(1_240)) == (p.id == narrow)), "{what}");
        // In silence the first flight was lost, which looks like congestion.
        assert!(got >= if tells { 2_750 } else { 2_300 }, "{what}");
    }
}

/// Row 22 of the threats: who does not see the pings of a path that failed cannot bring it back.
#[test]
fn guessed_answers_restore_no_path() {
    let mut pair = pair(1, fast(), slow(), Config::default());
    pair.write(Side::Client, 1 << 30);
    pair.run_for(Duration::from_secs(2));
    pair.cut_path(SECOND, true);
    pair.run_for(Duration::from_secs(2));
    for back in 1..=2_048 {
        (1..=64).for_each(|len| pair.forge_duplicate(Side::Client, back, len));
    }
    let second = pair.flow(Side::Client).paths().find(|p| p.id == SECOND).expect("it is there");
    assert!(second.failed, "{second:?}");
    pair.cut_path(SECOND, false);
    pair.run_for(Duration::from_secs(4));
    let second = pair.flow(Side::Client).paths().find(|p| p.id == SECOND).expect("it is there");
    assert!(!second.failed, "a true answer does: {second:?}");
}

/// Row 22: what is acknowledged selectively is kept until it is acknowledged in order (RFC 2018 §8), so
/// that a SACK of what never came costs time at most.
#[test]
fn forged_sacks_lose_nothing() {
    for cut_second in [false, true] {
        let mut pair = pair(1, fast(), slow(), Config::default());
        pair.write(Side::Client, 8 << 20);
        pair.run_for(ms(1_500));
        pair.cut_path(SECOND, cut_second);
        for n in 0..20 {
            pair.run_for(ms(50));
            pair.forge_sack(Side::Client, 1_448 * (n % 3));
        }
        pair.cut_path(SECOND, false);
        let done = |p: &Pair| p.received(Side::Server) >= 10_000 + (8 << 20);
        assert!(pair.run_until(Duration::from_secs(60), done), "{:?}", pair.flow(Side::Client));
    }
}

/// Row 22: an error that quotes what is not under way says nothing, from the first packet on.
#[test]
fn errors_about_what_is_not_under_way_change_nothing() {
    let run = |forges: bool| {
        let mut pair = Pair::new(1, sides(fast()));
        pair.run_for(ms(200));
        pair.add_path(1, slow(), Algorithm::Lia);
        pair.write(Side::Client, 1 << 30);
        let mut rng = Rng::seeded(9);
        for _ in 0..4_000 {
            pair.run_for(ms(1));
            let flow = pair.flow(Side::Client);
            let under_way = u32::try_from(flow.send.nxt - flow.send.una).expect("it is small");
            let ahead = under_way + rng.u32() % (u32::MAX - 2 * under_way);
            if forges {
                pair.too_big(Side::Client, ahead, 552);
            }
        }
        let paths: Vec<_> = pair.flow(Side::Client).paths().collect();
        (pair.received(Side::Server), paths)
    };
    assert_eq!(run(true), run(false));
}

/// A receiver that stops reading closes the window, and all paths carry on once it reads.
#[test]
fn a_receiver_that_stops_reading_and_goes_on_finds_all_paths() {
    for pause in [ms(300), ms(3_000), ms(90_000)] {
        let mut pair = pair(1, fast(), slow(), Config::default());
        pair.write(Side::Client, 1 << 30);
        pair.run_for(Duration::from_secs(4));
        pair.pause(Side::Server, true);
        pair.run_for(pause);
        let before = pair.received(Side::Server);
        pair.run_for(ms(100));
        assert_eq!(pair.received(Side::Server), before, "it does not read");
        pair.pause(Side::Server, false);
        let got = goodput(&mut pair, Duration::from_secs(10));
        let paths: Vec<_> = pair.flow(Side::Client).paths().collect();
        assert!(got >= 2_750, "{pause:?}: {got}, {paths:#?}");
    }
}

/// One that reads less than the paths carry, in fits: that is no harm which a path does.
#[test]
fn a_receiver_that_reads_in_fits_costs_no_path() {
    for fit in [ms(100), ms(300), ms(700)] {
        let mut pair = pair(1, fast(), slow(), Config::default());
        pair.write(Side::Client, 1 << 30);
        pair.run_for(Duration::from_secs(2));
        for n in 0..60 {
            pair.pause(Side::Server, n % 2 == 0);
            pair.run_for(fit);
        }
        assert!(!has(&pair, |e| matches!(e, Event::PathBarred(..))), "{fit:?}: {:?}", pair.events);
        let got = goodput(&mut pair, Duration::from_secs(10));
        let paths: Vec<_> = pair.flow(Side::Client).paths().collect();
        assert!(got >= 2_750, "{fit:?}: {got}, {paths:#?}");
    }
}

/// Row 22 of the threats: D-SACKs of what was never a ping, or of what was sent again, change neither
/// windows nor paths.
#[test]
fn forged_duplicates_change_nothing() {
    let run = |forges: bool| {
        let mut pair = pair(1, fast(), slow(), Config::default());
        pair.write(Side::Client, 1 << 30);
        for n in 0..1_000 {
            pair.run_for(ms(5));
            if forges {
                pair.forge_duplicate(Side::Client, n * 7 % 3_000 + 70, n % 64 + 1);
            }
        }
        (pair.received(Side::Server), pair.flow(Side::Client).counters().spurious_recoveries)
    };
    assert_eq!(run(true), run(false));
}

/// Answers of 60 KB with pauses between them, each of which fits the window of the fast path: none is
/// slower for a second path, after two to learn by.
#[test]
fn bursts_beside_a_worse_path_take_no_longer_than_without() {
    let config = Config { nagle: false, ..Config::default() };
    let first = LinkConfig { queue: 50_000, ..fast() };
    let times = |second: Option<LinkConfig>| {
        let mut pair = Pair::new(1, Sides { config, ..sides(first) });
        pair.run_for(ms(100));
        second.into_iter().for_each(|link| pair.add_path(1, link, Algorithm::Lia));
        let mut burst = || {
            let transfer = pair.transfer(60_000, Duration::from_secs(1));
            assert!(transfer.intact, "{:?}", pair.flow(Side::Client));
            pair.run_for(ms(100));
            transfer.time
        };
        (0..60).map(|_| burst()).collect::<Vec<_>>()
    };
    let alone = times(None);
    let thin = LinkConfig { queue: 6_000, ..LinkConfig::clean(2, ms(10)) };
    for second in [thin, LinkConfig { queue: 100_000, ..slow() }] {
        let beside = times(Some(second));
        for (with, without) in beside.iter().zip(&alone).skip(2) {
            assert!(*with <= *without + ms(1), "{beside:?} {alone:?}");
        }
    }
}

/// The end of a burst is lost on the first path and goes out again on the second, which delivers it: the
/// first path has a smaller window for it all the same, as after a tail loss probe (RFC 8985 §7.4.2).
#[test]
fn a_lost_end_makes_a_smaller_window_though_another_path_repairs_it() {
    let config = Config { nagle: false, ..Config::default() };
    let near = LinkConfig { queue: 20_000, ..LinkConfig::clean(5, ms(8)) };
    let window_after = |lost: bool| {
        let mut pair = pair(1, fast(), near, config);
        for _ in 0..3 {
            assert!(pair.transfer(60_000, Duration::from_secs(2)).intact);
            pair.run_for(ms(100));
        }
        pair.write(Side::Client, 60_000);
        pair.run_for(ms(3));
        pair.cut_path_of(Side::Client, lost);
        pair.run_for(ms(20));
        pair.cut_path_of(Side::Client, false);
        pair.run_for(ms(200));
        assert!(pair.transfer(60_000, Duration::from_secs(2)).intact);
        let first = pair.flow(Side::Client).paths().next().expect("it has one");
        assert_eq!(first.lost, 0, "no later delivery showed it");
        first.cwnd
    };
    let (lost, kept) = (window_after(true), window_after(false));
    assert!(lost < kept / 2, "{lost} {kept}");
}
