//! What can go wrong while a lab is built.

use std::io;
use std::process::ExitStatus;

use manypath_device::TunError;
use thiserror::Error;

/// A lab could not be built or changed.
#[derive(Debug, Error)]
pub enum LabError {
    /// A program of the system ran and failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said, without white space around it.
        stderr: String,
    },
    /// A call of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the name of the thing it was tried on.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no TUN interface.
    #[error(transparent)]
    Tun(#[from] TunError),
    /// The description of the lab makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Names what was tried when a call of the system fails.
pub(crate) trait Context<T> {
    /// Turns the error into a [`LabError::Io`].
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io { what: what(), source: source.into() })
    }
}
