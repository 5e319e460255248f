//! One TCP connection over several paths where networks misbehave: delays that move, paths that come and
//! go, queues of seconds, lost acknowledgments, packets out of order. Nowhere worse than over the best
//! of the paths alone, and no byte lost.
//!
//! Acknowledgments come back over the first link's way back, whichever path is measured.

use std::fmt::Write as _;
use std::path::Path;

use manypath_sim::{Experiment, Outcome, Overrides};

const BAR: f64 = 0.95;
const SEEDS: [u64; 2] = [1, 2];

/// 20 Mb/s and 10 ms, 10 Mb/s and 40 ms, one way.
const FAST: &str = "rate = \"20Mbps\"\ndelay = \"10ms\"\nqueue = \"1bdp\"\n";
const SLOW: &str = "rate = \"10Mbps\"\ndelay = \"40ms\"\nqueue = \"1bdp\"\n";

/// A network, and what happens in it.
struct Trouble {
    name: &'static str,
    /// What the file says of each link.
    links: Vec<String>,
    /// Of their ways back.
    back: &'static str,
    /// Of both hosts' stacks.
    stack: &'static str,
    /// When, in milliseconds, and on which link, by its number, what happens on the way there.
    events: Vec<(u32, usize, String)>,
}

fn trouble(name: &'static str, links: &[&str]) -> Trouble {
    let links = links.iter().map(|&link| link.to_owned()).collect();
    Trouble { name, links, back: "", stack: "", events: Vec::new() }
}

/// The links with more said of each.
fn with(name: &'static str, links: &[&str], more: &str) -> Trouble {
    let mut trouble = trouble(name, links);
    trouble.links.iter_mut().for_each(|link| link.push_str(more));
    trouble
}

/// Every so many milliseconds the next of these is true of a link.
fn turns(name: &'static str, links: &[&str], link: usize, every: u32, whats: &[&str]) -> Trouble {
    let at = (1..).map(|n| n * every + 1_000).take_while(|&at| at < 10_000);
    let events = at.zip(whats.iter().cycle()).map(|(at, what)| (at, link, (*what).to_owned()));
    Trouble { events: events.collect(), ..trouble(name, links) }
}

impl Trouble {
    /// The experiment of some of the links.
    fn file(&self, links: &[usize]) -> String {
        let mut text = String::from("title = \"trouble\"\nduration = \"12s\"\n");
        let delay = if self.links[0].contains("10ms") { "10ms" } else { "40ms" };
        for &i in links {
            let _ = write!(
                text,
                "[link.l{i}]\nends = [\"client\", \"server\"]\n{}back.rate = \"none\"\n\
                 back.delay = \"{delay}\"\n{}\n",
                self.links[i], self.back
            );
        }
        let _ = write!(
            text,
            "[stack]\n{}\n[host.client]\none-address = true\n[flow.f]\nfrom = \"client\"\n\
             to = \"server\"\ncc = \"lia\"\nchecked = true\none-ended = {}\ntcp = {}\n",
            self.stack,
            links.len() > 1,
            links.len() == 1
        );
        for (at, link, what) in self.events.iter().filter(|(_, link, _)| links.contains(link)) {
            let event = format!("at = \"{at}ms\"\nlink = \"l{link}\"\nways = \"there\"\n{what}");
            let _ = write!(text, "[[event]]\n{event}\n");
        }
        text
    }

    fn run(&self, links: &[usize], seed: u64) -> Outcome {
        let file = self.file(links);
        let experiment = Experiment::parse("trouble.toml", &file, Path::new("."));
        let experiment = experiment.expect("it is right");
        let case = experiment.cases()[0];
        experiment.run(case, seed, &Overrides::default()).expect("it runs")
    }

    /// Goodput of all paths by that of the best alone, and whether any byte was wrong.
    fn score(&self) -> (f64, bool) {
        let all: Vec<usize> = (0..self.links.len()).collect();
        let goodput = |run: &Outcome| run.values["flow.f.goodput"];
        let alone = |&i: &usize| SEEDS.iter().map(|&s| goodput(&self.run(&[i], s))).sum();
        let best: f64 = all.iter().map(alone).fold(0.0, f64::max);
        let runs: Vec<Outcome> = SEEDS.iter().map(|&seed| self.run(&all, seed)).collect();
        let corrupt = runs.iter().any(|run| run.values["flow.f.corrupt"] > 0.0);
        (runs.iter().map(goodput).sum::<f64>() / best, corrupt)
    }
}

fn hold(troubles: &[Trouble]) {
    let scores: Vec<_> = troubles.iter().map(|t| (t.name, t.score())).collect();
    println!("{scores:#?}");
    let bad = scores.iter().filter(|(_, (ratio, corrupt))| *ratio < BAR || *corrupt);
    assert_eq!(bad.count(), 0, "{scores:#?}");
}

const DEAD: &str = "loss = \"100%\"";
const WELL: &str = "loss = \"0%\"";

#[test]
fn delays_and_rates_that_move() {
    let delays = ["20ms", "80ms", "160ms", "80ms", "20ms"].map(|ms| format!("delay = \"{ms}\""));
    let stairs: Vec<&str> = delays.iter().map(String::as_str).collect();
    let flips = ["delay = \"60ms\"", "delay = \"10ms\""];
    hold(&[
        turns("stairs, second", &[FAST, SLOW], 1, 1_000, &stairs),
        turns("stairs, first", &[FAST, SLOW], 0, 1_000, &stairs),
        turns("flips, second", &[FAST, SLOW], 1, 300, &flips),
        turns("flips, first", &[FAST, SLOW], 0, 300, &flips),
        turns("rates", &[FAST, FAST], 1, 900, &["rate = \"1Mbps\"", "rate = \"20Mbps\""]),
    ]);
}

#[test]
fn paths_that_die_and_come_back() {
    let flaps = [DEAD, WELL];
    let dead = format!("{SLOW}{DEAD}\n");
    hold(&[
        turns("second, each second", &[FAST, SLOW], 1, 1_000, &flaps),
        turns("first, each second", &[FAST, SLOW], 0, 1_000, &flaps),
        turns("slow first, each second", &[SLOW, FAST], 0, 1_000, &flaps),
        turns("slow first, ten times a second", &[SLOW, FAST], 0, 100, &flaps),
        turns("loses a tenth at times", &[FAST, FAST], 1, 1_000, &["loss = \"10%\"", WELL]),
        trouble("three of four are dead from the start", &[FAST, &dead, &dead, &dead]),
    ]);
}

#[test]
fn queues_acknowledgments_order_and_marks() {
    let bloat = SLOW.replace("1bdp", "2500KB");
    let tiny = |link: &str| link.replace("1bdp", "10KB");
    let small = "receive-buffer = \"256KB\"";
    hold(&[
        trouble("two seconds of queue", &[FAST, &bloat]),
        trouble("two seconds of queue, first", &[&bloat, FAST]),
        Trouble { stack: small, ..trouble("the same, 256 KB", &[FAST, &bloat]) },
        trouble("queues of seven packets", &[&tiny(FAST), &tiny(SLOW)]),
        with("CoDel", &[FAST, SLOW], "aqm = { codel = {} }\n"),
        with("out of order", &[FAST, SLOW], "reorder = \"5%\"\nreorder-delay = \"20ms\"\n"),
        Trouble { back: "back.loss = \"40%\"", ..trouble("acknowledgments lost", &[FAST, SLOW]) },
        with("twice", &[FAST, SLOW], "duplicate = \"5%\"\n"),
        Trouble { stack: "ecn = true", ..with("marks", &[FAST, SLOW], "mark-from = \"20KB\"\n") },
    ]);
}
