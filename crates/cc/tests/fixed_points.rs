//! Where the algorithms come to rest on two paths that lose packets at random, at fixed rates: the
//! split that the formulas promise.

use std::time::Duration;

use manypath_base::{Instant, Mss, PathId, Rng};
use manypath_cc::{AckSample, Algorithm, Config, Controller, FlowView, Signal};

const MSS: u32 = 1000;
const RTT: Duration = Duration::from_millis(100);
/// Round trips before counting, and counted.
const ROUNDS: (u32, u32) = (2_000, 60_000);

struct Path {
    cc: Box<dyn Controller>,
    /// One packet in so many is lost, or marked.
    one_in: u64,
    signal: Signal,
    delivered: u64,
    since_loss: u64,
    between_losses: u64,
}

/// Packets a round trip on each path, in thousandths, where one packet in `one_in` is lost.
fn settle(algorithm: Algorithm, one_in: &[u64], seed: u64) -> Vec<u64> {
    settle_by(Signal::Loss, algorithm, one_in, seed)
}

/// The same where `signal` is what becomes of that packet.
fn settle_by(signal: Signal, algorithm: Algorithm, one_in: &[u64], seed: u64) -> Vec<u64> {
    let config = Config { mss: Mss(1000), initial_window: 10 * MSS };
    let path = |&one_in: &u64| {
        let cc = algorithm.build(config);
        Path { cc, one_in, signal, delivered: 0, since_loss: 0, between_losses: 0 }
    };
    let mut paths: Vec<_> = one_in.iter().map(path).collect();
    let mut rng = Rng::seeded(seed);
    for round in 0..ROUNDS.0 + ROUNDS.1 {
        if round == ROUNDS.0 {
            paths.iter_mut().for_each(|p| p.delivered = 0);
        }
        let now = Instant::ZERO + RTT * round;
        for i in 0..paths.len() {
            round_trip(&mut paths, i, now, &mut rng);
        }
    }
    paths.iter().map(|p| p.delivered * 1000 / u64::from(ROUNDS.1)).collect()
}

/// A window of path `i` goes there and back; losses of one round are one episode.
fn round_trip(paths: &mut [Path], i: usize, now: Instant, rng: &mut Rng) {
    let (flight, mut hit) = (paths[i].cc.cwnd() / MSS, false);
    for n in 0..flight {
        if rng.chance(1, paths[i].one_in) {
            hit = true;
            continue;
        }
        let views = views(paths);
        let path = &mut paths[i];
        path.delivered += 1;
        path.since_loss += u64::from(MSS);
        if !hit {
            path.cc.on_ack(&ack(i, n == 0, now, flight), &views);
        }
    }
    if hit {
        let views = views(paths);
        let path = &mut paths[i];
        path.between_losses = std::mem::take(&mut path.since_loss);
        path.cc.on_signal(now, path.signal, path.cc.cwnd(), &views);
    }
}

fn ack(path: usize, round_start: bool, now: Instant, flight: u32) -> AckSample {
    AckSample {
        now,
        path: PathId(u32::try_from(path).expect("two paths")),
        acked: MSS,
        delivered: 0,
        lost: 0,
        lost_flight: None,
        prior_in_flight: flight * MSS,
        in_flight: (flight - 1) * MSS,
        rtt: Some(RTT),
        srtt: RTT,
        min_rtt: RTT,
        round_start,
        cwnd_limited: true,
        app_limited: false,
        delivery_rate: None,
        beside: false,
    }
}

fn views(paths: &[Path]) -> Vec<FlowView> {
    let view = |(path, id): (&Path, u32)| FlowView {
        path: PathId(id),
        cwnd: path.cc.cwnd(),
        srtt: RTT,
        mss: Mss(1000),
        since_loss: path.since_loss,
        between_losses: path.between_losses,
    };
    paths.iter().zip(0..).map(view).collect()
}

/// Rates of the two paths and their ratio in percent, means over the seeds.
fn split(algorithm: Algorithm, one_in: [u64; 2]) -> (u64, u64, u64) {
    split_by(Signal::Loss, algorithm, one_in)
}

fn split_by(signal: Signal, algorithm: Algorithm, one_in: [u64; 2]) -> (u64, u64, u64) {
    let runs: Vec<_> = (0..3).map(|seed| settle_by(signal, algorithm, &one_in, seed)).collect();
    let mean = |i: usize| runs.iter().map(|r| r[i]).sum::<u64>() / 3;
    (mean(0), mean(1), mean(0) * 100 / mean(1))
}

/// Whether `got` is within `tolerance` percent of `expected`.
fn near(got: u64, expected: u64, tolerance: u64) -> bool {
    got.abs_diff(expected) * 100 <= expected * tolerance
}

#[test]
fn lia_splits_by_the_inverse_of_loss_and_takes_what_the_best_path_gives_a_tcp() {
    let reno = settle(Algorithm::NewReno, &[4000], 0)[0];
    for times in [2, 4] {
        let (best, other, ratio) = split(Algorithm::Lia, [4000, 4000 / times]);
        assert!(near(ratio, times * 100, 10), "loss 1:{times} gives a ratio of {ratio} %");
        assert!(near(best + other, reno, 7), "{best} + {other} beside {reno}");
    }
}

/// The fixed point is one of smooth rates. A loss takes half or more of a window, and BALIA feels
/// the swing twice, since a = max x / x_r goes by the rate that is the larger at the moment: in
/// the mean of long runs losses split 2.63 and 4.9. A mark takes two fifths of what a loss takes, on
/// either path, which leaves the fixed point where it is, and the swings are smaller.
#[test]
fn balia_splits_as_its_fixed_point_says_the_more_the_smaller_its_steps() {
    for (times, expected, by_loss) in [(2, 318, 263), (4, 539, 490)] {
        let one_in = [4000, 4000 / times];
        let (.., ratio) = split_by(Signal::Ecn, Algorithm::Balia, one_in);
        assert!(near(ratio, expected, 15), "marks 1:{times} give a ratio of {ratio} %");
        let (.., ratio) = split(Algorithm::Balia, one_in);
        assert!(near(ratio, by_loss, 15), "losses 1:{times} give a ratio of {ratio} %");
    }
}

/// From its one segment the worse path's window grows by 1/w_total a packet until the next loss:
/// with w_total of 80 by 1000/80 packets at a loss of 1/1000, and by 1 at 1/100.
#[test]
fn coupled_leaves_the_worse_path_but_for_probing() {
    for (times, most) in [(4, 8_000), (40, 2_000)] {
        let (best, other, _) = split(Algorithm::Coupled, [4000, 4000 / times]);
        assert!(best > 60_000 && other <= most, "loss 1:{times} gives {best} and {other}");
    }
}

/// The fluid model leaves the worse path to probing alone. Here the runs between losses, from which
/// OLIA reads which path is best, are random: the worse one looks best now and then, and gains
/// window for as long.
#[test]
fn olia_leaves_the_worse_path_as_far_as_chance_tells_it_apart() {
    for (times, most) in [(4, 10_000), (40, 2_000)] {
        let (best, other, _) = split(Algorithm::Olia, [4000, 4000 / times]);
        assert!(best > 55_000 && other <= most, "loss 1:{times} gives {best} and {other}");
    }
}

#[test]
fn ewtcp_takes_half_a_tcp_on_each_of_two_paths() {
    let tcp = |one_in| settle(Algorithm::NewReno, &[one_in], 0)[0];
    let (best, other, _) = split(Algorithm::Ewtcp, [4000, 1000]);
    assert!(near(best, tcp(4000) / 2, 7) && near(other, tcp(1000) / 2, 7), "{best}, {other}");
}
