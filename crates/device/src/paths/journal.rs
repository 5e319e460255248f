//! The journal of a setup: every change is written down before it is made, so that another process
//! can take it back after a crash.
//!
//! One file per setup, `/run/manypath/NETNS/PID-TUN.jsonl`, one change a line; NETNS is the inode
//! number of the network namespace. **Invariant**: the owner holds the file's lock as long as it
//! lives, so a journal that can be locked is stale. Unlike a comparison of process numbers this
//! holds when numbers are used again, and across process namespaces.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::PathSetupError;
use super::change::Change;

const ROOT: &str = "/run/manypath";
const SUFFIX: &str = "jsonl";

/// The journals of this network namespace. One process at a time changes things: it holds the lock
/// of the folder of all namespaces.
#[derive(Debug)]
pub(super) struct Journals {
    dir: PathBuf,
    _lock: File,
}

/// The open journal of one setup.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    changes: Vec<Change>,
}

impl Journals {
    /// Waits for its turn: other processes hold the lock for the moment of a setup only.
    pub(super) fn lock() -> Result<Self, PathSetupError> {
        let dir = Path::new(ROOT).join(namespace_inode()?.to_string());
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            let lock = File::open(ROOT)?;
            lock.lock()?;
            // The one before us may have removed it as it went.
            DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            Ok(lock)
        };
        match open() {
            Ok(lock) => Ok(Self { dir, _lock: lock }),
            Err(source) => Err(PathSetupError::Journal { path: dir, source }),
        }
    }

    /// Begins the journal of this process for the interface `tun`.
    pub(super) fn create(&self, tun: &str) -> Result<Journal, PathSetupError> {
        let path = self.dir.join(format!("{}-{tun}.{SUFFIX}", std::process::id()));
        let open = || {
            let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Journal { path, file, changes: Vec::new() }),
            Err(source) => Err(PathSetupError::Journal { path, source }),
        }
    }

    /// The changes of all setups that are alive, except for the one with the journal `but`.
    pub(super) fn alive(&self, but: Option<&Journal>) -> Vec<Change> {
        let own = but.map(|journal| journal.path.as_path());
        let files = self.files().into_iter().filter(|path| Some(path.as_path()) != own);
        files.filter(|path| is_alive(path)).flat_map(|path| read(&path)).collect()
    }

    /// The journals whose owners are gone.
    pub(super) fn stale(&self) -> Vec<Journal> {
        let files = self.files().into_iter();
        files.filter_map(|path| open_stale(&path)).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX)).collect()
    }
}

impl Drop for Journals {
    fn drop(&mut self) {
        // Fails, as it should, while there are journals in it.
        let _not_empty = fs::remove_dir(&self.dir);
    }
}

impl Journal {
    /// Writes a change down, unless it stands there, and makes it.
    pub(super) fn make(&mut self, change: &Change) -> Result<(), PathSetupError> {
        if !self.changes.contains(change) {
            self.record(change.clone())?;
        }
        change.apply()
    }

    fn record(&mut self, change: Change) -> Result<(), PathSetupError> {
        let mut line = serde_json::to_vec(&change).expect("strings and a list are valid JSON");
        line.push(b'\n');
        self.changes.push(change);
        self.file
            .write_all(&line)
            .map_err(|source| PathSetupError::Journal { path: self.path.clone(), source })
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Takes all changes back, the latest first, and removes the journal. A kernel setting that a
    /// setup which is alive needs too stays: that one has noted the same former value.
    ///
    /// Everything is tried; the first failure is returned, and then the journal stays.
    pub(super) fn undo(&mut self, journals: &Journals) -> Result<(), PathSetupError> {
        let alive = journals.alive(Some(self));
        let needed = |change: &Change| alive.iter().any(|other| change.shares(other));
        let mut result = Ok(());
        for change in self.changes.iter().rev().filter(|change| !needed(change)) {
            let undone = change.undo();
            result = result.and(undone);
        }
        if result.is_ok() {
            result = fs::remove_file(&self.path)
                .map_err(|source| PathSetupError::Journal { path: self.path.clone(), source });
        }
        result
    }
}

/// Inode number of the calling thread's network namespace.
pub(super) fn namespace_inode() -> Result<u64, PathSetupError> {
    let path = Path::new(NAMESPACE);
    let metadata = fs::metadata(path);
    metadata
        .map(|metadata| metadata.ino())
        .map_err(|source| PathSetupError::Journal { path: path.to_owned(), source })
}

/// The calling thread's network namespace.
pub(super) const NAMESPACE: &str = "/proc/thread-self/ns/net";

fn is_alive(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Opens and locks a journal, unless its owner has it locked.
fn open_stale(path: &Path) -> Option<Journal> {
    let file = OpenOptions::new().read(true).append(true).open(path).ok()?;
    file.try_lock().ok()?;
    Some(Journal { path: path.to_owned(), file, changes: read(path) })
}

/// The changes of a journal. A crash may have cut the last line; its change was not made.
fn read(path: &Path) -> Vec<Change> {
    let text = read_text(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}
