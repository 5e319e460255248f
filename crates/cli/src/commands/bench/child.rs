//! The parent's hold on an end that runs as a child.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use manypath_lab::{ChildGuard, Namespace};

use super::end::{Said, Sample, Spec};
use crate::failure::Failure;

/// Between two looks at whether the user ends the run.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// How long a sample may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an end that is asked to leave may take.
const LEAVING: Duration = Duration::from_secs(2);
/// How long a hashed transfer may take.
const HASHED: Duration = Duration::from_secs(120);

/// Whether the user ended the run.
pub(super) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A running end. It is killed when this is dropped.
pub(super) struct Child {
    // First: it goes when its standard input does.
    input: Option<ChildStdin>,
    said: Receiver<Said>,
    what: String,
    _guard: ChildGuard,
}

impl Child {
    /// Starts an end in `host` and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, says what is wrong, or does not get ready.
    pub(super) fn start(host: &Namespace, spec: &Spec) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::failed("starting an end", error);
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let text = serde_json::to_string(spec).map_err(|error| failed(&error))?;
        let mut command = host.command(&program.to_string_lossy());
        command.args(["bench", "--end", &text]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = host.child(command).map_err(|error| failed(&error))?;
        let input = guard.process().stdin.take();
        let output = guard.process().stdout.take().expect("it was piped");
        let (sender, said) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let mut values = lines.filter_map(|line| serde_json::from_str::<Said>(&line).ok());
            // Nobody may be waiting for more.
            values.try_for_each(|said| sender.send(said)).ok();
        });
        let what = format!("{:?} {:?}, {:?}", spec.stack, spec.side, spec.job);
        let child = Self { input, said, what, _guard: guard };
        match child.next(spec.patience())? {
            Said::Ready => Ok(child),
            said => Err(child.unexpected(&said)),
        }
    }

    /// Asks for a sample; [`Child::sample`] gives it.
    pub(super) fn ask(&mut self) {
        // A child that is gone is noticed by the answer.
        self.input.as_mut().map(|input| input.write_all(b"sample\n"));
    }

    /// The sample that was asked for.
    ///
    /// # Errors
    /// When a connection failed, or none comes.
    pub(super) fn sample(&self) -> Result<Sample, Failure> {
        match self.next(ANSWER)? {
            Said::Sample(Sample { error: Some(error), .. }) => {
                Err(Failure::Failed(format!("{}: {error}", self.what)))
            }
            Said::Sample(sample) => Ok(sample),
            said => Err(self.unexpected(&said)),
        }
    }

    /// Length and hash of the direction that this end hashed.
    ///
    /// # Errors
    /// When it does not come.
    pub(super) fn hashed(&self) -> Result<(u64, String), Failure> {
        match self.next(HASHED)? {
            Said::Hashed(bytes, hash) => Ok((bytes, hash)),
            said => Err(self.unexpected(&said)),
        }
    }

    /// Lets the end leave by itself, if that does not take long.
    pub(super) fn leave(mut self) {
        self.input = None;
        let deadline = Instant::now() + LEAVING;
        // Until nothing more can come.
        while self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
    }

    fn unexpected(&self, said: &Said) -> Failure {
        match said {
            Said::Failed(text) => Failure::Failed(format!("{}: {text}", self.what)),
            Said::Ready | Said::Sample(_) | Said::Hashed(..) => {
                Failure::Failed(format!("{}: it said {said:?} out of turn", self.what))
            }
        }
    }

    fn next(&self, patience: Duration) -> Result<Said, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err(Failure::Failed("interrupted".to_owned()));
            }
            match self.said.recv_timeout(LOOK) {
                Ok(said) => return Ok(said),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::Failed(format!("{}: the process ended", self.what)));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("{}: no answer in {patience:?}", self.what);
                    return Err(Failure::Failed(what));
                }
            }
        }
    }
}

/// Sleeps, unless the user ends the run.
///
/// # Errors
/// Where the user does.
pub(super) fn sleep(time: Duration) -> Result<(), Failure> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(Failure::Failed("interrupted".to_owned()));
        }
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}
