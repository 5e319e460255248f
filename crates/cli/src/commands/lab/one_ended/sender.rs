//! The sender: manypath over one path or two, as client or as server, or Linux.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use manypath::{ConnectOptions, Endpoint, ListenOptions, Listener, Stream};
use manypath_base::len64;
use manypath_lab::{Amount, Client, Pattern, PeerConfig, Role, Transport, now};
use sha2::{Digest as _, Sha256};

use super::stage::{STACK, Stage};
use super::{Args, Sender};
use crate::failure::Failure;
use crate::figures::hex;

/// Where the server listens.
const PORT: u16 = 8_080;
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

/// Connects, sends for the time, and closes.
pub(super) async fn upload(
    stage: &Stage,
    args: &Args,
    sender: Sender,
    data: (u64, Duration),
    to: SocketAddr,
) -> Result<Sent, Failure> {
    match sender {
        Sender::Single | Sender::Multi => ours(stage, args, sender, data, to).await,
        Sender::Sprayed => linux(stage, data, to).await,
    }
}

async fn ours(
    stage: &Stage,
    args: &Args,
    sender: Sender,
    data: (u64, Duration),
    to: SocketAddr,
) -> Result<Sent, Failure> {
    let endpoint = stage.endpoint(args.congestion_control, SEND_BUFFER)?;
    let options = ConnectOptions { mode: sender.mode(), ..ConnectOptions::default() };
    let stream = endpoint.connect_with(to, options).await;
    let stream = stream.map_err(|error| Failure::failed("sending", &error))?;
    pump(&endpoint, stream, data).await
}

/// manypath as a web server of one document.
pub(super) struct WebServer {
    endpoint: Endpoint,
    listener: Listener,
}

/// Begins to listen.
pub(super) fn listen(stage: &Stage, args: &Args, sender: Sender) -> Result<WebServer, Failure> {
    let endpoint = stage.endpoint(args.congestion_control, SEND_BUFFER)?;
    let options = ListenOptions { mode: sender.mode(), ..ListenOptions::default() };
    let listener = endpoint.listen_with(SocketAddr::new(STACK, PORT), options);
    let listener = listener.map_err(|error| Failure::failed("the server", &error))?;
    Ok(WebServer { endpoint, listener })
}

impl WebServer {
    pub(super) fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Answers one request by what is sent in the time. Without a length the document ends with
    /// the connection (RFC 9112 §6.3).
    pub(super) async fn serve(self, data: (u64, Duration)) -> Result<Sent, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::failed("the server", error);
        let (mut stream, _) = self.listener.accept().await.map_err(|e| failed(&e))?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let chunk = stream.read_chunk().await.map_err(|e| failed(&e))?;
            let Some(chunk) = chunk else {
                return Err(Failure::Failed("the request ends early".to_owned()));
            };
            request.extend_from_slice(&chunk);
        }
        let head = Bytes::from_static(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        stream.write_owned(head).await.map_err(|e| failed(&e))?;
        pump(&self.endpoint, stream, data).await
    }
}

/// Sends for `length`, then closes.
async fn pump(
    endpoint: &Endpoint,
    mut stream: Stream,
    (seed, length): (u64, Duration),
) -> Result<Sent, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed("sending", error);
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
