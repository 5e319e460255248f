//! The line with which a `perf` client says what the test is.
//!
//! ```text
//! manypath-perf 1 up seed 7 bytes 100000000 ms - verify 1
//! ```
//!
//! Then data flows. Where the client alone sends, the server answers at its end with
//! `received <bytes> <ok|bad|->` and a newline.

use std::fmt::{self, Display, Formatter};
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use manypath::OwnedReadHalf;

/// The longest line that is read.
const MAX_LINE: usize = 256;
const MAGIC: &str = "manypath-perf 1";

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The client.
    Up,
    /// The server.
    Down,
    /// Both.
    Both,
}

/// How much each sender sends; what ends first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// Bytes.
    pub(super) bytes: Option<u64>,
    /// Time.
    pub(super) time: Option<Duration>,
}

/// A test on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Who sends.
    pub(super) direction: Direction,
    /// Seed of what is sent.
    pub(super) seed: u64,
    /// How much is sent.
    pub(super) amount: Amount,
    /// Whether receivers compare every byte.
    pub(super) verify: bool,
}

/// What a receiver got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// Bytes.
    pub(super) bytes: u64,
    /// Whether they were the right ones; `None` if nobody looked.
    pub(super) intact: Option<bool>,
}

impl Direction {
    /// Whether the client sends.
    pub(super) fn client_sends(self) -> bool {
        self != Self::Down
    }

    /// Whether the server sends.
    pub(super) fn server_sends(self) -> bool {
        self != Self::Up
    }

    /// Its word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        }
    }
}

impl Display for Header {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { direction, seed, amount: Amount { bytes, time }, verify } = self;
        let or_none = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        let ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let (bytes, ms, verify) = (or_none(*bytes), or_none(ms), u8::from(*verify));
        let direction = direction.name();
        write!(f, "{MAGIC} {direction} seed {seed} bytes {bytes} ms {ms} verify {verify}")
    }
}

impl FromStr for Header {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<_> = line.strip_prefix(MAGIC).ok_or(())?.split_whitespace().collect();
        let [direction, "seed", seed, "bytes", bytes, "ms", ms, "verify", verify] = words[..]
        else {
            return Err(());
        };
        let direction = [Direction::Up, Direction::Down, Direction::Both]
            .into_iter()
            .find(|d| d.name() == direction)
            .ok_or(())?;
        let bytes = optional(bytes)?;
        let time = optional(ms)?.map(Duration::from_millis);
        let seed = seed.parse().map_err(|_| ())?;
        Ok(Self { direction, seed, amount: Amount { bytes, time }, verify: verify == "1" })
    }
}

fn optional(word: &str) -> Result<Option<u64>, ()> {
    if word == "-" { Ok(None) } else { word.parse().map(Some).map_err(|_| ()) }
}

impl Display for Received {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let intact = match self.intact {
            Some(true) => "ok",
            Some(false) => "bad",
            None => "-",
        };
        write!(f, "received {} {intact}", self.bytes)
    }
}

impl FromStr for Received {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<_> = line.split_whitespace().collect();
        let ["received", bytes, intact] = words[..] else { return Err(()) };
        let intact = match intact {
            "ok" => Some(true),
            "bad" => Some(false),
            "-" => None,
            _ => return Err(()),
        };
        Ok(Self { bytes: bytes.parse().map_err(|_| ())?, intact })
    }
}

/// Reads a line; what came behind it is returned too.
///
/// # Errors
/// `InvalidData` if this is no such line.
pub(super) async fn read_line<T: FromStr>(read: &mut OwnedReadHalf) -> io::Result<(T, Bytes)> {
    let mut seen = BytesMut::new();
    loop {
        if let Some(end) = seen.iter().position(|&byte| byte == b'\n') {
            let line = seen.split_to(end + 1);
            let parsed = std::str::from_utf8(&line[..end]).ok().and_then(|line| line.parse().ok());
            return parsed.map(|value| (value, seen.freeze())).ok_or_else(not_ours);
        }
        match read.read_chunk().await? {
            Some(chunk) if seen.len() < MAX_LINE => seen.extend_from_slice(&chunk),
            _ => return Err(not_ours()),
        }
    }
}

fn not_ours() -> io::Error {
    let what = "the peer does not speak `manypath perf`; try --raw";
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_survives_the_wire(
            seed: u64, bytes: Option<u64>, ms in prop::option::of(0..u64::MAX / 2), verify: bool,
            direction in prop::sample::select(vec![Direction::Up, Direction::Down, Direction::Both]),
        ) {
            let time = ms.map(Duration::from_millis);
            let header = Header { direction, seed, amount: Amount { bytes, time }, verify };
            prop_assert_eq!(header.to_string().parse(), Ok(header));
        }

        #[test]
        fn a_result_survives_the_wire(bytes: u64, intact: Option<bool>) {
            let received = Received { bytes, intact };
            prop_assert_eq!(received.to_string().parse(), Ok(received));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in ["", "GET / HTTP/1.1", "manypath-perf 2 up seed 1 bytes - ms - verify 0"] {
            assert_eq!(line.parse::<Header>(), Err(()), "{line}");
        }
    }
}
