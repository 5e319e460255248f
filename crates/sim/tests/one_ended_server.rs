//! A server with several paths that answers request after request on one TCP connection, to a client
//! that knows nothing of it: no slower than over the best of the paths alone, and no byte lost.
//!
//! Requests come by ways of 10 ms, whichever path is measured.

use std::fmt::Write as _;
use std::path::Path;

use manypath_sim::{Experiment, Outcome, Overrides};

const BAR: f64 = 0.95;
/// Of networks that lose; those that do not differ by what pings repeat alone.
const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Rate, delay one way and loss.
type Link = (&'static str, &'static str, &'static str);

const FAST: Link = ("20Mbps", "10ms", "0%");
const SLOW: Link = ("10Mbps", "40ms", "0%");
const FAR: Link = ("20Mbps", "100ms", "0%");
const THIN: Link = ("2Mbps", "10ms", "0%");
const LOSSY: Link = ("20Mbps", "10ms", "2%");

/// Requests over some links, each for so much.
fn run(links: &[Link], (response, gap): (&str, &str), seed: u64) -> Outcome {
    let mut text = String::from("title = \"requests\"\nduration = \"20s\"\nwarmup = \"1s\"\n");
    for (i, (rate, delay, loss)) in links.iter().enumerate() {
        let _ = write!(
            text,
            "[link.l{i}]\nends = [\"server\", \"client\"]\nrate = \"{rate}\"\ndelay = \"{delay}\"\n\
             queue = \"1bdp\"\nloss = \"{loss}\"\nback.rate = \"none\"\nback.delay = \"10ms\"\n\
             back.loss = \"0%\"\n"
        );
    }
    let _ = write!(
        text,
        "[stack]\nnagle = false\ncc = \"lia\"\n[host.server]\none-address = true\n\
         [flow.f]\nfrom = \"client\"\nto = \"server\"\ntcp = true\nchecked = true\n\
         workload.requests = {{ request = \"300B\", response = \"{response}\", gap = \"{gap}\" }}\n"
    );
    let experiment = Experiment::parse("requests.toml", &text, Path::new("."));
    let experiment = experiment.expect("it is right");
    let case = experiment.cases()[0];
    experiment.run(case, seed, &Overrides::default()).expect("it runs")
}

/// The mean time of a request over the best link alone, by that over all of them.
fn score(links: &[Link], what: (&str, &str)) -> f64 {
    let loses = links.iter().any(|(.., loss)| *loss != "0%");
    let seeds = if loses { &SEEDS[..] } else { &SEEDS[..2] };
    let time = |links: &[Link]| -> f64 {
        let times = seeds.iter().map(|&seed| {
            let values = run(links, what, seed).values;
            assert_eq!((values["flow.f.corrupt"], values["flow.f.failed"]), (0.0, 0.0));
            values["flow.f.time"]
        });
        times.sum()
    };
    let alone = links.iter().map(|&link| time(&[link])).fold(f64::MAX, f64::min);
    alone / time(links)
}

fn hold(links: &[Link]) {
    let gaps = ["1ms", "100ms"];
    let sizes = ["4KB", "20KB", "60KB", "150KB", "400KB", "2MB"];
    let whats = gaps.iter().flat_map(|&gap| sizes.iter().map(move |&size| (size, gap)));
    let scores: Vec<_> = whats.map(|what| (what, score(links, what))).collect();
    println!("{links:?}: {scores:.3?}");
    let bad: Vec<_> = scores.iter().filter(|(_, ratio)| *ratio < BAR).collect();
    assert!(bad.is_empty(), "{links:?}: {bad:?}");
}

#[test]
fn many_requests_over_equal_paths() {
    hold(&[FAST, FAST]);
}

#[test]
fn many_requests_beside_a_slow_path() {
    hold(&[FAST, SLOW]);
    hold(&[SLOW, FAST]);
}

#[test]
fn many_requests_beside_a_far_path() {
    hold(&[FAST, FAR]);
    hold(&[FAR, FAST]);
}

#[test]
fn many_requests_beside_a_thin_path() {
    hold(&[FAST, THIN]);
    hold(&[THIN, FAST]);
}

#[test]
fn many_requests_beside_a_path_that_loses() {
    hold(&[FAST, LOSSY]);
    hold(&[LOSSY, FAST]);
}
