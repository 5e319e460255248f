//! What a peer does on a connected socket, and what it reports of it.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use manypath_base::{Instant, Rng, len64, usize64};
use sha2::{Digest as _, Sha256};
use socket2::Socket;

use crate::clock;
use crate::linux::Shared;
use crate::mptcp_info::MptcpInfo;
use crate::timeline::Timeline;

const BUFFER: usize = 64 * 1024;

/// How much a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This many bytes.
    Bytes(u64),
    /// What goes in this time.
    Time(Duration),
}

/// What a peer does on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads to the end.
    Sink,
    /// Sends the bytes of a seed ([`Pattern`]), then reads to the end: the report comes when the
    /// peer has closed.
    Source {
        /// How much.
        amount: Amount,
        /// Which bytes.
        seed: u64,
    },
    /// Sends the bytes of a seed while it reads to the end: both directions at once. It closes its
    /// half when the peer has: Linux takes no further subflow afterwards.
    Exchange {
        /// How much.
        amount: Amount,
        /// Which bytes.
        seed: u64,
    },
    /// Reads to the end, then sends the bytes of a seed over the half that is still open.
    Answer {
        /// How much.
        amount: Amount,
        /// Which bytes.
        seed: u64,
    },
    /// Reads so many bytes and goes while more wait, which the kernel answers as an abort: RST, or
    /// MP_FASTCLOSE (RFC 8684 §3.5).
    Abort {
        /// Bytes that are read.
        after: u64,
    },
    /// Reads so many bytes, then nothing for a time, then to the end.
    Late {
        /// Bytes that are read before.
        after: u64,
        /// How long nothing is read.
        pause: Duration,
    },
    /// Sends back what comes, until the end.
    Echo,
    /// Sends messages to a peer that echoes, each after the echo of the one before.
    PingPong {
        /// How many.
        rounds: u32,
        /// Bytes of each.
        bytes: usize,
    },
}

/// The bytes that a source of a seed sends, without end.
#[derive(Clone, Debug)]
pub struct Pattern(Rng);

impl Pattern {
    /// The bytes of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Rng::seeded(seed))
    }

    /// The next bytes. Fill whole multiples of 4 KiB to get the same bytes whatever the pieces.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(4096) {
            piece.copy_from_slice(&self.0.bytes::<4096>()[..piece.len()]);
        }
    }
}

/// One direction of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// Application bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
    /// When they passed between application and kernel.
    pub timeline: Timeline,
}

/// What a connection did.
#[derive(Debug)]
pub struct Report {
    /// The address of the other end, as this end sees it.
    pub peer: Option<SocketAddr>,
    /// What was sent.
    pub sent: Half,
    /// What came.
    pub received: Half,
    /// The times of the rounds of [`Role::PingPong`].
    pub round_trips: Vec<Duration>,
    /// What the kernel said shortly before the end; `None` for plain TCP.
    pub mptcp: Option<MptcpInfo>,
    /// What ended the connection, if it was not its role.
    pub error: Option<io::Error>,
}

impl Role {
    /// Plays the role to its end on a connection that is there since `start`.
    pub(crate) fn play(self, socket: &Socket, start: Instant, shared: &Shared) -> Report {
        let mut stream = Stream {
            socket,
            shared,
            sent: Meter::new(start),
            received: Meter::new(start),
            mptcp: None,
        };
        let mut round_trips = Vec::new();
        let result = match self {
            Self::Sink => stream.drain(),
            Self::Source { amount, seed } => {
                stream.pour(amount, seed).and_then(|()| stream.finish_sending())
            }
            Self::Exchange { amount, seed } => stream.exchange(amount, seed),
            Self::Answer { amount, seed } => {
                stream.drain().and_then(|()| stream.pour(amount, seed))
            }
            Self::Abort { after } => stream.drain_until(after),
            Self::Late { after, pause } => stream.drain_late(after, pause),
            Self::Echo => stream.echo(),
            Self::PingPong { rounds, bytes } => stream.ping_pong(rounds, bytes, &mut round_trips),
        };
        Report {
            peer: socket.peer_addr().ok().and_then(|addr| addr.as_socket()),
            mptcp: stream.mptcp,
            sent: stream.sent.finish(),
            received: stream.received.finish(),
            round_trips,
            error: result.err(),
        }
    }
}

struct Meter {
    hash: Sha256,
    timeline: Timeline,
}

impl Meter {
    fn new(start: Instant) -> Self {
        Self { hash: Sha256::new(), timeline: Timeline::new(start) }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.timeline.note(clock::now(), bytes.len());
        self.hash.update(bytes);
    }

    fn finish(self) -> Half {
        let (bytes, sha256) = (self.timeline.bytes(), self.hash.finalize().into());
        Half { bytes, sha256, timeline: self.timeline }
    }
}

struct Stream<'a> {
    socket: &'a Socket,
    shared: &'a Shared,
    sent: Meter,
    received: Meter,
    mptcp: Option<MptcpInfo>,
}

impl Stream<'_> {
    /// Bytes read; 0 is the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        let n = uninterrupted(|| socket.read(buffer))?;
        if n > 0 {
            self.received.note(&buffer[..n]);
            self.shared.received(len64(n));
        }
        Ok(n)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all(self.socket, &mut self.sent, bytes)
    }

    fn ask_kernel(&mut self) {
        self.mptcp = MptcpInfo::of(self.socket);
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        while self.read(&mut buffer)? > 0 {}
        self.ask_kernel();
        Ok(())
    }

    fn pour(&mut self, amount: Amount, seed: u64) -> io::Result<()> {
        pour(self.socket, &mut self.sent, amount, seed)
    }

    /// Reads `bytes` and waits until one more is there.
    fn drain_until(&mut self, bytes: u64) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut left = bytes;
        while left > 0 {
            match self.read(&mut buffer[..BUFFER.min(usize64(left))])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => left -= len64(n),
            }
        }
        self.ask_kernel();
        let mut one = [MaybeUninit::uninit()];
        uninterrupted(|| self.socket.peek(&mut one)).map(drop)
    }

    fn drain_late(&mut self, after: u64, pause: Duration) -> io::Result<()> {
        self.drain_until(after)?;
        thread::sleep(pause);
        self.drain()
    }

    fn exchange(&mut self, amount: Amount, seed: u64) -> io::Result<()> {
        let (socket, start) = (self.socket, self.sent.timeline.start());
        let mut sent = std::mem::replace(&mut self.sent, Meter::new(start));
        let (sent, wrote, read) = thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let wrote = pour(socket, &mut sent, amount, seed);
                (sent, wrote)
            });
            let read = self.drain();
            let (sent, wrote) = writing.join().expect("it does not panic");
            (sent, wrote, read)
        });
        self.sent = sent;
        wrote.and(read)?;
        socket.shutdown(Shutdown::Write)
    }

    /// Says that no more comes, and waits for the peer to say the same.
    fn finish_sending(&mut self) -> io::Result<()> {
        self.ask_kernel();
        self.socket.shutdown(Shutdown::Write)?;
        let mut rest = vec![0; BUFFER];
        while self.read(&mut rest)? > 0 {}
        Ok(())
    }

    fn echo(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = self.read(&mut buffer)?;
            if n == 0 {
                self.ask_kernel();
                return Ok(());
            }
            self.write_all(&buffer[..n])?;
        }
    }

    fn ping_pong(
        &mut self,
        rounds: u32,
        bytes: usize,
        round_trips: &mut Vec<Duration>,
    ) -> io::Result<()> {
        let (message, mut buffer) = (vec![0x5a; bytes], vec![0; bytes]);
        for _ in 0..rounds {
            let sent = clock::now();
            self.write_all(&message)?;
            let mut got = 0;
            while got < bytes {
                match self.read(&mut buffer[got..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    n => got += n,
                }
            }
            round_trips.push(clock::now().since(sent));
        }
        self.finish_sending()
    }
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn write_all(mut socket: &Socket, sent: &mut Meter, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes)?;
    sent.note(bytes);
    Ok(())
}

/// Sends the bytes of a seed.
fn pour(socket: &Socket, sent: &mut Meter, amount: Amount, seed: u64) -> io::Result<()> {
    let (mut buffer, mut pattern) = (vec![0; BUFFER], Pattern::new(seed));
    let end = match amount {
        Amount::Bytes(_) => None,
        Amount::Time(time) => Some(clock::now() + time),
    };
    let mut left = match amount {
        Amount::Bytes(bytes) => bytes,
        Amount::Time(_) => u64::MAX,
    };
    while left > 0 && end.is_none_or(|end| clock::now() < end) {
        pattern.fill(&mut buffer);
        let len = BUFFER.min(usize64(left));
        write_all(socket, sent, &buffer[..len])?;
        left -= len64(len);
    }
    Ok(())
}
