//! `manypath sim check`: the built-in experiments against what was published.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use manypath_sim::{Experiment, FileError, Outcome, Overrides, Verdict, shipped};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{self, Output};
use crate::progress;
use crate::runtime;

/// Options of `sim check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  manypath sim check\n  manypath sim check torus 7 --json")]
pub(super) struct Args {
    /// Experiments: names or parts of names; all if none is given
    names: Vec<String>,
}

/// One simulation: experiment, case and seed.
type Job<'a> = (usize, &'a str, u64);

/// Runs what something is expected of on all cores and prints the verdicts.
///
/// # Errors
/// When an expectation does not hold.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let experiments = chosen(&args.names)?;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (i, (_, experiment)) in experiments.iter().enumerate() {
        for case in experiment.judged_cases() {
            jobs.extend(experiment.seeds().iter().map(|&seed| (i, case, seed)));
        }
    }
    // Longest first, so that no core is left with a long one at the end.
    jobs.sort_by_cached_key(|&(i, case, _)| Reverse(experiments[i].1.work(case)));
    let results = run_all(&experiments, &jobs);
    let mut rows = Vec::new();
    for (i, (name, experiment)) in experiments.iter().enumerate() {
        let (mut outcomes, mut failures) = (Vec::new(), BTreeMap::new());
        for ((_, case, _), result) in jobs.iter().zip(&results).filter(|(job, _)| job.0 == i) {
            match result {
                Ok(outcome) => outcomes.push(outcome.clone()),
                Err(error) => drop(failures.insert((*case).to_owned(), error.to_string())),
            }
        }
        let verdicts = experiment.judge(&outcomes, &failures);
        rows.extend(verdicts.into_iter().map(|verdict| (*name, verdict)));
    }
    print(&rows, &costs(&experiments, &jobs, &results), json)?;
    let failed = rows.iter().filter(|(_, verdict)| !verdict.holds()).count();
    match failed {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} expectations do not hold", rows.len()))),
    }
}

fn chosen(names: &[String]) -> Result<Vec<(&'static str, Experiment)>, Failure> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part));
    let mut out = Vec::new();
    for (name, experiment) in shipped().filter(|(name, _)| wanted(name)) {
        out.push((name, experiment.map_err(|error| Failure::Failed(error.to_string()))?));
    }
    if out.is_empty() {
        return Err(Failure::Usage("no experiment has such a name; see `sim list`".to_owned()));
    }
    Ok(out)
}

/// Runs every job, as many at a time as there are cores; results in the order of the jobs.
fn run_all(
    experiments: &[(&str, Experiment)],
    jobs: &[Job<'_>],
) -> Vec<Result<Outcome, FileError>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let bar = progress::steps(u64::try_from(jobs.len()).unwrap_or(u64::MAX));
    let work = || {
        while let Some((i, &(experiment, case, seed))) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            jobs.get(i).map(|job| (i, job))
        } {
            let result = experiments[experiment].1.run(case, seed, &Overrides::default());
            results.lock().expect("no job panics while it holds the lock").insert(i, result);
            bar.inc(1);
        }
    };
    thread::scope(|scope| {
        for _ in 0..runtime::processors() {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let results = results.into_inner().expect("no job panics while it holds the lock");
    results.into_values().collect()
}

/// Events of all runs of an experiment.
fn costs<'a>(
    experiments: &[(&'a str, Experiment)],
    jobs: &[Job<'_>],
    results: &[Result<Outcome, FileError>],
) -> BTreeMap<&'a str, u64> {
    let mut costs = BTreeMap::new();
    for ((i, ..), outcome) in jobs.iter().zip(results) {
        let events = outcome.as_ref().map_or(0, |outcome| outcome.events);
        *costs.entry(experiments[*i].0).or_default() += events;
    }
    costs
}

fn print(rows: &[(&str, Verdict)], costs: &BTreeMap<&str, u64>, json: bool) -> Result<(), Failure> {
    if json {
        let rows: Vec<Value> = rows.iter().map(|(name, verdict)| as_json(name, verdict)).collect();
        let events: u64 = costs.values().sum();
        return output::json(
            &json!({ "checks": rows, "events": events, "events_of_experiments": costs }),
        );
    }
    let mut out = Output::new();
    for (name, verdict) in rows {
        out.text(&as_text(name, verdict))?;
    }
    out.finish()
}

fn as_json(name: &str, verdict: &Verdict) -> Value {
    let Verdict { name: claim, expression, min, max, source, measured } = verdict;
    json!({
        "experiment": name,
        "claim": claim,
        "expression": expression,
        "expected": { "min": min, "max": max },
        "source": source,
        "measured": measured.as_ref().ok(),
        "error": measured.as_ref().err(),
        "holds": verdict.holds(),
    })
}

fn as_text(name: &str, verdict: &Verdict) -> String {
    let side = |bound: Option<f64>| bound.map_or(String::new(), |b| format!("{b:.3}"));
    let expected = format!("{} .. {}", side(verdict.min), side(verdict.max));
    let mark = if verdict.holds() { "holds" } else { "FAILS" };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ok = match &verdict.measured {
        Ok(value) => {
            writeln!(text, "{mark}  {name:22} {expected:>20} | {value:10.4}  {}", verdict.name)
        }
        Err(why) => writeln!(text, "{mark}  {name:22} {expected:>20} | {}: {why}", verdict.name),
    };
    text
}
