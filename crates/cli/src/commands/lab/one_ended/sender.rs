//! The sender: manypath over one path or two, or Linux.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use manypath::ConnectOptions;
use manypath_base::len64;
use manypath_lab::{Amount, Client, Pattern, PeerConfig, Role, Transport, now};
use sha2::{Digest as _, Sha256};

use super::stage::Stage;
use super::{Args, Case, Sender};
use crate::failure::Failure;
use crate::figures::hex;

const CHUNK: usize = 64 << 10;
/// The sum of the rates times the longest round trip with full queues, with room for repairs.
const SEND_BUFFER: u32 = 8 << 20;
/// How long Linux may take to get rid of what it has queued.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was sent.
pub(super) struct Sent {
    pub(super) bytes: u64,
    /// Hexadecimal.
    pub(super) sha256: String,
}

/// Sends for `length`, then closes.
pub(super) async fn send(
    stage: &Stage,
    args: &Args,
    case: Case,
    (seed, length): (u64, Duration),
    to: SocketAddr,
) -> Result<Sent, Failure> {
    match case.sender {
        Sender::Single | Sender::Multi => ours(stage, args, case.sender, (seed, length), to).await,
        Sender::Sprayed => linux(stage, (seed, length), to).await,
    }
}

async fn ours(
    stage: &Stage,
    args: &Args,
    sender: Sender,
    (seed, length): (u64, Duration),
    to: SocketAddr,
) -> Result<Sent, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed("sending", error);
    let endpoint = stage.endpoint(args.congestion_control, SEND_BUFFER)?;
    let one_ended = sender == Sender::Multi;
    let options = ConnectOptions { plain_tcp: !one_ended, one_ended, ..ConnectOptions::default() };
    let mut stream = endpoint.connect_with(to, options).await.map_err(|e| failed(&e))?;
    let (mut pattern, mut hash, mut bytes) = (Pattern::new(seed), Sha256::new(), 0);
    let end = now() + length;
    while now() < end {
        let mut chunk = vec![0; CHUNK];
        pattern.fill(&mut chunk);
        hash.update(&chunk);
        bytes += len64(chunk.len());
        stream.write_owned(Bytes::from(chunk)).await.map_err(|e| failed(&e))?;
    }
    stream.close().await.map_err(|e| failed(&e))?;
    // What is under way needs the stack to be there.
    endpoint.at_rest().await.map_err(|e| failed(&e))?;
    Ok(Sent { bytes, sha256: hex(&hash.finalize()) })
}

async fn linux(
    stage: &Stage,
    (seed, length): (u64, Duration),
    to: SocketAddr,
) -> Result<Sent, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed("Linux as the sender", error);
    stage.spray()?;
    let role = Role::Source { amount: Amount::Time(length), seed };
    let config = PeerConfig::new(Transport::Tcp).congestion("cubic");
    let client = Client::start(stage.client(), &config, to, role).map_err(|e| failed(&e))?;
    let report = tokio::task::spawn_blocking(move || client.report(length + PATIENCE)).await;
    let report = report.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
    Ok(Sent { bytes: report.sent.bytes, sha256: hex(&report.sent.sha256) })
}
