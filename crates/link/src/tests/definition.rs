//! The model of a link: exact arithmetic, limits, chance by seed, cutting, and a dumb model.

use std::time::Duration;

use manypath_base::{Instant, Rate, Rng};
use proptest::prelude::*;

use crate::{Counter, DropReason, Limit, Link, LinkConfig, Loss, PushOutcome, Transmitter};

const MS: Duration = Duration::from_millis(1);
/// When everything is over.
const END: Instant = Instant::from_millis(1_000_000);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// 12 Mbit/s: a packet of 1,500 bytes takes exactly one millisecond.
fn slow(limit: Limit) -> LinkConfig {
    let transmitter = Transmitter::Constant(Rate::from_bits_per_sec(12_000_000));
    LinkConfig { transmitter, delay: 10 * MS, limit, ..LinkConfig::default() }
}

fn link(config: &LinkConfig) -> Link<u32> {
    Link::new(config.clone(), Rng::seeded(1))
}

/// Everything that comes out from now on, with the time of each.
fn drain(link: &mut Link<u32>) -> Vec<(Instant, u32)> {
    let mut out = Vec::new();
    while let Some(now) = link.next_event() {
        out.extend(std::iter::from_fn(|| link.pop(now)).map(|item| (now, item)));
    }
    out
}

#[test]
fn packets_leave_at_the_rate_and_arrive_after_the_delay() {
    let mut link = link(&slow(Limit::Packets(9)));
    for n in 0..3 {
        assert_eq!(link.push(at(0), 1_500, n), PushOutcome::Queued);
    }
    assert_eq!(link.push(at(20), 750, 3), PushOutcome::Queued);
    let half = at(30) + MS / 2;
    assert_eq!(drain(&mut link), [(at(11), 0), (at(12), 1), (at(13), 2), (half, 3)]);
}

#[test]
fn without_a_rate_only_the_delay_counts() {
    let mut link =
        link(&LinkConfig { transmitter: Transmitter::Unlimited, ..slow(Limit::Packets(0)) });
    assert_eq!(link.push(at(1), 1_500, 0), PushOutcome::Queued);
    assert_eq!(link.push(at(1), 1_500, 1), PushOutcome::Queued);
    assert_eq!(drain(&mut link), [(at(11), 0), (at(11), 1)]);
}

#[test]
fn the_queue_drops_its_tail_and_frees_room_as_packets_leave() {
    let full = PushOutcome::Dropped(DropReason::QueueFull);
    for limit in [Limit::Bytes(3_000), Limit::Packets(2)] {
        let mut link = link(&slow(limit));
        let outcomes: Vec<_> = (0..4).map(|n| link.push(at(0), 1_500, n)).collect();
        assert_eq!(outcomes[..3], [PushOutcome::Queued; 3], "one on the transmitter, two wait");
        assert_eq!(outcomes[3], full);
        assert_eq!(link.push(at(1), 1_500, 4), PushOutcome::Queued);
        assert_eq!(link.push(at(1), 1_500, 5), full);
        assert_eq!(link.stats(at(1)).max_waiting_bytes, 3_000);
        assert_eq!(drain(&mut link).len(), 4);
        assert_eq!(link.stats(END).dropped_queue_full, Counter { packets: 2, bytes: 3_000 });
    }
}

#[test]
fn packets_above_the_mtu_vanish() {
    let mut link = link(&slow(Limit::Packets(9)));
    assert_eq!(link.push(at(0), 1_501, 0), PushOutcome::Dropped(DropReason::TooBig));
}

#[test]
fn a_cut_link_swallows_everything_and_comes_back_empty() {
    let mut link = link(&slow(Limit::Packets(9)));
    for n in 0..3 {
        assert_eq!(link.push(at(n), 1_500, 0), PushOutcome::Queued);
    }
    link.cut();
    assert_eq!(link.push(at(3), 1_500, 1), PushOutcome::Dropped(DropReason::Cut));
    assert_eq!(link.next_event(), None);
    link.restore();
    assert_eq!(link.push(at(4), 1_500, 2), PushOutcome::Queued);
    assert_eq!(drain(&mut link), [(at(15), 2)]);
    assert_eq!(link.stats(END).dropped_cut.packets, 4);
}

#[test]
fn a_changed_rate_holds_for_what_is_left_of_the_packet() {
    let mut link = link(&slow(Limit::Packets(9)));
    assert_eq!(link.push(at(0), 1_500, 0), PushOutcome::Queued);
    assert_eq!(link.push(at(0), 1_500, 1), PushOutcome::Queued);
    let slower = Transmitter::Constant(Rate::from_bits_per_sec(6_000_000));
    let config = LinkConfig { transmitter: slower, ..slow(Limit::Packets(9)) };
    link.set_config(at(0) + MS / 2, config);
    let first = at(11) + MS / 2;
    assert_eq!(drain(&mut link), [(first, 0), (first + 2 * MS, 1)]);
}

#[test]
fn a_stopped_transmitter_goes_on_when_the_rate_returns() {
    let stopped = Transmitter::Constant(Rate::default());
    let mut link = link(&LinkConfig { transmitter: stopped, ..slow(Limit::Packets(9)) });
    assert_eq!(link.push(at(0), 1_500, 0), PushOutcome::Queued);
    link.set_config(at(100), slow(Limit::Packets(9)));
    assert_eq!(drain(&mut link), [(at(111), 0)]);
}

#[test]
fn a_shorter_delay_does_not_make_packets_overtake() {
    let mut link = link(&slow(Limit::Packets(9)));
    assert_eq!(link.push(at(0), 1_500, 0), PushOutcome::Queued);
    link.set_config(at(2), LinkConfig { delay: MS, ..slow(Limit::Packets(9)) });
    assert_eq!(link.push(at(2), 1_500, 1), PushOutcome::Queued);
    assert_eq!(drain(&mut link), [(at(11), 0), (at(11), 1)]);
}

#[test]
fn chance_follows_its_rate_and_its_seed() {
    let config = LinkConfig {
        loss: Loss::ppm(100_000),
        reorder_ppm: 50_000,
        reorder_delay: 3 * MS,
        duplicate_ppm: 20_000,
        transmitter: Transmitter::Unlimited,
        ..slow(Limit::Packets(0))
    };
    let run = |seed| {
        let mut link = Link::new(config.clone(), Rng::seeded(seed));
        for n in 0..20_000u32 {
            assert_eq!(link.push(at(u64::from(n)), 100, n), PushOutcome::Queued);
        }
        (drain(&mut link), link.stats(END))
    };
    let (delivered, stats) = run(7);
    // Five standard deviations around the expectation.
    assert!((1_788..=2_212).contains(&stats.dropped_loss.packets), "{stats:?}");
    assert!((762..=1_038).contains(&stats.reordered.packets), "{stats:?}");
    assert!((267..=453).contains(&stats.duplicated.packets), "{stats:?}");
    assert!(delivered.iter().any(|&(when, n)| when == at(u64::from(n) + 13)));
    assert!(delivered.windows(2).any(|pair| pair[0].1 > pair[1].1), "some overtake");
    assert_eq!(run(7), (delivered.clone(), stats));
    assert_ne!(run(8).0, delivered);
}

/// When each accepted packet comes out: from the definition, looking back at all packets so far.
fn model(pushes: &[(Instant, u16)], config: &LinkConfig) -> Vec<Option<Instant>> {
    let Transmitter::Constant(rate) = config.transmitter else { panic!("the model has a rate") };
    let mut accepted: Vec<(Instant, Instant, u64)> = Vec::new();
    let mut out = Vec::new();
    for &(now, bytes) in pushes {
        let bytes = u64::from(bytes);
        let waiting = accepted.iter().filter(|&&(start, ..)| start > now);
        let full = match config.limit {
            Limit::Bytes(limit) => waiting.map(|&(.., b)| b).sum::<u64>() + bytes > limit,
            Limit::Packets(limit) => waiting.count() as u64 >= limit,
        };
        let last = accepted.last().map_or(Instant::ZERO, |&(_, finish, _)| finish);
        if full && last > now {
            out.push(None);
            continue;
        }
        let start = last.max(now);
        accepted.push((start, start + rate.time_for(bytes), bytes));
        out.push(Some(start + rate.time_for(bytes) + config.delay));
    }
    out
}

fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![(0u64..6_000).prop_map(Limit::Bytes), (0u64..6).prop_map(Limit::Packets)]
}

/// Time since the push before, in microseconds, and length.
fn pushes() -> impl Strategy<Value = Vec<(Instant, u16)>> {
    prop::collection::vec((0u64..2_000, 40u16..=1_500), 0..60).prop_map(|gaps| {
        let mut now = Instant::ZERO;
        gaps.into_iter()
            .map(|(gap, bytes)| {
                now += Duration::from_micros(gap);
                (now, bytes)
            })
            .collect()
    })
}

proptest! {
    /// However often it is polled, a link without chance behaves like the definition.
    #[test]
    fn a_link_behaves_like_its_definition(
        pushes in pushes(), limit in limits(), polled in any::<bool>(), delay_us in 0u64..5_000,
    ) {
        let config = LinkConfig { delay: Duration::from_micros(delay_us), ..slow(limit) };
        let mut link = link(&config);
        let mut out = Vec::new();
        for (n, &(now, bytes)) in (0u32..).zip(&pushes) {
            while let Some(due) = link.next_event().filter(|&due| polled && due <= now) {
                out.extend(std::iter::from_fn(|| link.pop(due)).map(|item| (due, item)));
            }
            let _outcome = link.push(now, usize::from(bytes), n);
        }
        out.extend(drain(&mut link));
        let expected = model(&pushes, &config);
        let expected = (0u32..).zip(expected).filter_map(|(n, at)| Some((at?, n)));
        prop_assert_eq!(out, expected.collect::<Vec<_>>());
    }

    /// Nothing is lost without being counted, and polling late changes nothing.
    #[test]
    fn chance_does_not_depend_on_when_the_link_is_polled(
        pushes in pushes(), limit in limits(), seed in any::<u64>(), cut in 0usize..60,
    ) {
        let config = LinkConfig {
            loss: Loss::ppm(200_000), reorder_ppm: 200_000, reorder_delay: 2 * MS, duplicate_ppm: 200_000,
            delay: Duration::ZERO, ..slow(limit)
        };
        let run = |polled: bool| {
            let mut link = Link::new(config.clone(), Rng::seeded(seed));
            let mut out = Vec::new();
            for (n, &(now, bytes)) in (0u32..).zip(&pushes) {
                if polled {
                    out.extend(std::iter::from_fn(|| link.pop(now)));
                }
                let _outcome = link.push(now, usize::from(bytes), n);
            }
            out.extend(drain(&mut link).into_iter().map(|(_, item)| item));
            (out, link.stats(END))
        };
        let (often, once) = (run(true), run(false));
        prop_assert_eq!(&often, &once);
        let stats = often.1;
        let lost = stats.dropped_loss.packets + stats.dropped_queue_full.packets;
        let entered = stats.offered.packets + stats.duplicated.packets;
        prop_assert_eq!(stats.delivered.packets + lost, entered);

        let mut link = Link::new(config.clone(), Rng::seeded(seed));
        for (n, &(now, bytes)) in (0u32..).zip(&pushes) {
            if usize::try_from(n) == Ok(cut) {
                link.cut();
            }
            let _outcome = link.push(now, usize::from(bytes), n);
        }
        let out = drain(&mut link).len();
        let stats = link.stats(END);
        let gone = stats.dropped_cut.packets + stats.dropped_loss.packets
            + stats.dropped_queue_full.packets;
        let entered = stats.offered.packets + stats.duplicated.packets;
        prop_assert_eq!(u64::try_from(out).expect("small") + gone, entered);
    }
}
