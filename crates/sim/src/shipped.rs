//! The experiments that are built in.

use std::path::Path;

use crate::{Experiment, FileError};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../experiments/", $name, ".toml")))),*]
    };
}

const FILES: [(&str, &str); 12] = files![
    "1-shared-bottleneck",
    "2-fixed-loss",
    "3-torus",
    "4-fat-tree",
    "5-scenario-c",
    "6-staircase",
    "7-requests-and-failover",
    "8-receive-buffer",
    "9-blest",
    "10-one-ended",
    "11-one-ended-fairness",
    "12-coupled-cubic",
];

/// The experiments that are built in, with their names.
pub fn shipped() -> impl Iterator<Item = (&'static str, Result<Experiment, FileError>)> {
    let parse = |text, name| Experiment::parse(&format!("{name}.toml"), text, Path::new("."));
    FILES.into_iter().map(move |(name, text)| (name, parse(text, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_understood_and_have_five_seeds() {
        for (name, experiment) in shipped() {
            let experiment = experiment.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(experiment.seeds().len() >= 5, "{name}");
        }
    }
}
