//! How fast networks are simulated.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use manypath_sim::{Overrides, shipped};
use serde::Serialize;

use super::child::{INTERRUPTED, LOOK};
use crate::failure::Failure;
use crate::watch::{float, seconds};

/// The experiments, by parts of their names.
const EXPERIMENTS: [&str; 2] = ["torus", "fat-tree"];

/// What simulating a case took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Simulated {
    experiment: &'static str,
    case: String,
    events: u64,
    seconds: f64,
    events_per_second: f64,
}

/// Simulates the first case of each experiment, with its first seed.
///
/// # Errors
/// When a built-in experiment is wrong, or the user ends the run.
pub(super) fn measure() -> Result<Vec<Simulated>, Failure> {
    let (sender, done) = channel();
    // A simulation looks at nothing until it is over; where the user ends the run, the process ends
    // with it.
    thread::spawn(move || sender.send(simulate()).ok());
    loop {
        match done.recv_timeout(LOOK) {
            Ok(simulated) => return simulated,
            Err(RecvTimeoutError::Timeout) if INTERRUPTED.load(Ordering::Relaxed) => {
                return Err(Failure::Failed("interrupted".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Failed("the simulation panicked".to_owned()));
            }
        }
    }
}

fn simulate() -> Result<Vec<Simulated>, Failure> {
    let wrong = |error: manypath_sim::FileError| Failure::Failed(error.to_string());
    let mut out = Vec::new();
    for (experiment, file) in
        shipped().filter(|(name, _)| EXPERIMENTS.iter().any(|e| name.contains(e)))
    {
        let file = file.map_err(wrong)?;
        let (Some(case), Some(&seed)) = (file.cases().first().copied(), file.seeds().first())
        else {
            continue;
        };
        let begun = Instant::now();
        let outcome = file.run(case, seed, &Overrides::default()).map_err(wrong)?;
        let took = begun.elapsed();
        out.push(Simulated {
            experiment,
            case: case.to_owned(),
            events: outcome.events,
            seconds: seconds(took),
            events_per_second: (float(outcome.events) / took.as_secs_f64()).round(),
        });
    }
    Ok(out)
}

impl Display for Simulated {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { experiment, case, events, seconds, events_per_second } = self;
        write!(
            f,
            "sim: {experiment} {case}: {events} events in {seconds} s, {events_per_second:.0} a second"
        )
    }
}
