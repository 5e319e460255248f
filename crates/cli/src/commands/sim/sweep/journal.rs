//! Rows that are finished, safe from interruption.
//!
//! **Owns** a file beside the results: one JSON object a line, first what the sweep is, then a row
//! each. **Invariants**: a row is in it whole or not at all, also after a kill or a crash of the
//! machine; one process at a time writes it. Journals of shards may be put one after the other:
//! the first line may stand there again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What stands on the first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Version of this format.
    pub(super) manypath_sweep: u32,
    /// SHA-256 of what decides the results of the experiment as it is in the file.
    pub(super) experiment: String,
    /// Keys that are varied.
    pub(super) keys: Vec<String>,
}

/// Which run a row is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct RunId {
    /// Values of the keys that are varied.
    pub(super) values: Vec<String>,
    pub(super) case: String,
    pub(super) seed: u64,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) run: RunId,
    /// SHA-256 of what decides the results of this combination of values.
    pub(super) variant: String,
    pub(super) trace_hash: String,
    pub(super) events: u64,
    /// `None` is no number.
    pub(super) measured: BTreeMap<String, Option<f64>>,
}

/// The journal of a sweep, open and locked.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) rows: BTreeMap<RunId, Row>,
}

impl Journal {
    /// Opens the journal at `path`, or begins it. What was written in part is taken off.
    ///
    /// # Errors
    /// When it is of another sweep, damaged, in use, or cannot be read or written.
    pub(super) fn open(path: &Path, header: &Header) -> Result<Self, Failure> {
        let io = |error: std::io::Error| Failure::usage(path.display(), &error);
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let said = "another sweep is writing it; choose another -o for each shard";
                return Err(Failure::Usage(format!("{}: {said}", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        let rows = read(path, &bytes, header)?;
        let whole = u64::try_from(whole).expect("a file has less than 2^64 bytes");
        file.set_len(whole).map_err(io)?;
        file.seek(SeekFrom::Start(whole)).map_err(io)?;
        let mut journal = Self { path: path.to_owned(), file, rows };
        if whole == 0 {
            journal.line(header)?;
        }
        Ok(journal)
    }

    /// Adds a row; when this returns it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, row: Row) -> Result<(), Failure> {
        self.line(&row)?;
        self.rows.insert(row.run.clone(), row);
        Ok(())
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line =
            serde_json::to_vec(value).map_err(|error| Failure::failed("JSON", &error))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|error| Failure::failed(self.path.display(), &error))
    }
}

/// Reads whole lines.
fn read(path: &Path, bytes: &[u8], header: &Header) -> Result<BTreeMap<RunId, Row>, Failure> {
    let mut rows = BTreeMap::new();
    let lines = bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let wrong = |what: &str| {
            let what = format!("{what}; remove it or choose another -o");
            Failure::Usage(format!("{}:{number}: {what}", path.display()))
        };
        if let Ok(other) = serde_json::from_slice::<Header>(line) {
            if other != *header {
                return Err(wrong(difference(&other, header)));
            }
        } else if number == 1 {
            return Err(wrong("this is no journal of a sweep"));
        } else {
            let row: Row = serde_json::from_slice(line).map_err(|_| wrong("this is no row"))?;
            rows.entry(row.run.clone()).or_insert(row);
        }
    }
    Ok(rows)
}

fn difference(other: &Header, header: &Header) -> &'static str {
    if other.manypath_sweep != header.manypath_sweep {
        "another version of this program made it"
    } else if other.experiment == header.experiment {
        "its rows vary other keys"
    } else {
        "its rows are of another experiment"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let experiment = "e".to_owned();
        Header { manypath_sweep: 1, experiment, keys: vec!["flow.a.cc".to_owned()] }
    }

    fn row(seed: u64) -> Row {
        Row {
            run: RunId { values: vec!["lia".to_owned()], case: "base".to_owned(), seed },
            variant: "v".to_owned(),
            trace_hash: "0".to_owned(),
            events: 3,
            measured: BTreeMap::from([
                ("x".to_owned(), Some(0.1 + 0.2)),
                ("y".to_owned(), Some(f64::NAN).filter(|v| v.is_finite())),
            ]),
        }
    }

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let file = format!("manypath-journal-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(file))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).ok();
        }
    }

    #[test]
    fn wherever_writing_stops_a_row_is_whole_or_absent() {
        let place = Place::new("cut");
        let mut journal = Journal::open(&place.0, &header()).unwrap();
        (1..=3).for_each(|seed| journal.add(row(seed)).unwrap());
        drop(journal);
        let whole = std::fs::read(&place.0).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&place.0, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|&&b| b == b'\n').count();
            let mut journal = Journal::open(&place.0, &header()).unwrap();
            assert_eq!(journal.rows.len(), lines.saturating_sub(1), "cut at {cut}");
            assert!(journal.rows.values().all(|r| *r == row(r.run.seed)));
            journal.add(row(9)).unwrap();
            drop(journal);
            let rows = Journal::open(&place.0, &header()).unwrap().rows;
            assert_eq!(rows.len(), lines.saturating_sub(1) + 1, "after a row more, cut at {cut}");
        }
    }

    #[test]
    fn journals_of_shards_make_one_and_others_are_refused() {
        let place = Place::new("join");
        let mut text = String::new();
        for seed in [1, 2] {
            std::fs::remove_file(&place.0).ok();
            Journal::open(&place.0, &header()).unwrap().add(row(seed)).unwrap();
            text += &std::fs::read_to_string(&place.0).unwrap();
        }
        std::fs::write(&place.0, &text).unwrap();
        let open = Journal::open(&place.0, &header()).unwrap();
        assert_eq!(open.rows.len(), 2);
        let refused = |header: &Header| Journal::open(&place.0, header).unwrap_err();
        assert!(refused(&header()).to_string().contains("another sweep is writing"));
        drop(open);
        let other = refused(&Header { experiment: "f".to_owned(), ..header() });
        assert!(other.to_string().contains(":1: its rows are of another experiment"), "{other}");
        assert_eq!(other.code(), 2);
        let other = refused(&Header { keys: Vec::new(), ..header() });
        assert!(other.to_string().contains("its rows vary other keys"), "{other}");
        std::fs::write(&place.0, text.replace("\"seed\":2", "\"seed\":x")).unwrap();
        assert!(refused(&header()).to_string().contains(":4: this is no row"));
        std::fs::write(&place.0, "hello\n").unwrap();
        assert!(refused(&header()).to_string().contains("no journal of a sweep"));
    }
}
