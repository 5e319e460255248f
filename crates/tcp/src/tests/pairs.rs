//! Two flows over networks that lose, repeat, reorder and stop: nothing is lost, both sides
//! close, and it does not take for ever.

use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{Mss, Rate, Rng};
use manypath_cc::Algorithm;
use proptest::prelude::*;

use crate::testing::{LinkConfig, Pair, Side, Sides, ms};
use crate::{Config, EcnMode, State};

/// A network with everything wrong with it, chosen by seed.
fn hostile(rng: &mut Rng) -> LinkConfig {
    let rate = Rate::from_bits_per_sec(1_000_000 + rng.below(50_000_000));
    let delay = Duration::from_micros(100 + rng.below(60_000));
    LinkConfig {
        rate: Some(rate),
        delay,
        queue: 5_000 + rng.below(100_000),
        loss: rng.below(1_000),
        duplicate: rng.below(500),
        reorder: rng.below(1_000),
        jitter: delay * 2,
        mark: rng.chance(1, 2).then(|| rng.below(20_000)),
    }
}

/// Settings chosen by seed.
fn settings(rng: &mut Rng) -> Config {
    let buffer = u32::try_from(3_000 + rng.below(300_000)).expect("it is small");
    Config {
        sack: rng.chance(3, 4),
        timestamps: rng.chance(1, 2),
        window_scale: rng.chance(1, 2),
        nagle: rng.chance(1, 2),
        ecn: if rng.chance(1, 2) { EcnMode::Ask } else { EcnMode::Accept },
        recv_buffer: buffer,
        recv_buffer_max: buffer * 2,
        // A cut may last longer than the usual patience of a handshake.
        syn_retries: 30,
        max_burst: if rng.chance(1, 2) { 1 } else { 65_000 },
        ..Config::default()
    }
}

fn sides(rng: &mut Rng, link: LinkConfig) -> Sides {
    let algorithm = Algorithm::ALL[manypath_base::usize64(rng.below(3))];
    let mss = Mss(u16::try_from(200 + rng.below(1_300)).expect("it is small"));
    Sides { algorithm, config: settings(rng), mss, whole: rng.chance(1, 4), ..Sides::over(link) }
}

#[test]
fn nothing_is_lost_on_hostile_networks_and_both_sides_close() {
    for seed in 0..300 {
        let mut rng = Rng::seeded(seed);
        let link = hostile(&mut rng);
        let mut pair = Pair::new(seed, sides(&mut rng, link));
        let (up, down) = (rng.below(200_000), rng.below(200_000));
        pair.write(Side::Server, down);
        let transfer = pair.transfer(up, Duration::from_secs(300));
        assert!(transfer.intact, "seed {seed}: {:?}", pair.flow(Side::Client));
        let all = pair.run_until(Duration::from_secs(300), |p| p.received(Side::Client) >= down);
        assert!(all, "seed {seed}: {:?}", pair.flow(Side::Server));
        assert!(pair.finish(Duration::from_secs(120)), "seed {seed}: {pair:?}");
        assert_eq!(pair.received(Side::Server), up, "seed {seed}");
    }
}

/// Inside, offsets do not wrap: 5 GB, where numbers on the wire wrap once.
#[test]
fn more_bytes_than_sequence_numbers() {
    let link = LinkConfig::clean(10_000, ms(1));
    let mut pair = Pair::new(1, Sides { mss: Mss(65_000), ..Sides::over(link) });
    let transfer = pair.transfer(5 << 30, Duration::from_secs(60));
    assert!(transfer.intact, "{transfer:?}");
    assert!(pair.finish(Duration::from_secs(1)));
}

#[test]
fn a_slow_reader_slows_the_writer_and_loses_nothing() {
    for seed in 0..30 {
        let mut rng = Rng::seeded(seed);
        let link = LinkConfig { loss: rng.below(200), ..LinkConfig::clean(10, ms(5)) };
        let mut pair = Pair::new(seed, sides(&mut rng, link));
        pair.write(Side::Client, 300_000);
        for _ in 0..20 {
            pair.pause(Side::Server, true);
            pair.run_for(ms(300 + rng.below(2_000)));
            pair.pause(Side::Server, false);
            pair.run_for(ms(20));
        }
        let all = pair.run_until(Duration::from_secs(300), |p| p.received(Side::Server) == 300_000);
        assert!(all, "seed {seed}: {pair:?}");
        assert!(pair.finish(Duration::from_secs(60)), "seed {seed}: {pair:?}");
    }
}

/// What a user and a network may do.
#[derive(Clone, Debug)]
enum Op {
    Write(bool, u64),
    Pause(bool, bool),
    Close(bool),
    Abort(bool),
    Cut(bool),
    Advance(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => (any::<bool>(), 0u64..30_000).prop_map(|(side, n)| Op::Write(side, n)),
        20 => (any::<bool>(), any::<bool>()).prop_map(|(side, on)| Op::Pause(side, on)),
        4 => any::<bool>().prop_map(Op::Close),
        1 => any::<bool>().prop_map(Op::Abort),
        20 => any::<bool>().prop_map(Op::Cut),
        60 => (0u64..3_000).prop_map(Op::Advance),
    ]
}

fn side(client: bool) -> Side {
    if client { Side::Client } else { Side::Server }
}

fn apply(pair: &mut Pair, op: &Op) {
    match *op {
        Op::Write(who, bytes) => pair.write(side(who), bytes),
        Op::Pause(who, on) => pair.pause(side(who), on),
        Op::Close(who) => pair.close(side(who)),
        Op::Abort(who) => pair.flow_mut(side(who)).abort(None),
        Op::Cut(down) => pair.cut(down),
        Op::Advance(millis) => pair.run_for(ms(millis)),
    }
}

proptest! {
    /// Whatever happens, the invariants hold (the pair checks them after each step), and once
    /// the network works and nobody aborted, everything written arrives.
    #[test]
    fn any_history_ends_well(seed in any::<u64>(), ops in prop::collection::vec(op(), 0..40)) {
        let mut rng = Rng::seeded(seed);
        let link = hostile(&mut rng);
        let mut pair = Pair::new(seed, sides(&mut rng, link));
        ops.iter().for_each(|op| apply(&mut pair, op));
        pair.cut(false);
        pair.pause(Side::Client, false);
        pair.pause(Side::Server, false);
        let aborted = ops.iter().any(|op| matches!(op, Op::Abort(_)));
        let done = pair.finish(Duration::from_secs(600));
        let states: Vec<State> =
            [Side::Client, Side::Server].map(|s| pair.flow(s).state()).into();
        prop_assert!(done || aborted, "{:?}", states);
        for from in [Side::Client, Side::Server] {
            let written = pair.flow(from).written();
            prop_assert!(aborted || pair.received(from.peer()) == written);
        }
    }
}
