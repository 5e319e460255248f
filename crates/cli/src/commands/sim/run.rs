//! `manypath sim run`: one file, one seed, every case.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use manypath::{CongestionControl, Scheduler};
use manypath_sim::{Carriage, Experiment, Outcome, Overrides};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{self, Output};

/// Options of `sim run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Rates are in Mb/s, times in milliseconds, losses shares of packets.\n\n\
Example:\n  manypath sim run experiments/3-torus.toml --case lia --seed 7")]
pub(super) struct Args {
    /// Experiment file
    file: PathBuf,
    /// Seed; the first of the file if none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Congestion control of every multipath flow instead of the file's
    #[arg(long, value_name = "NAME")]
    cc: Option<CongestionControl>,
    /// Scheduler of every flow instead of the file's
    #[arg(long, value_name = "NAME")]
    scheduler: Option<Scheduler>,
    /// Run this case only
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Take windows, queues and rates down every so many seconds, where the file says none
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    sample: Option<Duration>,
    /// Let packets travel as bytes, as on a real network: slower, with the same results
    #[arg(long)]
    bytes: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    time.filter(|t| !t.is_zero()).ok_or_else(|| "expected seconds above 0, such as 0.1".to_owned())
}

/// Runs the file and prints what was measured.
///
/// # Errors
/// When the file is wrong.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let usage = |error: manypath_sim::FileError| Failure::Usage(error.to_string());
    let experiment = Experiment::load(&args.file).map_err(usage)?;
    let Args { cc, scheduler, sample, .. } = args;
    let carriage = if args.bytes { Carriage::Bytes } else { Carriage::Values };
    let (cc, scheduler) = (cc.map(|cc| cc.to_string()), scheduler.map(|s| s.to_string()));
    let overrides = Overrides { cc, scheduler, sample: *sample, carriage };
    let seed = args.seed.or(experiment.seeds().first().copied()).unwrap_or(1);
    let wanted = |case: &&str| args.case.as_deref().is_none_or(|name| name == *case);
    let cases: Vec<&str> = experiment.cases().into_iter().filter(wanted).collect();
    if cases.is_empty() {
        let all = experiment.cases().join(", ");
        return Err(Failure::Usage(format!("--case: choose one of {all}")));
    }
    let mut runs = Vec::new();
    for case in cases {
        let begun = Instant::now();
        let outcome = experiment.run(case, seed, &overrides).map_err(usage)?;
        runs.push((outcome, begun.elapsed()));
    }
    if json {
        let cases: Vec<Value> = runs.iter().map(|(o, wall)| as_json(o, *wall)).collect();
        return output::json(&json!({
            "title": experiment.title(), "seed": seed, "cases": cases,
            "peak_memory_bytes": peak_memory(),
        }));
    }
    let mut out = Output::new();
    for (outcome, wall) in &runs {
        out.text(&as_text(outcome, *wall))?;
    }
    out.finish()
}

/// The most memory that this process has had resident, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    u64::try_from(usage.max_rss()).ok().map(|kibibytes| kibibytes * 1024)
}

/// Events a second, rounded down.
fn per_second(events: u64, wall: Duration) -> u64 {
    let nanos = wall.as_nanos().max(1);
    u64::try_from(u128::from(events) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

fn as_json(outcome: &Outcome, wall: Duration) -> Value {
    json!({
        "case": outcome.case,
        "seed": outcome.seed,
        "trace_hash": format!("{:016x}", outcome.trace_hash),
        "events": outcome.events,
        "events_per_s": per_second(outcome.events, wall),
        "handled": outcome.handled,
        "wall_s": wall.as_secs_f64(),
        "values": outcome.values,
        "series": outcome.series,
    })
}

fn as_text(outcome: &Outcome, wall: Duration) -> String {
    let mut text = String::new();
    let Outcome { case, seed, trace_hash, events, .. } = outcome;
    // Writing to a string cannot fail.
    let _ok = writeln!(
        text,
        "case {case}, seed {seed}: trace {trace_hash:016x}, {events} events, {} a second",
        per_second(*events, wall)
    );
    for (name, value) in &outcome.values {
        let _ok = writeln!(text, "  {name:40} {value:12.4}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_some_memory_and_not_all_of_it() {
        let peak = peak_memory().expect("the system tells");
        assert!((1 << 20..1 << 40).contains(&peak), "{peak}");
    }

    #[test]
    fn a_rate_is_per_second_of_wall_time() {
        assert_eq!(per_second(3_000_000, Duration::from_millis(500)), 6_000_000);
        assert_eq!(per_second(1, Duration::ZERO), 1_000_000_000);
    }
}
