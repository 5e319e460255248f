//! An end that is the kernel's MPTCP: blocking sockets, a thread each, which is the fastest way that
//! it can be used for few connections.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use manypath_base::{len64, usize64};
use manypath_lab::{MptcpInfo, PeerConfig, Transport};
use sha2::{Digest as _, Sha256};

use super::tally::Tally;
use super::{BLOCK, Job, READY, Said, Side, Spec, say};
use crate::failure::Failure;
use crate::figures::hex;
use crate::pattern::Pattern;

const STACK: usize = 64 << 10;
const LOOK: Duration = Duration::from_millis(5);

/// How long data comes in unread before the process ends, of one connection and of each further one.
const UNREAD: Duration = Duration::from_millis(50);
const UNREAD_EACH: Duration = Duration::from_millis(1);

/// Whether the process is about to end.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// Connections that are only held.
static HELD: Mutex<Vec<TcpStream>> = Mutex::new(Vec::new());

/// Starts the end; when this returns, it is ready.
///
/// # Errors
/// What could not be had: the port, a connection, a subflow.
pub(super) fn start(spec: &Spec, tally: &Arc<Tally>) -> Result<(), Failure> {
    let started = match spec.side {
        Side::Listen => listen(spec, tally),
        Side::Connect => open(spec, tally),
    };
    started.map_err(|error| Failure::failed(spec.addr, &error))
}

/// Nothing is read any more, so that the kernel ends the connections at once when the process does
/// (MP_FASTCLOSE). A socket that is closed with everything read still takes in as much as its window has
/// room for, and keeps that for a minute: of many rounds more than the memory that all sockets may
/// have (`tcp_mem`), and the next would have less.
pub(super) fn leave(spec: &Spec) {
    let connections = u32::try_from(spec.connections).unwrap_or(u32::MAX);
    LEAVING.store(true, Ordering::Relaxed);
    thread::sleep(UNREAD + UNREAD_EACH.saturating_mul(connections.min(1_000)));
}

fn config(spec: &Spec) -> PeerConfig {
    // Under BBR, where that is the default of a system, the kernel's MPTCP stalls on two processors.
    let controller = spec.controller.as_deref().unwrap_or("cubic");
    PeerConfig::new(Transport::Mptcp).congestion(controller)
}

fn spawn(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK).spawn(body).map(drop)
}

fn listen(spec: &Spec, tally: &Arc<Tally>) -> io::Result<()> {
    for addr in spec.addrs() {
        // On every address: that of a peer's TUN is there when the peer is.
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
        let listener = config(spec).listener(any)?;
        let (spec, tally) = (spec.clone(), Arc::clone(tally));
        spawn(move || accept(&listener, &spec, &tally).unwrap_or_else(|error| tally.fail(&error)))?;
    }
    Ok(())
}

fn accept(listener: &TcpListener, spec: &Spec, tally: &Arc<Tally>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        if spec.job == Job::Hold {
            hold(stream, spec.side, tally)?;
            continue;
        }
        let (spec, tally) = (spec.clone(), Arc::clone(tally));
        spawn(move || play(stream, &spec, &tally))?;
    }
}

fn open(spec: &Spec, tally: &Arc<Tally>) -> io::Result<()> {
    if spec.job == Job::Knock {
        for _ in 0..spec.connections {
            let (addr, config, tally) = (spec.addr, config(spec), Arc::clone(tally));
            spawn(move || {
                knock(addr, &config, &tally).unwrap_or_else(|error| tally.fail(&error));
            })?;
        }
        return Ok(());
    }
    let addrs = spec.addrs().cycle().take(spec.connections);
    if spec.job == Job::Hold {
        // The other end reads the byte of each before it takes the next.
        for addr in addrs {
            hold(config(spec).stream(addr)?, spec.side, tally)?;
        }
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        return held.iter().try_for_each(|stream| joined(stream, spec.subflows));
    }
    // All before there is load: what is under way would delay those that come after.
    let streams = addrs.map(|addr| config(spec).stream(addr)).collect::<io::Result<Vec<_>>>()?;
    let is_measured = !matches!(spec.job, Job::SendHashed(_) | Job::ReceiveHashed);
    // That they are MPTCP is asked before, too: each answer waits for the socket's own thread, one of a
    // thousand then. Further subflows come with the data.
    if is_measured {
        streams.iter().try_for_each(|stream| joined(stream, 1))?;
    }
    let mut joining = Vec::new();
    for stream in streams {
        if is_measured && spec.subflows > 1 {
            joining.push(stream.try_clone()?);
        }
        let (spec, tally) = (spec.clone(), Arc::clone(tally));
        spawn(move || play(stream, &spec, &tally))?;
    }
    joining.iter().try_for_each(|stream| joined(stream, spec.subflows))
}

/// Waits until a connection has so many subflows; that it is TCP, or has fewer, is a failure.
fn joined(stream: &TcpStream, subflows: usize) -> io::Result<()> {
    let deadline = Instant::now() + READY / 2;
    loop {
        let info = MptcpInfo::of(stream).filter(|info| !info.fallback);
        let up = info.map_or(0, |info| usize::from(info.extra_subflows) + 1);
        if up >= subflows {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = format!("{up} of {subflows} subflows of MPTCP");
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        thread::sleep(LOOK);
    }
}

fn play(mut stream: TcpStream, spec: &Spec, tally: &Tally) {
    let n = tally.next();
    let result = match spec.job {
        Job::Send => send(&mut stream, spec.block()),
        Job::Receive => {
            receive(&mut stream, spec.block(), |chunk| tally.add(n, len64(chunk.len())))
        }
        Job::SendHashed(bytes) => send_hashed(&mut stream, bytes),
        Job::ReceiveHashed => receive_hashed(&mut stream),
        Job::Answer => answer(&mut stream),
        Job::Ask => ask_on(&mut stream, tally, n),
        // These have no thread for a connection.
        Job::Knock | Job::Hold => Ok(()),
    };
    result.unwrap_or_else(|error| tally.fail(&error));
}

fn send(stream: &mut TcpStream, block: usize) -> io::Result<()> {
    let block = vec![0x5a; block];
    loop {
        stream.write_all(&block)?;
    }
}

fn receive(stream: &mut TcpStream, block: usize, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; block];
    while !LEAVING.load(Ordering::Relaxed) {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n]),
        }
    }
    loop {
        thread::park();
    }
}

fn send_hashed(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let (mut pattern, mut hash, mut left) = (Pattern::new(1, 0), Sha256::new(), bytes);
    while left > 0 {
        let chunk = pattern.chunk(BLOCK.min(usize64(left)));
        left -= len64(chunk.len());
        hash.update(&chunk);
        stream.write_all(&chunk)?;
    }
    stream.shutdown(Shutdown::Write)?;
    receive(stream, BLOCK, |_| ())?;
    say(&Said::Hashed(bytes, hex(&hash.finalize())));
    Ok(())
}

fn receive_hashed(stream: &mut TcpStream) -> io::Result<()> {
    let (mut bytes, mut hash) = (0, Sha256::new());
    let take = |chunk: &[u8]| {
        bytes += len64(chunk.len());
        hash.update(chunk);
    };
    receive(stream, BLOCK, take)?;
    say(&Said::Hashed(bytes, hex(&hash.finalize())));
    Ok(())
}

fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])
}

fn ask_on(stream: &mut TcpStream, tally: &Tally, n: usize) -> io::Result<()> {
    loop {
        ask(stream)?;
        tally.add(n, 1);
    }
}

fn knock(addr: SocketAddr, config: &PeerConfig, tally: &Tally) -> io::Result<()> {
    let n = tally.next();
    loop {
        ask(&mut config.stream(addr)?)?;
        tally.add(n, 1);
    }
}

/// Keeps a connection after its first byte, until the end of the process.
fn hold(mut stream: TcpStream, side: Side, tally: &Tally) -> io::Result<()> {
    match side {
        Side::Connect => stream.write_all(b"!")?,
        Side::Listen => stream.read_exact(&mut [0])?,
    }
    tally.add(tally.next(), 1);
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    Ok(())
}
