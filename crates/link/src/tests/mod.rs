//! What a link does, with numbers for packets.

mod definition;

use std::sync::Arc;
use std::time::Duration;

use manypath_base::{Instant, Rate, Rng, len64};

use crate::{
    Carried, CoDel, Counter, Discipline, DropReason, GilbertElliott, Limit, Link, LinkConfig,
    LinkStats, Loss, PushOutcome, Red, Trace, Transmitter,
};

impl Carried for u32 {
    /// Odd packets allow it; a marked one is a thousand more.
    fn mark_congestion(&mut self) -> bool {
        let allows = *self % 2 == 1;
        *self += u32::from(allows) * 1_000;
        allows
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn at(n: u64) -> Instant {
    Instant::from_millis(n)
}

/// 12 Mb/s: a packet of 1,500 bytes takes a millisecond.
fn config() -> LinkConfig {
    LinkConfig::constant(Rate::from_bits_per_sec(12_000_000), ms(10))
}

fn link(config: LinkConfig) -> Link<u32> {
    Link::new(config, Rng::seeded(1))
}

fn push_all(link: &mut Link<u32>, now: Instant, count: u32) {
    for n in 0..count {
        let _full_or_not = link.push(now, 1_500, n);
    }
}

/// Everything that comes out, with the millisecond of its delivery.
fn drain(link: &mut Link<u32>) -> Vec<(u64, u32)> {
    let mut out = Vec::new();
    while let Some(when) = link.next_event() {
        while let Some(item) = link.pop(when) {
            out.push((when.as_nanos() / 1_000_000, item));
        }
    }
    out
}

#[test]
fn packets_take_their_time_and_keep_their_order() {
    let mut link = link(config());
    push_all(&mut link, at(5), 3);
    assert_eq!(drain(&mut link), [(16, 0), (17, 1), (18, 2)]);
    assert_eq!(link.stats(at(99)).delivered, Counter { packets: 3, bytes: 4_500 });
}

#[test]
fn bunched_packets_wait_for_the_next_turn_together() {
    let mut link = link(LinkConfig { bunch: ms(10), ..config() });
    push_all(&mut link, at(5), 6);
    assert_eq!(drain(&mut link), [(20, 0), (20, 1), (20, 2), (20, 3), (20, 4), (30, 5)]);
}

#[test]
fn marks_come_by_chance_and_only_where_they_are_allowed() {
    let config = LinkConfig { mark_ppm: 250_000, limit: Limit::Packets(10_000), ..config() };
    let mut link = link(config);
    push_all(&mut link, at(0), 900);
    let marked = drain(&mut link).iter().filter(|(_, n)| *n >= 1_000).count();
    assert!((80..145).contains(&marked), "a quarter of the 450 that allow it: {marked}");
    assert_eq!(link.stats(at(99_999)).marked.packets, len64(marked));
}

#[test]
fn the_packet_in_service_does_not_count_as_waiting() {
    let mut link = link(LinkConfig { limit: Limit::Packets(2), ..config() });
    push_all(&mut link, at(0), 5);
    assert_eq!(drain(&mut link).len(), 3);
    assert_eq!(link.stats(at(99)).dropped_queue_full.packets, 2);
}

#[test]
fn polling_more_often_changes_nothing() {
    let harmed = LinkConfig {
        limit: Limit::Packets(20),
        discipline: Discipline::RandomTail { packets: 5 },
        loss: Loss::GilbertElliott(GilbertElliott {
            to_bad: 100_000,
            to_good: 300_000,
            loss_good: 0,
            loss_bad: 500_000,
        }),
        reorder_ppm: 100_000,
        reorder_delay: ms(3),
        duplicate_ppm: 100_000,
        ..config()
    };
    let run = |often: bool| {
        let (mut link, mut out) = (link(harmed.clone()), Vec::new());
        for n in 0..300 {
            let _full_or_not = link.push(at(u64::from(n / 2)), 1_500, n);
            if often {
                while let Some(item) = link.pop(at(u64::from(n / 2))) {
                    out.push(item);
                }
            }
        }
        out.extend(drain(&mut link).into_iter().map(|(_, item)| item));
        (out, link.stats(at(9_999)))
    };
    let (often, seldom) = (run(true), run(false));
    assert_eq!(often.0, seldom.0);
    assert_eq!(often.1, seldom.1);
    let stats = often.1;
    assert!(stats.reordered.packets > 0 && stats.duplicated.packets > 0);
    assert!(stats.dropped_loss.packets > 0 && stats.dropped_early.packets > 0);
    let out = stats.delivered.packets + stats.dropped().packets;
    assert_eq!(stats.offered.packets + stats.duplicated.packets, out);
}

#[test]
fn a_new_rate_counts_for_what_is_left_of_a_packet() {
    let mut link = link(config());
    push_all(&mut link, at(0), 2);
    let half = Instant::from_nanos(500_000);
    let slow = Transmitter::Constant(Rate::from_bits_per_sec(1_200_000));
    link.set_config(half, LinkConfig { transmitter: slow, ..config() });
    // Half a packet at a tenth of the rate takes 5 ms, and a whole one 10.
    assert_eq!(drain(&mut link), [(15, 0), (25, 1)]);
}

#[test]
fn a_cut_link_is_empty_when_it_comes_back() {
    let mut link = link(config());
    push_all(&mut link, at(0), 3);
    assert_eq!(link.pop(at(11)), Some(0));
    link.cut();
    assert_eq!(link.push(at(12), 1_500, 7), PushOutcome::Dropped(DropReason::Cut));
    link.restore();
    assert_eq!(link.push(at(13), 1_500, 8), PushOutcome::Queued);
    assert_eq!(drain(&mut link), [(24, 8)]);
    assert_eq!(link.stats(at(99)).dropped_cut.packets, 3);
}

#[test]
fn a_recorded_link_sends_when_the_trace_says() {
    let trace = Arc::new(Trace::parse("2\n3\n3\n10\n").unwrap());
    let mut link = link(LinkConfig { transmitter: Transmitter::Recorded(trace), ..config() });
    push_all(&mut link, at(0), 2);
    let _queued = link.push(at(0), 100, 2);
    let _queued = link.push(at(0), 1_500, 3);
    let times: Vec<u64> = drain(&mut link).into_iter().map(|(when, _)| when).collect();
    // The fourth begins in what the third left of its opportunity.
    assert_eq!(times, [12, 13, 13, 20]);
}

#[test]
fn loss_is_as_often_as_it_should_be() {
    let lossy = |loss| {
        let mut link = link(LinkConfig { loss, limit: Limit::Packets(100_000), ..config() });
        push_all(&mut link, at(0), 100_000);
        let _all = drain(&mut link);
        link.stats(at(999_999)).dropped_loss.packets
    };
    let bernoulli = lossy(Loss::Bernoulli { ppm: 10_000 });
    assert!((900..1_100).contains(&bernoulli), "{bernoulli} of 100,000");
    // Bad for a quarter of the time, and then half is lost.
    let bursts = lossy(Loss::GilbertElliott(GilbertElliott {
        to_bad: 10_000,
        to_good: 30_000,
        loss_good: 0,
        loss_bad: 500_000,
    }));
    assert!((11_000..14_000).contains(&bursts), "{bursts} of 100,000");
}

#[test]
fn a_threshold_marks_those_that_allow_it() {
    let mut link = link(LinkConfig { ecn_threshold: Some(Limit::Packets(2)), ..config() });
    push_all(&mut link, at(0), 6);
    let items: Vec<u32> = drain(&mut link).into_iter().map(|(_, item)| item).collect();
    assert_eq!(items, [0, 1, 2, 1_003, 4, 1_005]);
    assert_eq!(link.stats(at(99)).marked.packets, 2);
}

/// Two packets come for each that leaves, for four seconds.
fn overload(discipline: Discipline) -> (LinkStats, u64) {
    let mut link = link(LinkConfig { discipline, limit: Limit::Packets(1_000), ..config() });
    let mut longest = 0;
    for n in 0..4_000 {
        push_all(&mut link, at(n), 2);
        if n > 2_000 {
            longest = longest.max(link.stats(at(n)).waiting.packets);
        }
        while link.pop(at(n)).is_some() {}
    }
    (link.stats(at(4_000)), longest)
}

#[test]
fn early_drops_keep_the_queue_short() {
    let red = Red { min: 30_000, max: 150_000, max_ppm: 1_000_000, weight: 7 };
    let (stats, longest) = overload(Discipline::Red(red));
    assert!(longest < 150 && stats.dropped_queue_full.packets == 0, "{longest} {stats:?}");
    assert!(overload(Discipline::DropTail).1 >= 999);
}

#[test]
fn codel_drops_what_waits_too_long_and_nothing_else() {
    let (stats, _) = overload(Discipline::CoDel(CoDel::default()));
    assert!(stats.dropped_early.packets > 100, "{stats:?}");
    let mut link = link(LinkConfig { discipline: Discipline::CoDel(CoDel::default()), ..config() });
    for n in 0..1_000 {
        // Bursts of four packets wait for less than the target.
        push_all(&mut link, at(4 * n), 4);
        while link.pop(at(4 * n)).is_some() {}
    }
    assert_eq!(link.stats(at(9_999)).dropped().packets, 0);
}
