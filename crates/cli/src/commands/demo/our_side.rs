//! The transfer with manypath at this end.

use std::net::SocketAddr;

use bytes::Bytes;
use manypath::Stream;
use manypath_base::Instant;
use manypath_lab::{Amount, Half, Pattern, PeerConfig, Role, Server, Timeline, Transport, now};
use sha2::{Digest, Sha256};

use super::plan::Plan;
use super::report::Run;
use super::stage::{Stage, local_server_addr};
use super::view::View;
use super::{Args, Direction, schedule};
use crate::failure::Failure;

const CHUNK: usize = 64 << 10;
/// How long after the last byte the report of the peer may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Runs the transfer.
pub(super) async fn run(stage: &Stage, args: &Args, plan: &Plan) -> Result<Run, Failure> {
    let peer = Peer::start(stage, args, plan)?;
    let stream = stage.endpoint().connect(peer.addr).await;
    let stream = stream.map_err(|error| Failure::failed("connecting", &error))?;
    let start = now();
    let view =
        View::start(stage.endpoint().clone(), stream.conn_id(), stage.links(), args.direction);
    let end = start + plan.length();
    let (moments, ours) = tokio::join!(
        schedule::play(stage.links(), args.direction, plan, start),
        transfer(stream, args, end)
    );
    view.stop();
    let ours = ours.map_err(|error| Failure::failed("the transfer", &error))?;
    let theirs = peer.report().await?;
    let (sent, received) = match args.direction {
        Direction::Up => (ours, theirs),
        Direction::Down => (theirs, ours),
    };
    Ok(Run::new(stage.links(), args.direction, moments, &sent, received))
}

/// This side's half of the transfer.
async fn transfer(stream: Stream, args: &Args, end: Instant) -> std::io::Result<Half> {
    match args.direction {
        Direction::Up => send(stream, args.seed, end).await,
        Direction::Down => receive(stream).await,
    }
}

async fn send(mut stream: Stream, seed: u64, end: Instant) -> std::io::Result<Half> {
    let mut pattern = Pattern::new(seed);
    let mut half = Tally::new();
    while now() < end {
        let mut chunk = vec![0; CHUNK];
        pattern.fill(&mut chunk);
        half.note(&chunk);
        stream.write_owned(Bytes::from(chunk)).await?;
    }
    stream.close().await?;
    Ok(half.finish())
}

async fn receive(mut stream: Stream) -> std::io::Result<Half> {
    let mut half = Tally::new();
    while let Some(chunk) = stream.read_chunk().await? {
        half.note(&chunk);
    }
    stream.close().await?;
    Ok(half.finish())
}

/// Bytes, their hash and their times.
struct Tally {
    hash: Sha256,
    timeline: Timeline,
}

impl Tally {
    fn new() -> Self {
        Self { hash: Sha256::new(), timeline: Timeline::new(now()) }
    }

    fn note(&mut self, chunk: &[u8]) {
        self.timeline.note(now(), chunk.len());
        self.hash.update(chunk);
    }

    fn finish(self) -> Half {
        let Self { hash, timeline } = self;
        Half { bytes: timeline.bytes(), sha256: hash.finalize().into(), timeline }
    }
}

/// The other end.
struct Peer {
    addr: SocketAddr,
    kind: PeerKind,
    direction: Direction,
}

enum PeerKind {
    Linux(Server),
    Local(tokio::task::JoinHandle<std::io::Result<Half>>),
}

impl Peer {
    fn start(stage: &Stage, args: &Args, plan: &Plan) -> Result<Self, Failure> {
        let direction = args.direction;
        match stage {
            Stage::Linux { topology, .. } => {
                let role = match direction {
                    Direction::Up => Role::Sink,
                    Direction::Down => {
                        Role::Source { amount: Amount::Time(plan.length()), seed: args.seed }
                    }
                };
                let config = PeerConfig::new(Transport::Mptcp);
                let addr = topology.socket_addr(manypath_lab::Host::Server, 0, 0);
                let server = Server::start(topology.server(), &config, addr, role)
                    .map_err(|error| Failure::failed("the Linux peer", &error))?;
                Ok(Self { addr: server.addr(), kind: PeerKind::Linux(server), direction })
            }
            Stage::Local { server, .. } => {
                let addr = local_server_addr();
                let listener = server
                    .listen(addr)
                    .map_err(|error| Failure::failed("the local peer", &error))?;
                let (seed, length) = (args.seed, plan.length());
                let task = tokio::spawn(async move {
                    let (stream, _) = listener.accept().await?;
                    match direction {
                        Direction::Up => receive(stream).await,
                        Direction::Down => send(stream, seed, now() + length).await,
                    }
                });
                Ok(Self { addr, kind: PeerKind::Local(task), direction })
            }
        }
    }

    /// Waits for the peer's end of the transfer.
    async fn report(self) -> Result<Half, Failure> {
        match self.kind {
            PeerKind::Local(task) => {
                let half = task.await.map_err(|error| Failure::failed("the local peer", &error))?;
                half.map_err(|error| Failure::failed("the local peer", &error))
            }
            PeerKind::Linux(server) => {
                let report =
                    tokio::task::spawn_blocking(move || server.next_report(PATIENCE)).await;
                let report = report.ok().flatten();
                let report = report
                    .ok_or_else(|| Failure::Failed("the Linux peer did not finish".to_owned()))?;
                Ok(match self.direction {
                    Direction::Up => report.received,
                    Direction::Down => report.sent,
                })
            }
        }
    }
}
