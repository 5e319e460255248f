//! Experiments as files: a network, its traffic, what happens to it, and what is expected.
//!
//! **Owns** reading, running and judging them. **Invariants**: what is expected is data in the
//! file; a run depends on the file and the seed alone. **Leaves out** threads: each run is a value
//! that can be computed anywhere.

mod build;
mod error;
mod expression;
mod links;
mod measure;
mod reach;
mod run;
mod sane;
mod schema;
mod series;
mod topology;
mod units;
mod vary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::FileError;
use error::Wrong;
use expression::Scope;
use schema::{Document, Expect};
pub use series::{FlowSeries, LinkSeries, Series, SubflowSeries};
use units::Time;

use crate::{Carriage, World};

/// An experiment as its file says.
#[derive(Clone, Debug)]
pub struct Experiment {
    file: String,
    text: String,
    folder: PathBuf,
    /// What stands in the file, or was put in its place.
    table: toml::Table,
    base: Document,
    /// By name; a file without cases has one that is called `base`.
    cases: BTreeMap<String, Document>,
}

/// Settings that override the file's, for trying things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Congestion control of every flow that is not plain TCP.
    pub cc: Option<String>,
    /// Scheduler of every flow.
    pub scheduler: Option<String>,
    /// Time between two moments of the series, where the file says none.
    pub sample: Option<Duration>,
    /// In what form packets travel, which changes no result.
    pub carriage: Carriage,
}

/// One run of one case with one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The case.
    pub case: String,
    /// The seed.
    pub seed: u64,
    /// What was measured, by name.
    pub values: BTreeMap<String, f64>,
    /// Over time; without moments if nobody asks for them.
    pub series: Series,
    /// The hash of all deliveries.
    pub trace_hash: u64,
    /// Dispatches of queues and pipes.
    pub events: u64,
    /// Events of the simulation's own queue, timers of hosts included.
    pub handled: u64,
}

/// What was expected, and what came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What is claimed, in words.
    pub name: String,
    /// The expression.
    pub expression: String,
    /// Smallest value that holds.
    pub min: Option<f64>,
    /// Largest value that holds.
    pub max: Option<f64>,
    /// Where the numbers come from.
    pub source: String,
    /// The mean over all seeds, or why there is none.
    pub measured: Result<f64, String>,
}

impl Verdict {
    /// Whether the measured value is within the bounds.
    #[must_use]
    pub fn holds(&self) -> bool {
        let within =
            |v: f64| self.min.is_none_or(|min| v >= min) && self.max.is_none_or(|max| v <= max);
        self.measured.as_ref().is_ok_and(|&v| v.is_finite() && within(v))
    }
}

impl Experiment {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| FileError {
            file: file.clone(),
            line: None,
            key: String::new(),
            message: error.to_string(),
        })?;
        Self::parse(&file, &text, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads the text of a file. Files named in it are looked for in `folder`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Self, FileError> {
        let table = error::read_text::<toml::Table>(file, text)?;
        error::read_text::<Document>(file, text)?;
        Self::assemble(file, text, folder, table)
    }

    fn assemble(
        file: &str,
        text: &str,
        folder: &Path,
        table: toml::Table,
    ) -> Result<Self, FileError> {
        let base: Document = error::read_table(file, text, None, table.clone())?;
        let mut cases = BTreeMap::new();
        for (name, changes) in &base.case {
            let mut merged = table.clone();
            merge(&mut merged, changes);
            cases.insert(name.clone(), error::read_table(file, text, Some(name), merged)?);
        }
        if cases.is_empty() {
            cases.insert("base".to_owned(), base.clone());
        }
        let (file, text) = (file.to_owned(), text.to_owned());
        let experiment = Self { file, text, folder: folder.to_owned(), table, base, cases };
        experiment.check_bounds()?;
        Ok(experiment)
    }

    fn check_bounds(&self) -> Result<(), FileError> {
        let wrong = |key: &str, message: &str| {
            FileError::of_wrong(&self.file, &self.text, None, Wrong::new(key, message))
        };
        for (number, expect) in self.base.expect.iter().enumerate() {
            let key = format!("expect.{number}");
            let (min, max) = bounds(expect);
            if min.is_none() && max.is_none() {
                let said = "expected `min`, `max`, or `equals` with `tolerance`";
                return Err(wrong(&key, &format!("{:?}: {said}", expect.name)));
            }
            let named = expression::cases(&expect.value).into_iter().chain(expect.case.clone());
            for case in named {
                if !self.cases.contains_key(&case) {
                    let said = format!("{:?}: no case is called {case:?}", expect.name);
                    return Err(wrong(&format!("{key}.value"), &said));
                }
            }
        }
        for (name, document) in &self.cases {
            let named = self.base.case.contains_key(name).then_some(name.as_str());
            let of_case = |Wrong { key, message }| Wrong {
                key,
                message: named.map_or_else(
                    || message.clone(),
                    |case| format!("{message} (in the case {case:?})"),
                ),
            };
            let times = document.check_times().map_err(of_case);
            times.map_err(|wrong| FileError::of_wrong(&self.file, &self.text, named, wrong))?;
        }
        Ok(())
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.base.title
    }

    /// What it is to show.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.base.claim
    }

    /// Where that was published.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.base.source
    }

    /// How long it takes, in virtual time.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.base.duration.0
    }

    /// Its seeds.
    #[must_use]
    pub fn seeds(&self) -> &[u64] {
        &self.base.seeds
    }

    /// Its cases.
    #[must_use]
    pub fn cases(&self) -> Vec<&str> {
        self.cases.keys().map(String::as_str).collect()
    }

    /// The cases of which something is expected, by name: the others are there to be looked at.
    #[must_use]
    pub fn judged_cases(&self) -> Vec<&str> {
        let read = self.base.expect.iter().flat_map(|expect| self.read_by(expect));
        let read: BTreeSet<String> = read.collect();
        self.cases().into_iter().filter(|&case| read.contains(case)).collect()
    }

    /// The case that an expectation is of where it names none.
    fn case_of<'a>(&'a self, expect: &'a Expect) -> &'a str {
        let first = self.cases.keys().next().map_or("base", String::as_str);
        expect.case.as_deref().unwrap_or(first)
    }

    /// The cases whose values an expectation reads.
    fn read_by(&self, expect: &Expect) -> Vec<String> {
        let own = expression::needs_a_case(&expect.value).then(|| self.case_of(expect).to_owned());
        expression::cases(&expect.value).into_iter().chain(own).collect()
    }

    /// A guess at how much work a run of the case is, to begin with those that take longest: the
    /// bits that its links could carry.
    ///
    /// # Panics
    /// If there is no such case.
    #[must_use]
    pub fn work(&self, case: &str) -> u64 {
        let document = self.cases.get(case).expect("the caller took it from `cases`");
        // A file with a mistake is no work; `run` says what is wrong.
        document.plan(&self.folder, 0).map_or(0, |plan| run::work(&plan, document.duration.0))
    }

    /// Runs one case with one seed.
    ///
    /// # Errors
    /// What is wrong with the file, such as a node, a link or an algorithm that is not there.
    ///
    /// # Panics
    /// If there is no such case.
    pub fn run(&self, case: &str, seed: u64, overrides: &Overrides) -> Result<Outcome, FileError> {
        let mut document = self.cases.get(case).expect("the caller took it from `cases`").clone();
        document.apply(overrides);
        let named = (case != "base" || self.base.case.contains_key(case)).then_some(case);
        let plan = document
            .plan(&self.folder, seed)
            .map_err(|wrong| FileError::of_wrong(&self.file, &self.text, named, wrong))?;
        let mut world = World::new(&plan, seed);
        world.set_carriage(overrides.carriage);
        let mut series = Vec::new();
        let values = document.measure(&mut world, &plan, &mut series);
        Ok(Outcome {
            case: case.to_owned(),
            seed,
            values,
            series: Series::new(&series, &world, &plan),
            trace_hash: world.trace_hash(),
            events: world.counters().dispatches,
            handled: world.handled(),
        })
    }

    /// Holds the outcomes of all cases and seeds against what is expected. `failures` are cases
    /// that could not be run, and why.
    #[must_use]
    pub fn judge(&self, outcomes: &[Outcome], failures: &BTreeMap<String, String>) -> Vec<Verdict> {
        let judge = |expect: &Expect| self.judge_one(expect, outcomes, failures);
        self.base.expect.iter().map(judge).collect()
    }

    fn judge_one(
        &self,
        expect: &Expect,
        outcomes: &[Outcome],
        failures: &BTreeMap<String, String>,
    ) -> Verdict {
        let (min, max) = bounds(expect);
        let case = self.case_of(expect);
        let failed = self.read_by(expect).into_iter().find_map(|case| failures.get(&case).cloned());
        let mut seeds: BTreeMap<u64, BTreeMap<String, _>> = BTreeMap::new();
        for outcome in outcomes {
            let seed = seeds.entry(outcome.seed).or_default();
            seed.insert(outcome.case.clone(), outcome.values.clone());
        }
        let value = |cases| expression::evaluate(&expect.value, Scope { cases, case });
        let measured = match failed {
            Some(why) => Err(why),
            None => {
                seeds.values().map(value).collect::<Result<Vec<f64>, _>>().and_then(|v| mean(&v))
            }
        };
        Verdict {
            name: expect.name.clone(),
            expression: expect.value.clone(),
            min,
            max,
            source: expect.source.clone(),
            measured,
        }
    }
}

fn mean(values: &[f64]) -> Result<f64, String> {
    let count = values.iter().fold(0.0, |n, _| n + 1.0);
    if values.is_empty() {
        Err("nothing was run".to_owned())
    } else {
        Ok(values.iter().sum::<f64>() / count)
    }
}

fn bounds(expect: &Expect) -> (Option<f64>, Option<f64>) {
    let tolerance = expect.tolerance.unwrap_or(0.0);
    let low = expect.equals.map(|v| v - tolerance);
    let high = expect.equals.map(|v| v + tolerance);
    (expect.min.or(low), expect.max.or(high))
}

impl Document {
    fn apply(&mut self, overrides: &Overrides) {
        self.sample = self.sample.or(overrides.sample.map(Time));
        for flow in self.flow.values_mut() {
            if !flow.tcp && overrides.cc.is_some() {
                flow.cc.clone_from(&overrides.cc);
            }
            if overrides.scheduler.is_some() {
                flow.scheduler.clone_from(&overrides.scheduler);
            }
        }
        if overrides.scheduler.is_some() {
            self.stack.scheduler.clone_from(&overrides.scheduler);
        }
    }
}

/// Puts `changes` over `base`, table by table.
fn merge(base: &mut toml::Table, changes: &toml::Table) {
    for (key, value) in changes {
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(changes)) => merge(base, changes),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod same_trace;
#[cfg(test)]
mod tests;
