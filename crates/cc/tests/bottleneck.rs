//! Controllers at one shared bottleneck: what RFC 5681, RFC 9406 and RFC 6356 promise.

mod model;

use std::time::Duration;

use manypath_cc::{Algorithm, Signal};
use model::{Bottleneck, MSS, World};

const SEEDS: std::ops::Range<u64> = 0..5;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Bytes delivered by each flow in `time`, after a minute to settle.
fn shares(link: Bottleneck, flows: &[(Algorithm, u32)], time: Duration, seed: u64) -> Vec<u64> {
    let mut world = World::new(link, seed);
    for &(algorithm, connection) in flows {
        world.add(algorithm, connection);
    }
    world.run(secs(60));
    let before: Vec<_> = world.flows.iter().map(|f| f.delivered).collect();
    world.run(time);
    world.flows.iter().zip(before).map(|(f, b)| f.delivered - b).collect()
}

/// The first flows' sum in percent of the last flow's bytes, mean over the seeds.
fn percent_of_the_last(flows: &[(Algorithm, u32)], time: Duration) -> u64 {
    let one = |seed| {
        let bytes = shares(Bottleneck::random(), flows, time, seed);
        let (last, rest) = bytes.split_last().expect("there are flows");
        rest.iter().sum::<u64>() * 100 / last
    };
    SEEDS.map(one).sum::<u64>() / (SEEDS.end - SEEDS.start)
}

#[test]
fn every_algorithm_alone_fills_a_link_with_a_queue_of_its_delay() {
    for algorithm in Algorithm::ALL {
        for seed in SEEDS {
            let bytes = shares(Bottleneck::usual(), &[(algorithm, 0)], secs(60), seed)[0];
            let percent = bytes / (60 * 10_000);
            assert!(percent >= 97, "{algorithm}, seed {seed}: {percent} % of the link");
        }
    }
}

#[test]
fn reno_grows_one_segment_a_round_trip() {
    // A queue of 100 packets at 100,000 packets a second: 1 ms, so the round trip stays 100 ms.
    let mut world = World::new(Bottleneck::drop_tail(100_000_000, 100, 100_000), 0);
    world.add(Algorithm::NewReno, 0);
    assert!(world.run_to_a_loss(secs(10)));
    world.run(secs(1));
    let before = world.flows[0].cc.cwnd();
    world.run(secs(5));
    let grown = (world.flows[0].cc.cwnd() - before) / MSS;
    assert!((48..=51).contains(&grown), "{grown} segments in 50 round trips");
}

/// RFC 9406 sees a queue only once it stands from one round to the next, and then still grows by a
/// quarter for five rounds: short queues overflow all the same, long ones must not. Only the standard
/// slow start of `NewReno` ends by a loss.
#[test]
fn slow_start_ends_before_a_long_queue_overflows() {
    for algorithm in Algorithm::ALL {
        for (rate, delay_ms) in [(1_000_000, 100), (10_000_000, 40), (2_000_000, 300)] {
            let bdp = rate * delay_ms / 1000;
            for seed in SEEDS {
                let mut world = World::new(Bottleneck::drop_tail(rate, delay_ms, 15 * bdp), seed);
                world.add(algorithm, 0);
                while world.flows[0].cc.ssthresh() == u32::MAX {
                    world.step();
                }
                let flow = &world.flows[0];
                let overflows = flow.losses > 0;
                let standard = algorithm == Algorithm::NewReno;
                assert_eq!(overflows, standard, "{algorithm}, {delay_ms} ms, seed {seed}");
                // wVegas leaves with the first queue, which a burst makes before the link is full.
                let full = u64::from(flow.cc.cwnd()) >= bdp || algorithm == Algorithm::WVegas;
                assert!(full, "{algorithm} left before the link was full");
            }
        }
    }
}

/// In the fluid model equal windows give exactly one TCP and unequal ones, which chance makes, up
/// to a tenth more: with f the larger's share, total^2 = 2f / (p (f^2 + (1-f)^2)).
#[test]
fn two_coupled_subflows_take_what_one_tcp_takes() {
    use Algorithm::{Lia, NewReno};
    let coupled = percent_of_the_last(&[(Lia, 0), (Lia, 0), (NewReno, 1)], secs(600));
    assert!((90..=120).contains(&coupled), "coupled: {coupled} % of a TCP");
    let uncoupled = percent_of_the_last(&[(NewReno, 0), (NewReno, 0), (NewReno, 1)], secs(600));
    assert!((175..=225).contains(&uncoupled), "uncoupled: {uncoupled} % of a TCP");
}

#[test]
fn every_coupled_algorithm_takes_about_one_tcp() {
    use Algorithm::{Balia, Coupled, Ewtcp, NewReno, Olia};
    for algorithm in [Olia, Balia, Ewtcp, Coupled] {
        let flows = [(algorithm, 0), (algorithm, 0), (NewReno, 1)];
        let percent = percent_of_the_last(&flows, secs(300));
        assert!((85..=125).contains(&percent), "{algorithm}: {percent} % of a TCP");
    }
}

#[test]
fn one_coupled_subflow_is_a_reno() {
    let percent = percent_of_the_last(&[(Algorithm::Lia, 0), (Algorithm::NewReno, 1)], secs(300));
    assert!((90..=111).contains(&percent), "{percent} %");
}

#[test]
fn cubic_on_a_long_fat_path_recovers_where_reno_cannot() {
    // 10,000 packets a second over 300 ms: Reno needs 1,500 round trips, 450 s, after a loss.
    let link = Bottleneck::drop_tail(10_000_000, 300, 300_000);
    let cubic = shares(link, &[(Algorithm::Cubic, 0)], secs(120), 1)[0];
    let percent = cubic / (120 * 100_000);
    assert!(percent >= 85, "{percent} % of the link");
}

/// The shared bottleneck with random early drops, ten times as fast: CUBIC's curve and not its
/// Reno-friendly bound decides.
fn fast() -> Bottleneck {
    Bottleneck { early: 1_000_000, ..Bottleneck::drop_tail(10_000_000, 100, 2_000_000) }
}

#[test]
fn two_coupled_cubics_take_what_one_cubic_takes() {
    use Algorithm::{CoupledCubic, Cubic};
    for (name, link) in [("slow", Bottleneck::random()), ("fast", fast())] {
        let of = |algorithm| {
            let one = |seed| {
                let flows = [(algorithm, 0), (algorithm, 0), (Cubic, 1)];
                let bytes = shares(link, &flows, secs(200), seed);
                (bytes[0] + bytes[1]) * 100 / bytes[2]
            };
            (0..3).map(one).sum::<u64>() / 3
        };
        let (coupled, uncoupled) = (of(CoupledCubic), of(Cubic));
        assert!((80..=125).contains(&coupled), "{name}: {coupled} % of a CUBIC");
        assert!(uncoupled >= 160, "{name}: uncoupled: {uncoupled} % of a CUBIC");
    }
}

/// A long fat path that others have just left: how much of the next 90 seconds two subflows use,
/// beginning with windows that three losses in a row cut.
#[test]
fn a_coupled_cubic_fills_a_long_fat_path_that_lia_leaves_idle() {
    let percent = |algorithm| {
        let link = Bottleneck::drop_tail(10_000_000, 300, 300_000);
        let mut world = World::new(link, 1);
        world.add(algorithm, 0);
        world.add(algorithm, 0);
        world.run(secs(10));
        let start = world.now;
        for flow in &mut world.flows {
            for _ in 0..3 {
                let flight = flow.cc.cwnd();
                flow.cc.on_signal(start, Signal::Loss, flight, &[]);
            }
        }
        let before: u64 = world.flows.iter().map(|f| f.delivered).sum();
        world.run(secs(90));
        (world.flows.iter().map(|f| f.delivered).sum::<u64>() - before) / (90 * 100_000)
    };
    let (lia, coupled) = (percent(Algorithm::Lia), percent(Algorithm::CoupledCubic));
    assert!(coupled >= 60 && lia <= 20, "coupled CUBIC {coupled} %, LIA {lia} % of the link");
}
