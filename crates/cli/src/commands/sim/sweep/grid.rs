//! What a sweep runs: every combination of values, each case, each seed.

use std::str::FromStr;

use manypath_sim::{Experiment, FileError};

/// A key with the values that it takes in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) key: String,
    values: Vec<String>,
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected KEY=VALUE,VALUE..., such as flow.mp.cc=lia,reno: {text:?}");
        let (key, values) = text.split_once('=').ok_or_else(wrong)?;
        let values: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
        if key.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(wrong());
        }
        if let Some(twice) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
            return Err(format!("{} stands twice in {text:?}", values[twice]));
        }
        Ok(Self { key: key.trim().to_owned(), values })
    }
}

/// A part of a sweep: every `count`th run, from the `index`th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    pub(super) const ALL: Self = Self { index: 0, count: 1 };

    /// Whether run number `n` is in this part.
    pub(super) fn has(self, n: usize) -> bool {
        n % self.count == self.index
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| {
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        });
        let known = numbers.filter(|shard| shard.index < shard.count);
        known.ok_or_else(|| format!("expected I/N with I from 0 to N-1, such as 0/8: {text:?}"))
    }
}

/// The experiment with one combination of values.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// One for each axis.
    pub(super) values: Vec<String>,
    pub(super) experiment: Experiment,
}

/// Every combination; the last axis changes fastest.
///
/// # Errors
/// The first key or value that is wrong.
pub(super) fn variants(base: &Experiment, axes: &[Axis]) -> Result<Vec<Variant>, FileError> {
    let mut combinations: Vec<Vec<String>> = vec![Vec::new()];
    for axis in axes {
        let longer = |so_far: Vec<String>| {
            let with = |v: &String| so_far.iter().chain([v]).cloned().collect::<Vec<_>>();
            axis.values.iter().map(with).collect::<Vec<_>>()
        };
        combinations = combinations.into_iter().flat_map(longer).collect();
    }
    let variant = |values: Vec<String>| {
        let keys = axes.iter().map(|axis| axis.key.clone());
        let settings: Vec<(String, String)> = keys.zip(values.iter().cloned()).collect();
        Ok(Variant { values, experiment: base.varied(&settings)? })
    };
    combinations.into_iter().map(variant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_and_shards_are_read_or_refused_with_what_was_expected() {
        let axis: Axis = "flow.mp.cc=lia, reno".parse().unwrap();
        assert_eq!((axis.key.as_str(), axis.values.len()), ("flow.mp.cc", 2));
        for wrong in ["flow.mp.cc", "=lia", "a=", "a=1,,2", "a=1,2,1"] {
            assert!(wrong.parse::<Axis>().is_err(), "{wrong}");
        }
        assert_eq!("3/4".parse::<Shard>().unwrap().to_string(), "3/4");
        for wrong in ["4/4", "0/0", "1", "-1/2", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_cover_every_run_once() {
        for count in 1..7 {
            let shards: Vec<Shard> = (0..count).map(|index| Shard { index, count }).collect();
            for run in 0..50 {
                assert_eq!(shards.iter().filter(|shard| shard.has(run)).count(), 1);
            }
        }
    }
}
