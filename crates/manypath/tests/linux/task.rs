//! What is done with a connection, and whether what came is what was sent.

use std::future::Future;
use std::io;

use bytes::Bytes;
use manypath::{ConnectionInfo, Endpoint, OwnedReadHalf, OwnedWriteHalf, Stream};
use manypath_lab::{Amount, Client, Pattern, Report, Role, Server};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use crate::wait::PATIENCE;

const SEED: u64 = 11;
const BLOCK: usize = 64 << 10;
pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;

/// What is done with a connection, as this side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// This side sends and closes its half; the peer only reads.
    Up,
    /// The peer sends; this side closes when the peer has.
    Down,
    /// The peer sends back what comes, also after this side has closed its half.
    Echo,
    /// Both send as much, at once.
    Both,
    /// This side sends and closes its half; then the peer sends as much.
    Answered,
    /// The peer sends and closes its half; then this side sends as much.
    Answers,
}

impl Task {
    /// The peer's part.
    pub(crate) fn of_linux(self, bytes: u64) -> Role {
        let (amount, seed) = (Amount::Bytes(bytes), SEED + 1);
        match self {
            Self::Up => Role::Sink,
            Self::Down | Self::Answers => Role::Source { amount, seed },
            Self::Echo => Role::Echo,
            Self::Both => Role::Exchange { amount, seed },
            Self::Answered => Role::Answer { amount, seed },
        }
    }

    fn sends(self, bytes: u64) -> u64 {
        if self == Self::Down { 0 } else { bytes }
    }

    fn receives(self, bytes: u64) -> u64 {
        if self == Self::Up { 0 } else { bytes }
    }

    fn waits_for_the_peer(self) -> bool {
        matches!(self, Self::Down | Self::Answers)
    }
}

/// Bytes and their hash.
type Sum = (u64, [u8; 32]);

/// What a connection moved, as this side has it, and as Linux has it.
pub(crate) struct Moved {
    pub(crate) sent: Sum,
    pub(crate) received: Sum,
    /// This side, when all was sent and received.
    pub(crate) ours: ConnectionInfo,
    pub(crate) linux: Report,
}

impl Moved {
    /// That what one side sent is what the other received, and as much as was asked for.
    pub(crate) fn assert_intact(&self, task: Task, bytes: u64) {
        let linux = &self.linux;
        assert!(linux.error.is_none(), "{task:?} {bytes}: {:?}", linux.error);
        assert_eq!(self.sent, (linux.received.bytes, linux.received.sha256), "{task:?} {bytes}");
        assert_eq!(self.received, (linux.sent.bytes, linux.sent.sha256), "{task:?} {bytes}");
        let expected = (task.sends(bytes), task.receives(bytes));
        assert_eq!((self.sent.0, self.received.0), expected, "{task:?}");
    }

    /// That both ends had multipath to the end.
    pub(crate) fn assert_multipath(&self, what: &str) {
        assert_eq!(self.ours.protocol, "multipath", "{what}: {:?}", self.ours);
        assert_eq!(self.linux.mptcp.map(|info| info.fallback), Some(false), "{what}");
    }

    /// That neither end had multipath in the end; `ours` is what this side calls it.
    pub(crate) fn assert_single_path(&self, ours: &str, what: &str) {
        assert_eq!(self.ours.protocol, ours, "{what}: {:?}", self.ours);
        assert!(
            self.linux.mptcp.is_none_or(|info| info.fallback),
            "{what}: {:?}",
            self.linux.mptcp
        );
    }
}

/// Linux at the other end of one connection.
pub(crate) enum Peer {
    Server(Server),
    Client(Client),
}

impl Peer {
    /// What it has to say at the end.
    pub(crate) async fn report(self) -> Report {
        let wait = move || match self {
            Self::Server(server) => server.next_report(PATIENCE).expect("the connection ends"),
            Self::Client(client) => client.report(PATIENCE).expect("the connection ends"),
        };
        tokio::task::spawn_blocking(wait).await.expect("it does not panic")
    }

    /// Application bytes that came.
    pub(crate) fn received(&self) -> u64 {
        match self {
            Self::Server(server) => server.received(),
            Self::Client(client) => client.received(),
        }
    }
}

/// Does this side's part of a task while `meanwhile` goes on, and waits for both ends to finish.
///
/// This side closes its half once `meanwhile` is done, however long the machine takes over it: Linux
/// takes no further subflow afterwards. What is to happen to addresses therefore wants a task in
/// which this side sends.
pub(crate) async fn play(
    endpoint: &Endpoint,
    (stream, peer): (Stream, Peer),
    (task, bytes): (Task, u64),
    meanwhile: impl Future<Output = ()>,
) -> Moved {
    let id = stream.conn_id();
    let (mut read, mut write) = stream.into_split();
    let (at_end, done) = (Notify::new(), Notify::new());
    let sending = async {
        if task.waits_for_the_peer() {
            at_end.notified().await;
        }
        let sum = send(&mut write, task.sends(bytes)).await?;
        done.notified().await;
        write.shutdown().await?;
        Ok::<_, io::Error>(sum)
    };
    let receiving = async {
        let sum = receive(&mut read).await;
        at_end.notify_one();
        sum
    };
    let meanwhile = async {
        meanwhile.await;
        done.notify_one();
    };
    let both = async { tokio::join!(sending, receiving, meanwhile) };
    let snapshot = || endpoint.connection_info(id).expect("the endpoint runs");
    let Ok((sent, received, ())) = tokio::time::timeout(PATIENCE, both).await else {
        panic!("{task:?} {bytes} does not end; Linux has {}: {:?}", peer.received(), snapshot());
    };
    let ours = snapshot().expect("the connection is there");
    let why = |error| format!("{task:?} {bytes}: {error}; {ours:?}");
    let sent = sent.unwrap_or_else(|error| panic!("sending: {}", why(error)));
    let received = received.unwrap_or_else(|error| panic!("receiving: {}", why(error)));
    let linux = peer.report().await;
    Moved { sent, received, ours, linux }
}

/// Sends the bytes of a seed.
pub(crate) async fn send(write: &mut OwnedWriteHalf, all: u64) -> io::Result<Sum> {
    let (mut pattern, mut hash, mut sent) = (Pattern::new(SEED), Sha256::new(), 0);
    while sent < all {
        let mut block = vec![0; BLOCK];
        pattern.fill(&mut block);
        block.truncate(usize::try_from(all - sent).map_or(BLOCK, |left| left.min(BLOCK)));
        hash.update(&block);
        sent += block.len() as u64;
        write.write_owned(Bytes::from(block)).await?;
    }
    Ok((sent, hash.finalize().into()))
}

/// Reads to the end.
pub(crate) async fn receive(read: &mut OwnedReadHalf) -> io::Result<Sum> {
    let (mut hash, mut received) = (Sha256::new(), 0);
    while let Some(chunk) = read.read_chunk().await? {
        hash.update(&chunk);
        received += chunk.len() as u64;
    }
    Ok((received, hash.finalize().into()))
}

/// Reads what Linux sends for as long as it comes, and sees that it is nothing else; returns how much.
pub(crate) async fn receive_of_linux(read: &mut OwnedReadHalf) -> io::Result<u64> {
    let (mut hash, mut received) = (Sha256::new(), 0);
    let end = loop {
        match read.read_chunk().await {
            Ok(Some(chunk)) => {
                hash.update(&chunk);
                received += chunk.len() as u64;
            }
            end => break end,
        }
    };
    let sum: [u8; 32] = hash.finalize().into();
    assert_eq!(sum, sum_of(SEED + 1, received), "something else was read: {end:?}");
    end.map(|_| received)
}

/// The hash of the first bytes of what this side sends.
pub(crate) fn sum_of_ours(bytes: u64) -> [u8; 32] {
    sum_of(SEED, bytes)
}

fn sum_of(seed: u64, bytes: u64) -> [u8; 32] {
    let mut all = vec![0; usize::try_from(bytes).expect("a transfer fits the memory")];
    Pattern::new(seed).fill(&mut all);
    Sha256::digest(&all).into()
}
