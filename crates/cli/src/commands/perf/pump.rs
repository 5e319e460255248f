//! Sending and receiving as fast as the stack can.

use std::io;

use bytes::Bytes;
use manypath::{OwnedReadHalf, OwnedWriteHalf};
use manypath_base::{len64, usize64};
use tokio::time::{Instant, timeout_at};

use super::header::{Amount, Header, Received};
use crate::pattern::Pattern;

/// Bytes written at once. Without --verify these are the same ones again and again, shared.
const BLOCK: usize = 256 << 10;

/// What is sent.
enum Source {
    /// The same block again and again.
    Block(Bytes),
    /// The bytes of the seed.
    Pattern(Pattern),
}

impl Source {
    fn of(header: &Header) -> Self {
        let mut pattern = Pattern::new(header.seed, 0);
        if header.verify { Self::Pattern(pattern) } else { Self::Block(pattern.chunk(BLOCK)) }
    }

    fn chunk(&mut self, len: usize) -> Bytes {
        match self {
            Self::Block(block) => block.slice(..len),
            Self::Pattern(pattern) => pattern.chunk(len),
        }
    }
}

/// Sends what the header says; the caller closes.
///
/// # Errors
/// When the connection failed.
pub(super) async fn send(write: &mut OwnedWriteHalf, header: &Header) -> io::Result<()> {
    let mut source = Source::of(header);
    let Amount { bytes, time } = header.amount;
    let deadline = time.map(|time| Instant::now() + time);
    let mut left = bytes.unwrap_or(u64::MAX);
    while left > 0 {
        let chunk = source.chunk(BLOCK.min(usize64(left)));
        left -= len64(chunk.len());
        let sent = write.write_owned(chunk);
        match deadline {
            None => sent.await?,
            Some(deadline) => match timeout_at(deadline, sent).await {
                Ok(result) => result?,
                // Part of the last block may have been sent: receivers do not mind.
                Err(_) => return Ok(()),
            },
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
    }
    Ok(())
}

/// Receives to the end, `first` being what has come already; with `verify` every byte is compared
/// with those of the seed.
///
/// # Errors
/// When the connection failed.
pub(super) async fn receive(
    read: &mut OwnedReadHalf,
    first: Bytes,
    verify: Option<u64>,
) -> io::Result<Received> {
    let mut expected = verify.map(|seed| Pattern::new(seed, 0));
    let mut received = Received { bytes: 0, intact: verify.map(|_| true) };
    let mut next = Some(first);
    while let Some(chunk) = next {
        received.bytes += len64(chunk.len());
        if let (Some(expected), Some(intact)) = (&mut expected, &mut received.intact) {
            *intact &= expected.matches(&chunk);
        }
        next = read.read_chunk().await?;
    }
    Ok(received)
}
