//! What a report is made of: results of `sim run --json`, or a file that is run for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use manypath_sim::{Experiment, Overrides, Series};
use serde::Deserialize;

use crate::failure::Failure;

/// Moments that are taken down where the file says nothing.
const MOMENTS: u32 = 250;

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) title: String,
    pub(super) case: String,
    pub(super) seed: u64,
    pub(super) values: BTreeMap<String, f64>,
    pub(super) series: Series,
    pub(super) events: u64,
}

/// What `sim run --json` printed.
#[derive(Deserialize)]
struct Printed {
    title: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    case: String,
    seed: u64,
    /// What is no number is `null`.
    values: BTreeMap<String, Option<f64>>,
    series: Series,
    events: u64,
}

/// Every run of a file: an experiment that ends in `.toml`, or else results.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn runs(path: &Path, seed: Option<u64>) -> Result<Vec<Run>, Failure> {
    if path.extension().is_some_and(|ending| ending == "toml") {
        return run(path, seed);
    }
    if seed.is_some() {
        let said = "--seed is for an experiment file; results have theirs";
        return Err(Failure::Usage(format!("{}: {said}", path.display())));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::usage(path.display(), &error))?;
    let Printed { title, cases } = serde_json::from_str(&text).map_err(|error| {
        let said = "expected what `manypath sim run FILE --json` prints, or a .toml file";
        Failure::Usage(format!("{}: {said}: {error}", path.display()))
    })?;
    let of = |case: Case| {
        let Case { case, seed, values, series, events } = case;
        let values = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Run { title: title.clone(), case, seed, values, series, events }
    };
    Ok(cases.into_iter().map(of).collect())
}

fn run(path: &Path, seed: Option<u64>) -> Result<Vec<Run>, Failure> {
    let usage = |error: manypath_sim::FileError| Failure::Usage(error.to_string());
    let experiment = Experiment::load(path).map_err(usage)?;
    let seed = seed.or(experiment.seeds().first().copied()).unwrap_or(1);
    let step = (experiment.duration() / MOMENTS).max(Duration::from_millis(1));
    let overrides = Overrides { sample: Some(step), ..Overrides::default() };
    let of = |case: &str| {
        let mut outcome = experiment.run(case, seed, &overrides).map_err(usage)?;
        outcome.values.retain(|_, value| value.is_finite());
        Ok(Run {
            title: experiment.title().to_owned(),
            case: outcome.case,
            seed: outcome.seed,
            values: outcome.values,
            series: outcome.series,
            events: outcome.events,
        })
    };
    experiment.cases().into_iter().map(of).collect()
}
