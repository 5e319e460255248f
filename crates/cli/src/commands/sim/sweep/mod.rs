//! `manypath sim sweep`: one experiment with many values and seeds, on all cores.
//!
//! **Owns** what is run, and what is left to run. **Invariants**: shards are disjoint, cover
//! everything, and know nothing of one another; a run that is finished is never run again.

mod grid;
mod journal;
mod table;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use grid::{Axis, Shard, Variant};
use indicatif::{ProgressBar, ProgressStyle};
use journal::{Header, Journal, Row, RunId};
use manypath_sim::{Experiment, Overrides};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use table::{Form, Table};

use crate::failure::Failure;
use crate::figures::hex;
use crate::output::{self, Output};
use crate::runtime;

/// The version of journals.
const FORMAT: u32 = 1;

/// Options of `sim sweep`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys are those of the file, with dots between their parts; values count in \
every case.\nFinished rows are kept in OUTPUT.journal: the same command continues after an \
interruption.\ndocs/sweeps.md shows sweeps over many machines.\n\nExample:\n  \
manypath sim sweep experiments/1-shared-bottleneck.toml --case lia \\\n    \
--vary flow.mp.cc=lia,olia,balia --vary topology.dumbbell.link.queue=0.5bdp,1bdp,2bdp \\\n    \
--seeds 10 -o results.parquet"
)]
pub(super) struct Args {
    /// Experiment file
    file: PathBuf,
    /// A key of the file and the values that it takes; every combination is run
    #[arg(long, value_name = "KEY=VALUE,...")]
    vary: Vec<Axis>,
    /// Run each with the seeds 1 to N; with those of the file if not given
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Run these cases only
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Run a part only: shards 0/N to N-1/N together are everything
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Simulations at a time; one on each core if not given
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// File for the results, ending in .csv or .parquet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// A run that is wanted.
struct Job<'a> {
    id: RunId,
    variant: &'a Variant,
    /// SHA-256 of what decides its result.
    identity: &'a str,
}

/// Runs what is not finished yet, and writes the table.
///
/// # Errors
/// When the file, a key, a value or the output is wrong.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let form = Form::of(&args.output)?;
    let usage = |error: manypath_sim::FileError| Failure::Usage(error.to_string());
    let experiment = Experiment::load(&args.file).map_err(usage)?;
    let keys: Vec<String> = args.vary.iter().map(|axis| axis.key.clone()).collect();
    if let Some(twice) = (1..keys.len()).find(|&i| keys[..i].contains(&keys[i])) {
        return Err(Failure::Usage(format!("--vary: {} stands twice", keys[twice])));
    }
    let variants = grid::variants(&experiment, &args.vary).map_err(usage)?;
    let identities =
        variants.iter().map(|v| identity(&v.experiment)).collect::<Result<Vec<_>, _>>();
    let (identities, experiment_identity) = (identities?, identity(&experiment)?);
    let jobs = jobs(args, &experiment, &variants, &identities)?;
    let path = journal_of(&args.output);
    if args.output.exists() && !path.exists() {
        let said = "it is there already, without a journal; remove it or choose another -o";
        return Err(Failure::Usage(format!("-o {}: {said}", args.output.display())));
    }
    let header =
        Header { manypath_sweep: FORMAT, experiment: experiment_identity, keys: keys.clone() };
    let mut journal = Journal::open(&path, &header)?;
    let todo = unfinished(&path, &jobs, &journal.rows)?;
    let begun = Instant::now();
    run_all(&todo, jobs.len(), args.jobs, &mut journal)?;
    let rows: Vec<&Row> = jobs.iter().filter_map(|job| journal.rows.get(&job.id)).collect();
    Table::new(&keys, &rows).save(&args.output, form)?;
    let (shard, wall) = (args.shard.unwrap_or(Shard::ALL), begun.elapsed());
    if json {
        return output::json(&json!({
            "output": args.output, "journal": path, "shard": shard.to_string(),
            "rows": rows.len(), "run": todo.len(), "resumed": rows.len() - todo.len(),
            "events": rows.iter().map(|row| row.events).sum::<u64>(),
            "wall_s": wall.as_secs_f64(),
        }));
    }
    let mut out = Output::new();
    let (all, now, file) = (rows.len(), todo.len(), args.output.display());
    out.text(&format!(
        "{file}: {all} rows, {now} of them run now in {:.1} s\n",
        wall.as_secs_f64()
    ))?;
    out.finish()
}

fn identity(experiment: &Experiment) -> Result<String, Failure> {
    let text = experiment.identity().map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(hex(&Sha256::digest(text)))
}

/// `results.csv.journal` of `results.csv`.
fn journal_of(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".journal");
    name.into()
}

/// The runs of this shard.
fn jobs<'a>(
    args: &Args,
    experiment: &Experiment,
    variants: &'a [Variant],
    identities: &'a [String],
) -> Result<Vec<Job<'a>>, Failure> {
    let all = experiment.cases();
    if let Some(unknown) = args.case.iter().find(|name| !all.contains(&name.as_str())) {
        let said = format!("there is no {unknown:?}; choose of {}", all.join(", "));
        return Err(Failure::Usage(format!("--case: {said}")));
    }
    let wanted = |case: &&str| args.case.is_empty() || args.case.iter().any(|name| name == case);
    let seeds: Vec<u64> = match args.seeds {
        Some(0) => return Err(Failure::Usage("--seeds: expected at least 1".to_owned())),
        Some(count) => (1..=count).collect(),
        None => experiment.seeds().to_vec(),
    };
    let mut jobs = Vec::new();
    for (variant, identity) in variants.iter().zip(identities) {
        for case in all.iter().copied().filter(wanted) {
            for &seed in &seeds {
                let id = RunId { values: variant.values.clone(), case: case.to_owned(), seed };
                jobs.push(Job { id, variant, identity });
            }
        }
    }
    let shard = args.shard.unwrap_or(Shard::ALL);
    let mut number = 0..;
    jobs.retain(|_| number.next().is_some_and(|n| shard.has(n)));
    Ok(jobs)
}

/// The runs that have no row yet.
fn unfinished<'a, 'b>(
    path: &Path,
    jobs: &'b [Job<'a>],
    rows: &BTreeMap<RunId, Row>,
) -> Result<Vec<&'b Job<'a>>, Failure> {
    let mut todo = Vec::new();
    for job in jobs {
        match rows.get(&job.id) {
            None => todo.push(job),
            Some(row) if row.variant == job.identity => {}
            Some(_) => {
                let said = "its rows are of another experiment; remove it or choose another -o";
                return Err(Failure::Usage(format!("{}: {said}", path.display())));
            }
        }
    }
    Ok(todo)
}

/// Runs jobs, as many at a time as wanted; each is in the journal before the next one begins.
fn run_all(
    todo: &[&Job<'_>],
    total: usize,
    threads: Option<NonZeroUsize>,
    journal: &mut Journal,
) -> Result<(), Failure> {
    let bar = bar(total, total - todo.len());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let shared = Mutex::new((journal, Ok(())));
    let work = || {
        while let Some(job) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let row = run_one(job);
            // A panic of another thread leaves the journal between two rows.
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(failure) = row.and_then(|row| shared.0.add(row)) {
                shared.1 = Err(failure);
                stop.store(true, Ordering::Relaxed);
            }
            bar.inc(1);
        }
    };
    let threads = threads.map_or_else(runtime::processors, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads.min(todo.len()) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    shared.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

fn run_one(job: &Job<'_>) -> Result<Row, Failure> {
    let RunId { case, seed, .. } = &job.id;
    let outcome = job.variant.experiment.run(case, *seed, &Overrides::default());
    let outcome = outcome.map_err(|error| Failure::Usage(error.to_string()))?;
    let number = |(name, value): (String, f64)| (name, Some(value).filter(|v| v.is_finite()));
    Ok(Row {
        run: job.id.clone(),
        variant: job.identity.to_owned(),
        trace_hash: format!("{:016x}", outcome.trace_hash),
        events: outcome.events,
        measured: outcome.values.into_iter().map(number).collect(),
    })
}

fn bar(total: usize, done: usize) -> ProgressBar {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    if done > 0 {
        eprintln!("{done} of {total} rows are finished already");
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} rows, {eta} left");
    let bar = ProgressBar::new(count(total));
    bar.set_style(style.expect("the template is well formed"));
    bar.set_position(count(done));
    bar.reset_eta();
    bar
}
