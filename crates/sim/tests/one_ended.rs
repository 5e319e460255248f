//! One TCP connection over several paths to receivers that know nothing of it, over many networks:
//! nowhere worse than over the best of the paths alone, and no byte lost.
//!
//! The table of `docs/one-ended.md` is what `the_whole_table` prints:
//!
//! ```sh
//! cargo test --release -p manypath-sim --test one_ended -- --ignored --nocapture
//! ```

mod networks;

use std::thread;

use networks::{Cell, Link, RECEIVERS, Receiver, Score, Size, every_cell};

/// The least that all paths together carry of what the best carries alone.
const BAR: f64 = 0.95;

/// Enough that the mean says something where packets are lost at random.
const SEEDS: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// A further path beside 20 Mb/s and 10 ms: its part of the rate and times the delay.
fn beside(rate: f64, delay: u32) -> Link {
    Link { kbps: kbps(rate), delay: 10 * delay, loss: "0%" }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small")]
fn kbps(part: f64) -> u32 {
    (part * 20_000.0) as u32
}

fn first() -> Link {
    beside(1.0, 1)
}

fn cell(links: &[Link], receiver: &'static Receiver, size: Size) -> Cell {
    Cell { links: links.to_vec(), receiver, size }
}

/// Runs cells on all processors, each with these seeds.
fn scores(cells: &[Cell], seeds: &[u64]) -> Vec<Score> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = cells.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let run = |cells: &'_ [Cell]| cells.iter().map(|c| c.score(seeds)).collect::<Vec<_>>();
        let started: Vec<_> =
            cells.chunks(part).map(|cells| scope.spawn(move || run(cells))).collect();
        started.into_iter().flat_map(|t| t.join().expect("a run does not panic")).collect()
    })
}

#[test]
fn several_paths_do_no_worse_than_the_best_of_them() {
    let lossy = |link: Link, loss| Link { loss, ..link };
    let unequal = [first(), beside(0.5, 4)];
    let mut cells: Vec<Cell> =
        RECEIVERS.iter().map(|receiver| cell(&unequal, receiver, Size::Long)).collect();
    let plain = &RECEIVERS[0];
    let networks = [
        vec![first(), first()],
        vec![first(), beside(0.1, 10)],
        vec![first(), beside(4.0, 4)],
        vec![first(), lossy(beside(0.5, 4), "2%")],
        vec![lossy(first(), "1%"), beside(0.5, 4)],
        vec![first(), first(), beside(0.5, 4)],
        vec![first(), first(), first(), beside(0.25, 10)],
    ];
    cells.extend(networks.iter().map(|links| cell(links, plain, Size::Long)));
    cells.push(cell(&unequal, plain, Size::Bytes(64 << 10)));
    cells.push(cell(&unequal, plain, Size::Bytes(1 << 20)));
    let scores = scores(&cells, &[1]);
    for (cell, score) in cells.iter().zip(&scores) {
        println!("{:.3} {cell}", score.ratio);
    }
    let bad: Vec<_> =
        cells.iter().zip(&scores).filter(|(_, s)| s.ratio < BAR || s.corrupt).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// A better path is proven a round trip after the handshake, by then with a window as if it had had the
/// first flight; and what is under way on the first, which loses, is repeated at the end.
#[test]
fn short_transfers_leave_a_worse_first_path() {
    let lossy = Link { loss: "2%", ..first() };
    let cells: Vec<Cell> = [192, 256, 512, 1_024, 2_048]
        .iter()
        .flat_map(|kb| [(lossy, beside(4.0, 1), kb), (beside(0.1, 1), first(), kb)])
        .map(|(worse, better, kb)| cell(&[worse, better], &RECEIVERS[0], Size::Bytes(kb << 10)))
        .collect();
    for (cell, score) in cells.iter().zip(scores(&cells, &SEEDS)) {
        println!("{:.3} {cell}", score.ratio);
        assert!(score.ratio >= BAR && !score.corrupt, "{cell}: {score:?}");
    }
}

/// The second path has a window by the time that the first is done: it must not keep the end of a
/// transfer that the first would deliver sooner.
#[test]
fn short_transfers_do_not_wait_for_a_slow_second_path() {
    for kb in [64, 128, 192, 256, 384, 512] {
        let cell = cell(&[first(), beside(0.5, 4)], &RECEIVERS[0], Size::Bytes(kb << 10));
        let score = cell.score(&[1, 2]);
        println!("{:.3} {cell}", score.ratio);
        assert!(score.ratio >= BAR && !score.corrupt, "{cell}: {score:?}");
    }
}

/// Where the window is short of what the paths could fill.
#[test]
fn slow_paths_leave_the_window_to_those_that_need_it() {
    let named = |name| RECEIVERS.iter().find(|r| r.name == name).expect("it is there");
    let lossy = |link: Link| Link { loss: "2%", ..link };
    let (far, thin) = (beside(1.0, 10), lossy(beside(0.1, 10)));
    // A path that the window keeps from filling its own slows the other's down no more.
    let two = cell(&[lossy(first()), far], named("no window scale"), Size::Long);
    // The fastest path carries little, the next all: that one must not wait for the slow ones.
    let four = [lossy(first()), thin, first(), thin];
    let four = cell(&four, named("512 KB"), Size::Long);
    for (cell, score) in [&two, &four].iter().zip(scores(&[two.clone(), four.clone()], &SEEDS)) {
        assert!(score.ratio >= BAR && !score.corrupt, "{cell}: {score:?}");
    }
}

#[test]
fn over_ipv6_all_paths_carry() {
    let receiver = RECEIVERS.iter().find(|r| r.name == "IPv6").expect("it is there");
    let score = cell(&[first(), first()], receiver, Size::Bytes(4 << 20)).score(&[1]);
    assert_eq!((score.paths, score.corrupt), (2, false));
    assert!(score.ratio >= 1.3, "{score:?}");
}

#[test]
fn a_receiver_without_sack_gets_one_path() {
    let receiver =
        RECEIVERS.iter().find(|r| r.stack.contains("sack = false")).expect("it is there");
    let score = cell(&[first(), first()], receiver, Size::Bytes(1 << 20)).score(&[1]);
    assert_eq!((score.paths, score.corrupt), (1, false));
}

#[test]
#[ignore = "the whole table takes half an hour"]
fn the_whole_table() {
    let part = std::env::var("PART").map_or(1, |n| n.parse().expect("a number"));
    let cells: Vec<Cell> = every_cell().into_iter().step_by(part).collect();
    let seeds = std::env::var("SEEDS").map_or(3, |n| n.parse().expect("a number"));
    let scores = scores(&cells, &(1..=seeds).collect::<Vec<u64>>());
    println!("{}", networks::table(&cells, &scores));
    let mut below: Vec<_> = cells.iter().zip(&scores).filter(|(_, s)| s.ratio < BAR).collect();
    below.sort_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio));
    for (cell, score) in &below {
        println!("below: {:.3} {cell}", score.ratio);
    }
    assert!(below.is_empty(), "{} of {} cells", below.len(), cells.len());
}
