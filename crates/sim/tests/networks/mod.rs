//! Networks, receivers and transfers, and how several paths do in them beside the best of them.

use std::fmt::{self, Write as _};
use std::path::Path;

use manypath_sim::{Experiment, Outcome, Overrides};

/// One link from the sender to the receiver; acknowledgments come back over the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) kbps: u32,
    /// One way, in milliseconds.
    pub(crate) delay: u32,
    pub(crate) loss: &'static str,
}

/// A receiver, and what becomes of its acknowledgments.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) name: &'static str,
    /// What the file says of both hosts.
    pub(crate) hosts: &'static str,
    /// What it says of the receiver's stack.
    pub(crate) stack: &'static str,
    /// What it says of the way back.
    pub(crate) back: &'static str,
}

const fn receiver(name: &'static str, stack: &'static str, back: &'static str) -> Receiver {
    Receiver { name, hosts: "", stack, back }
}

pub(crate) static RECEIVERS: [Receiver; 10] = [
    receiver("ordinary", "", "back.loss = \"0%\""),
    receiver("no SACK", "sack = false", "back.loss = \"0%\""),
    receiver("no timestamps", "timestamps = false", "back.loss = \"0%\""),
    receiver("no window scale", "window-scale = false", "back.loss = \"0%\""),
    receiver("64 KB", "receive-buffer = \"64KB\"", "back.loss = \"0%\""),
    receiver("256 KB", "receive-buffer = \"256KB\"", "back.loss = \"0%\""),
    receiver("512 KB", "receive-buffer = \"512KB\"", "back.loss = \"0%\""),
    receiver("ACKs: 10 % lost", "", "back.loss = \"10%\""),
    receiver("ACKs: every 10 ms", "", "back.loss = \"0%\"\nback.bunch = \"10ms\""),
    Receiver { hosts: "ipv6 = true", ..receiver("IPv6", "", "back.loss = \"0%\"") },
];

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// As much as goes in 20 seconds, slow start included.
    Long,
    Bytes(u64),
}

/// One cell of the table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) links: Vec<Link>,
    pub(crate) receiver: &'static Receiver,
    pub(crate) size: Size,
}

/// How several paths did in a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    /// Of the best path alone: goodput, or the time that it took by the time that all took.
    pub(crate) ratio: f64,
    /// Paths that carried data.
    pub(crate) paths: usize,
    pub(crate) corrupt: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Link { kbps, delay, loss } in &self.links {
            write!(f, "{}M/{delay}ms/{loss} ", kbps / 1_000)?;
        }
        write!(f, "{} {:?}", self.receiver.name, self.size)
    }
}

impl Cell {
    /// The experiment of some of the links. Each link brings its own acknowledgments back if it is
    /// alone.
    fn file(&self, links: &[Link]) -> String {
        let Receiver { hosts, stack, back, .. } = self.receiver;
        let (duration, workload) = match self.size {
            Size::Long => (20, String::new()),
            Size::Bytes(n) => (60, format!("workload.bulk.bytes = \"{n}B\"\n")),
        };
        let mut text = format!("title = \"a cell\"\nduration = \"{duration}s\"\n");
        for (i, Link { kbps, delay, loss }) in links.iter().enumerate() {
            let _ = write!(
                text,
                "[link.l{i}]\nends = [\"client\", \"server\"]\nrate = \"{kbps}kbps\"\n\
                 delay = \"{delay}ms\"\nqueue = \"1bdp\"\nloss = \"{loss}\"\n\
                 back.rate = \"none\"\n{back}\n"
            );
        }
        let _ = write!(
            text,
            "[host.client]\none-address = true\n{hosts}\n[host.server]\n{hosts}\n[host.server.stack]\n{stack}\n\
             [flow.f]\nfrom = \"client\"\nto = \"server\"\ncc = \"lia\"\nchecked = true\n\
             one-ended = {}\ntcp = {}\n{workload}",
            links.len() > 1,
            links.len() == 1,
        );
        text
    }

    fn run(&self, links: &[Link], seed: u64) -> Outcome {
        let text = self.file(links);
        let experiment =
            Experiment::parse("cell.toml", &text, Path::new(".")).expect("it is right");
        let case = experiment.cases()[0];
        experiment.run(case, seed, &Overrides::default()).expect("it runs")
    }

    /// How fast: Mb/s, or transfers a second.
    fn speed(&self, links: &[Link], seed: u64) -> (f64, Outcome) {
        let outcome = self.run(links, seed);
        let value = |name: &str| outcome.values.get(name).copied();
        let speed = match self.size {
            Size::Long => value("flow.f.goodput").unwrap_or(0.0),
            Size::Bytes(_) => value("flow.f.time").map_or(0.0, f64::recip),
        };
        (speed, outcome)
    }

    /// Means over some seeds, those of the best path among them.
    pub(crate) fn score(&self, seeds: &[u64]) -> Score {
        let total = |links: &[Link]| -> f64 { seeds.iter().map(|&s| self.speed(links, s).0).sum() };
        // Without SACK, and for little data, it is the first path, whichever would be best.
        let first_only =
            self.receiver.stack == "sack = false" || self.size == Size::Bytes(64 << 10);
        let comparable = if first_only { 1 } else { self.links.len() };
        let best = self.links[..comparable].iter().map(|&link| total(&[link])).fold(0.0, f64::max);
        let (mut sum, mut paths, mut corrupt) = (0.0, 0, false);
        for &seed in seeds {
            let (speed, outcome) = self.speed(&self.links, seed);
            sum += speed;
            corrupt |= outcome.values["flow.f.corrupt"] > 0.0;
            let sent = |i: usize| outcome.values.get(&format!("flow.f.sub{i}.sent")).copied();
            let used = (0..self.links.len()).filter(|&i| sent(i).is_some_and(|n| n > 0.0));
            paths = paths.max(used.count());
        }
        Score { ratio: sum / best, paths, corrupt }
    }
}

/// Every combination, of which the table shows the least of each row.
pub(crate) fn every_cell() -> Vec<Cell> {
    let mut cells = Vec::new();
    let first = Link { kbps: 20_000, delay: 10, loss: "0%" };
    let losses = [("0%", "0%"), ("0%", "2%"), ("0.5%", "0%"), ("2%", "0%"), ("2%", "2%")];
    for count in 1..=3usize {
        for delay in [10, 20, 40, 100] {
            for kbps in [2_000, 10_000, 20_000, 80_000] {
                for (loss, other) in losses {
                    let second = Link { kbps, delay, loss: other };
                    let mut links = vec![Link { loss, ..first }];
                    // Of more than two paths those beyond the second are like the first two in turn.
                    links.extend([second, first, second].into_iter().take(count));
                    for receiver in &RECEIVERS {
                        cells.push(Cell { links: links.clone(), receiver, size: Size::Long });
                    }
                    for bytes in [64 << 10, 1 << 20] {
                        let (links, size) = (links.clone(), Size::Bytes(bytes));
                        cells.push(Cell { links, receiver: &RECEIVERS[0], size });
                    }
                }
            }
        }
    }
    cells
}

/// By receiver and size of the transfer, for each number of paths: the least and the median ratio.
pub(crate) fn table(cells: &[Cell], scores: &[Score]) -> String {
    let mut rows: Vec<(&'static str, Size)> = Vec::new();
    for cell in cells {
        let key = (cell.receiver.name, cell.size);
        if !rows.contains(&key) {
            rows.push(key);
        }
    }
    let mut out =
        String::from("| receiver, transfer | 2 paths | 3 paths | 4 paths |\n|---|---|---|---|\n");
    for (name, size) in rows {
        let _ = write!(out, "| {name}, {size:?} ");
        for count in 2..=4 {
            let of = |(cell, score): (&Cell, &Score)| {
                let here =
                    cell.receiver.name == name && cell.size == size && cell.links.len() == count;
                here.then_some(score.ratio)
            };
            let mut ratios: Vec<f64> = cells.iter().zip(scores).filter_map(of).collect();
            ratios.sort_by(f64::total_cmp);
            let (least, median) = (ratios.first(), ratios.get(ratios.len() / 2));
            let _ = write!(out, "| {:.2}, {:.2} ", least.unwrap_or(&0.0), median.unwrap_or(&0.0));
        }
        out.push_str("|\n");
    }
    out
}
