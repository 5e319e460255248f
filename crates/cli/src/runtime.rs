//! Runs a command's work until it is done or the user ends it.

use std::future::Future;
use std::{io, thread};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// How work ended.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    /// It is done.
    Done(T),
    /// The user ended it: SIGINT or SIGTERM.
    Interrupted,
}

impl<T> Ended<T> {
    /// What was done; being interrupted is a failure.
    ///
    /// # Errors
    /// [`Ended::Interrupted`].
    pub(crate) fn done(self) -> Result<T, Failure> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Interrupted => Err(Failure::Failed("interrupted".to_owned())),
        }
    }
}

/// Processors that this process may use; 1 where the system does not tell.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A runtime for a command.
///
/// # Errors
/// When the system has no threads or descriptors left.
pub(crate) fn new() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("the runtime", &error))
}

/// A runtime with one thread, which an endpoint is a task of
/// ([`manypath::EndpointBuilder::build_task`]).
///
/// # Errors
/// When the system has no descriptors left.
pub(crate) fn one_thread() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("the runtime", &error))
}

/// Waits for `work`, or for the user to end it; then `work` is dropped.
pub(crate) async fn until_interrupted<T>(work: impl Future<Output = T>) -> Ended<T> {
    tokio::select! {
        value = work => Ended::Done(value),
        _ = interrupted() => Ended::Interrupted,
    }
}

async fn interrupted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
