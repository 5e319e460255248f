//! `manypath bench`: how fast manypath is, beside the kernel's MPTCP.
//!
//! **Owns** the scenarios and their report. **Invariants**: every figure is measured in this run;
//! what cannot be measured is `null`, with a reason; rounds of manypath and of the kernel take turns.
//! **Leaves out** hosts (`manypath_lab`).

mod child;
mod compare;
mod end;
mod hosts;
mod idle;
mod machine;
mod network;
mod round;
mod scenarios;
mod simulated;
mod stats;

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::time::Duration;

use manypath_lab::{Capability, MPTCP_LAB, kernel};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::runtime::{self, until_interrupted};
use compare::{COLUMNS, Compared, Way, compare};
use hosts::Link;
use idle::Idle;
use round::Window;
use scenarios::Scenario;
use simulated::Simulated;

/// Bytes that are hashed, once for each configuration.
const HASHED: u64 = 256 << 20;

/// Measures how fast manypath is, with the kernel's MPTCP as its peer; with --against linux also the
/// kernel in its place, by turns. Makes hosts of its own (network namespaces) for every round and
/// takes them down. Needs root and a kernel with MPTCP, and an idle machine to mean anything.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Processor time is in seconds for a gigabyte, or for a million answers: of \
the process at each end, and of the whole machine, which counts what the kernel does outside of \
processes.\n\nExample:\n  manypath bench --against linux --json\n  \
manypath bench bulk --against linux --rounds 1 --seconds 1\n  manypath bench long paths --against linux --only sender"
)]
pub(crate) struct Args {
    /// What to measure; everything if not said
    #[arg(value_enum)]
    what: Vec<Scenario>,
    /// Measure this in manypath's place too
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// How often; medians are reported
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each round, after a warm-up of a fifth of it
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// What is between manypath and its peer; `packet` for packets of 1,500 bytes and `tun` else, if
    /// not said. The kernel's two ends have veth pairs
    #[arg(long, value_enum)]
    link: Option<Link>,
    /// Shards of manypath; one for each processor where there are many connections, and else 1, if not
    /// said. Over packet sockets there is always 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: Option<u32>,
    /// Idle connections to hold
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = connections)]
    connections: usize,
    /// Only what has this text in its description, such as "8 x" or "receiver"
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// One end of a measurement
    #[arg(long, hide = true, value_name = "JSON")]
    end: Option<String>,
}

/// Whom manypath is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Against {
    /// The kernel's MPTCP
    Linux,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    time.filter(|t| !t.is_zero()).ok_or_else(|| "expected seconds above 0, such as 0.5".to_owned())
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (100..=1_000_000).contains(n));
    number.ok_or_else(|| "expected a number from 100 to 1000000".to_owned())
}

/// What a run came to.
#[derive(Debug, Serialize)]
struct Report {
    kernel: String,
    processors: usize,
    rounds: u32,
    seconds: f64,
    /// Why there are no cycles and instructions.
    no_counters: Option<String>,
    #[serde(flatten)]
    measured: Measured,
}

/// The figures, by kind.
#[derive(Debug, Default, Serialize)]
struct Measured {
    results: Vec<Compared>,
    idle: Vec<Idle>,
    sim: Vec<Simulated>,
}

/// Runs the command.
///
/// # Errors
/// When the machine lacks something, or a measurement failed or damaged data.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    if let Some(spec) = &args.end {
        return end::run(spec);
    }
    able(&args.what)?;
    let runtime = runtime::new()?;
    runtime.spawn(async {
        until_interrupted(std::future::pending::<()>()).await;
        child::INTERRUPTED.store(true, Ordering::Relaxed);
    });
    let way = Way {
        link: args.link,
        shards: args.shards,
        rounds: args.rounds,
        window: Window { warm_up: args.seconds / 5, length: args.seconds },
        against_linux: args.against.is_some(),
        hashed: HASHED,
    };
    let measured = measure(&way, args)?;
    let report = Report {
        kernel: kernel(),
        processors: runtime::processors(),
        rounds: way.rounds,
        seconds: args.seconds.as_secs_f64(),
        no_counters: end::Counters::start().err().map(|error| error.to_string()),
        measured,
    };
    output::summary(&report, json)?;
    match report.measured.unsound(args.connections) {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of the measurements failed"))),
    }
}

/// What these scenarios need of the machine.
fn able(what: &[Scenario]) -> Result<(), Failure> {
    let chosen = if what.is_empty() { Scenario::ALL } else { what };
    let hosts = chosen.iter().any(|scenario| *scenario != Scenario::Sim);
    let mtu = chosen.contains(&Scenario::Mtu);
    let hosts = if hosts { MPTCP_LAB } else { &[] };
    let ethtool = mtu.then_some(Capability::Program("ethtool"));
    let missing = hosts.iter().copied().chain(ethtool).find_map(Capability::missing);
    missing.map_or(Ok(()), |missing| Err(Failure::Usage(format!("bench: {missing}"))))
}

fn measure(way: &Way, args: &Args) -> Result<Measured, Failure> {
    let chosen = if args.what.is_empty() { Scenario::ALL } else { &args.what };
    let mut measured = Measured::default();
    eprintln!("{COLUMNS}");
    for scenario in chosen {
        let only = args.only.as_deref().unwrap_or_default();
        for case in scenario.cases().iter().filter(|case| case.to_string().contains(only)) {
            measured.results.push(told(compare(way, case))?);
        }
        if *scenario == Scenario::Idle {
            for subflows in [1, 2] {
                measured.idle.push(told(idle::measure(way, args.connections, subflows))?);
            }
        }
        if *scenario == Scenario::Sim {
            for simulated in simulated::measure()? {
                measured.sim.push(told(simulated)?);
            }
        }
    }
    Ok(measured)
}

/// Shows a result as it comes; the user may have ended the run meanwhile.
fn told<T: Display>(result: T) -> Result<T, Failure> {
    if child::INTERRUPTED.load(Ordering::Relaxed) {
        return Err(Failure::Failed("interrupted".to_owned()));
    }
    eprintln!("{result}");
    Ok(result)
}

impl Measured {
    /// How many measurements failed.
    fn unsound(&self, connections: usize) -> usize {
        let compared = self.results.iter().filter(|result| !result.is_sound()).count();
        compared + self.idle.iter().filter(|idle| !idle.is_sound(connections)).count()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { kernel, processors, rounds, seconds, measured, .. } = self;
        writeln!(
            f,
            "{kernel}, {processors} processors, medians of {rounds} rounds of \
             {seconds} s; Gbit/s, or answers a second"
        )?;
        let Measured { results, idle, sim } = measured;
        if !results.is_empty() {
            writeln!(f, "{COLUMNS}")?;
        }
        results.iter().try_for_each(|result| writeln!(f, "{result}"))?;
        idle.iter().try_for_each(|idle| writeln!(f, "{idle}"))?;
        sim.iter().try_for_each(|sim| writeln!(f, "{sim}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(["0", "-1", "x"].iter().all(|wrong| seconds(wrong).is_err()));
    }
}
