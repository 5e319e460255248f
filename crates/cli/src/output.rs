//! Standard output: results, and nothing else. Progress and logs go to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::failure::Failure;

/// Standard output, buffered. Whoever reads it may go away (`| head`): that is no failure, what
/// follows is left out.
pub(crate) struct Output(Option<BufWriter<StdoutLock<'static>>>);

impl Output {
    /// Locks standard output.
    pub(crate) fn new() -> Self {
        Self(Some(BufWriter::new(io::stdout().lock())))
    }

    /// Writes a text as it is.
    ///
    /// # Errors
    /// When standard output cannot be written, unless its reader went away.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let Some(out) = &mut self.0 else { return Ok(()) };
        let result = out.write_all(text.as_bytes());
        self.unless_gone(result)
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let Some(out) = &mut self.0 else { return Ok(()) };
        let result = out.flush();
        self.unless_gone(result)
    }

    fn unless_gone(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // What is buffered would fail again.
                if let Some(out) = self.0.take() {
                    drop(out.into_parts());
                }
                Ok(())
            }
            result => result.map_err(|error| Failure::failed("standard output", &error)),
        }
    }
}

/// Prints a result: one JSON object, or its text.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn summary(value: &(impl Serialize + Display), as_json: bool) -> Result<(), Failure> {
    if as_json {
        return json(value);
    }
    let mut out = Output::new();
    out.text(&value.to_string())?;
    out.finish()
}

/// Whether the one object that a run prints is out.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Prints the JSON object of this run, on a line of its own. There is one: a failure after a result,
/// which has shown that failure, prints none.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    if PRINTED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let text = serde_json::to_string(value).map_err(|error| Failure::failed("JSON", &error))?;
    let mut out = Output::new();
    out.text(&text)?;
    out.text("\n")?;
    out.finish()
}
