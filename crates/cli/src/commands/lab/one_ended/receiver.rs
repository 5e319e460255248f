//! The receiver: Python in the server's namespace, which knows of plain TCP only.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use manypath_base::{Instant, usize64};
use manypath_lab::{ChildGuard, Timeline};
use serde::Deserialize;

use super::stage::Stage;
use crate::failure::Failure;

const PROGRAM: &str = include_str!("receiver.py");
const PORT: u16 = 7_001;
/// How long after the last byte was sent the report may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver that runs.
pub(super) struct Receiver {
    addr: SocketAddr,
    out: BufReader<ChildStdout>,
    // Killed when dropped.
    _child: ChildGuard,
}

/// What it says.
#[derive(Deserialize)]
struct Said {
    bytes: u64,
    sha256: String,
    /// Microseconds of the monotonic clock, and bytes.
    chunks: Vec<(u64, u64)>,
}

/// What arrived.
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) timeline: Timeline,
}

/// Starts it and waits until it listens.
pub(super) fn start(stage: &Stage, recv_buffer: Option<u32>) -> Result<Receiver, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed("the receiver", error);
    let mut command = stage.server().command("python3");
    let arguments = [PORT.to_string(), recv_buffer.unwrap_or(0).to_string()];
    command.args(["-c", PROGRAM]).args(arguments).stdout(Stdio::piped());
    let mut child = stage.server().child(command).map_err(|e| failed(&e))?;
    let out = child.process().stdout.take();
    let mut out = BufReader::new(out.expect("its standard output is piped"));
    let mut line = String::new();
    out.read_line(&mut line).map_err(|e| failed(&e))?;
    if line.trim() != "ready" {
        return Err(Failure::Failed(format!("the receiver said {line:?} instead of `ready`")));
    }
    Ok(Receiver { addr: stage.server_addr(PORT), out, _child: child })
}

impl Receiver {
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for the end of the connection.
    pub(super) async fn report(self) -> Result<Received, Failure> {
        let reading = tokio::task::spawn_blocking(move || {
            let mut receiver = self;
            let mut line = String::new();
            receiver.out.read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(PATIENCE, reading).await;
        let line = line.map_err(|error| Failure::failed("waiting for the receiver", &error))?;
        let line = line.map_err(|error| Failure::failed("the receiver", &error))?;
        let line = line.map_err(|error| Failure::failed("the receiver", &error))?;
        let said: Said = serde_json::from_str(&line)
            .map_err(|error| Failure::failed("the receiver's report", &error))?;
        let at = |micros: u64| Instant::from_nanos(micros.saturating_mul(1_000));
        let start = said.chunks.first().map_or(manypath_lab::now(), |&(first, _)| at(first));
        let mut timeline = Timeline::new(start);
        for &(micros, bytes) in &said.chunks {
            timeline.note(at(micros), usize64(bytes));
        }
        Ok(Received { bytes: said.bytes, sha256: said.sha256, timeline })
    }
}
