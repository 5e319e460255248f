//! The receiver where the stack serves: curl in the other host, which knows of plain TCP only.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::process::{ChildStdout, Stdio};

use manypath_base::len64;
use manypath_lab::{ChildGuard, Timeline, now};
use sha2::{Digest as _, Sha256};

use super::receiver::Received;
use super::stage::Stage;
use crate::failure::Failure;
use crate::figures::hex;

const CHUNK: usize = 256 << 10;

/// A download that runs.
pub(super) struct Curl {
    child: ChildGuard,
    out: ChildStdout,
}

/// Starts it; the server at `from` has to be listening.
pub(super) fn start(
    stage: &Stage,
    recv_buffer: Option<u32>,
    from: SocketAddr,
) -> Result<Curl, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed("curl", error);
    if let Some(bytes) = recv_buffer {
        // As `SO_RCVBUF` would: the kernel doubles what a program asks for, and grows it no more.
        let bytes = bytes * 2;
        let value = format!("4096 {bytes} {bytes}");
        stage.server().sysctl("net/ipv4/tcp_rmem", &value).map_err(|e| failed(&e))?;
    }
    let mut command = stage.server().command("curl");
    command.args(["--silent", "--show-error", "--fail", "--no-buffer"]);
    command.arg(format!("http://{from}/")).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = stage.server().child(command).map_err(|e| failed(&e))?;
    let out = child.process().stdout.take().expect("its standard output is piped");
    Ok(Curl { child, out })
}

impl Curl {
    /// Reads and hashes to the end.
    pub(super) async fn report(self) -> Result<Received, Failure> {
        let reading = tokio::task::spawn_blocking(move || self.read());
        let read = reading.await.map_err(|error| Failure::failed("curl", &error))?;
        read.map_err(|error| Failure::failed("curl", &error))
    }

    fn read(mut self) -> io::Result<Received> {
        let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
        let mut timeline = Timeline::new(now());
        loop {
            let len = self.out.read(&mut buffer)?;
            if len == 0 {
                break;
            }
            timeline.note(now(), len);
            hash.update(&buffer[..len]);
            bytes += len64(len);
        }
        let status = self.child.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("it ended with {status}")));
        }
        Ok(Received { bytes, sha256: hex(&hash.finalize()), timeline })
    }
}
