//! An end that is manypath.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use manypath::device::{Mac, PacketConfig, PacketSocket, Tun, TunConfig};
use manypath::{
    CongestionControl, ConnId, Endpoint, EndpointBuilder, ListenOptions, Listener, Path, Stream,
};
use manypath_base::{len64, usize64};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinSet;

use super::tally::Tally;
use super::{Job, READY, Said, Side, Spec, TunSpec, say};
use crate::failure::Failure;
use crate::figures::hex;
use crate::pattern::Pattern;
use crate::runtime;

/// Connections that are opened at once where they are only held: the kernel's end, too, opens those
/// that carry something one after the other.
const AT_ONCE: usize = 64;
/// How long an end that waits for a byte goes on asking its device.
const BUSY_POLL: Duration = Duration::from_micros(50);
/// How long one does whose packets come through a ring, which costs no call, with a processor to spare.
const RING_POLL: Duration = Duration::from_micros(200);
/// Between two looks at a connection whose subflows are not there yet.
const LOOK: Duration = Duration::from_millis(5);

/// Starts the end; when this returns, it is ready.
///
/// # Errors
/// What could not be had: the TUN, a connection, a subflow.
pub(super) fn start(spec: &Spec, tally: &Arc<Tally>) -> Result<(), Failure> {
    let runtimes: Vec<Runtime> =
        (0..spec.shards).map(|_| runtime::one_thread()).collect::<Result<_, _>>()?;
    let shards = Shards(runtimes.iter().map(|runtime| runtime.handle().clone()).collect());
    let endpoint = endpoint(spec, &shards)?;
    for runtime in runtimes {
        thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    }
    match spec.side {
        Side::Listen => {
            for addr in spec.addrs() {
                let options = ListenOptions { backlog: 4096, ..ListenOptions::default() };
                let listener = endpoint.listen_with(addr, options);
                let listener = listener.map_err(|error| Failure::failed(addr, &error))?;
                let accepting = accept(listener, spec.clone(), shards.clone(), Arc::clone(tally));
                shards.first().spawn(accepting);
            }
        }
        Side::Connect => {
            let opening = open(spec.clone(), endpoint.clone(), shards.clone(), Arc::clone(tally));
            let opened = runtime::one_thread()?.block_on(shards.first().spawn(opening));
            let opened = opened.map_err(io::Error::other).flatten();
            opened.map_err(|error| Failure::failed(spec.addr, &error))?;
        }
    }
    // As long as this process.
    std::mem::forget(endpoint);
    Ok(())
}

/// The runtimes that drive the shards of the endpoint, a thread each. What is done on a connection runs
/// where its shard does.
#[derive(Clone)]
struct Shards(Vec<Handle>);

impl Shards {
    fn of(&self, stream: &Stream) -> &Handle {
        &self.0[stream.shard()]
    }

    fn first(&self) -> &Handle {
        &self.0[0]
    }

    /// One after the other.
    fn in_turn(&self) -> impl Iterator<Item = &Handle> {
        self.0.iter().cycle()
    }
}

fn endpoint(spec: &Spec, shards: &Shards) -> Result<Endpoint, Failure> {
    let missing = || Failure::Usage("--end: manypath needs a device".to_owned());
    let tun = spec.tun.as_ref().ok_or_else(missing)?;
    let mut builder = Endpoint::builder().nodelay(true).busy_poll(busy_poll(spec.job, tun));
    if let Some(name) = &spec.controller {
        let controller = name.parse::<CongestionControl>();
        let controller = controller.map_err(|error| Failure::failed("the endpoint", &error))?;
        builder = builder.congestion_control(controller);
    }
    let builder = if tun.sockets.is_empty() {
        on_tun(builder, tun, spec.shards)?
    } else {
        on_sockets(builder, tun)?
    };
    let endpoint = builder.build_tasks(&shards.0);
    endpoint.map_err(|error| Failure::failed("the endpoint", &error))
}

/// How long the end goes on asking its device after something happened, before it sleeps.
fn busy_poll(job: Job, tun: &TunSpec) -> Duration {
    let processors = runtime::processors();
    match job {
        Job::Ask | Job::Answer | Job::Knock => BUSY_POLL,
        Job::Send | Job::Receive | Job::SendHashed(_) | Job::ReceiveHashed | Job::Hold => {
            match tun.sockets.len() {
                0 => Duration::ZERO,
                // Each socket may have a thread that writes.
                sockets if processors > sockets => RING_POLL,
                _ => BUSY_POLL,
            }
        }
    }
}

fn on_tun(
    builder: EndpointBuilder,
    spec: &TunSpec,
    queues: u32,
) -> Result<EndpointBuilder, Failure> {
    let TunSpec { name, kernel, paths, offload, sockets: _ } = spec;
    let config = TunConfig {
        name: name.clone(),
        addresses: vec![*kernel],
        offload: *offload,
        queues,
        ..TunConfig::default()
    };
    let tun = Tun::open(&config).map_err(|error| Failure::failed("the TUN", &error))?;
    if !offload {
        let off = manypath_lab::without_offload(name);
        off.map_err(|error| Failure::failed("the TUN", &error))?;
    }
    let paths = paths.iter().enumerate().map(|(n, addr)| Path::new(format!("path{n}"), *addr));
    Ok(builder.paths(tun, paths))
}

/// With segmentation left to the interface, as the kernel leaves it: one that does none has its
/// packets cut where they leave the host.
fn on_sockets(builder: EndpointBuilder, spec: &TunSpec) -> Result<EndpointBuilder, Failure> {
    let mut builder = builder;
    for (n, (interface, addr)) in (1..).zip(spec.sockets.iter().zip(&spec.paths)) {
        let config = PacketConfig {
            interface: interface.clone(),
            addresses: vec![*addr],
            offload: true,
            mac: Some(Mac([2, 0, 0, 0, 1, n])),
        };
        let socket = PacketSocket::open(&config);
        let socket = socket.map_err(|error| Failure::failed("the packet socket", &error))?;
        builder = builder.path(socket, Path::new(interface, *addr));
    }
    Ok(builder)
}

async fn accept(listener: Listener, spec: Spec, shards: Shards, tally: Arc<Tally>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => return tally.fail(&error),
        };
        let runtime = shards.of(&stream);
        if spec.job == Job::Hold {
            runtime.spawn(hold_on(stream, spec.side, Arc::clone(&tally)));
        } else {
            runtime.spawn(play(stream, spec.clone(), Arc::clone(&tally)));
        }
    }
}

/// Opens the connections, begins what is to be done on them, and waits for their subflows.
async fn open(spec: Spec, endpoint: Endpoint, shards: Shards, tally: Arc<Tally>) -> io::Result<()> {
    if spec.job == Job::Knock {
        for runtime in shards.in_turn().take(spec.connections) {
            runtime.spawn(knock(endpoint.clone(), spec.addr, Arc::clone(&tally)));
        }
        return Ok(());
    }
    // All before there is load: what is under way would delay those that come after. A connection
    // that is held has none, and the other end reads its byte before it takes the next.
    let held = |stream| {
        let id = Stream::conn_id(&stream);
        shards.of(&stream).spawn(hold_on(stream, spec.side, Arc::clone(&tally)));
        id
    };
    let ids: Vec<_> = if spec.job == Job::Hold {
        connect_all(&spec, &endpoint, held).await?
    } else {
        let streams = connect_all(&spec, &endpoint, |stream| stream).await?;
        let ids = streams.iter().map(Stream::conn_id).collect();
        for stream in streams {
            shards.of(&stream).spawn(play(stream, spec.clone(), Arc::clone(&tally)));
        }
        ids
    };
    // What is hashed may be at its end before one could look.
    if !matches!(spec.job, Job::SendHashed(_) | Job::ReceiveHashed) {
        for id in ids {
            joined(&endpoint, id, spec.subflows).await?;
        }
    }
    Ok(())
}

/// Opens all connections, and gives each away as soon as it is there.
async fn connect_all<T>(
    spec: &Spec,
    endpoint: &Endpoint,
    take: impl Fn(Stream) -> T,
) -> io::Result<Vec<T>> {
    let at_once = if spec.job == Job::Hold { AT_ONCE } else { 1 };
    let (mut opening, mut streams) = (JoinSet::new(), Vec::new());
    for addr in spec.addrs().cycle().take(spec.connections) {
        let endpoint = endpoint.clone();
        opening.spawn(async move { endpoint.connect(addr).await });
        if opening.len() >= at_once
            && let Some(opened) = opening.join_next().await
        {
            streams.push(take(opened?.map_err(io::Error::other)?));
        }
    }
    while let Some(opened) = opening.join_next().await {
        streams.push(take(opened?.map_err(io::Error::other)?));
    }
    Ok(streams)
}

/// Waits until a connection has so many subflows; that it is TCP, or has fewer, is a failure.
async fn joined(endpoint: &Endpoint, id: ConnId, subflows: usize) -> io::Result<()> {
    let deadline = Instant::now() + READY / 2;
    loop {
        let info = endpoint.connection_info(id).map_err(io::Error::other)?;
        let info = info.ok_or_else(|| io::Error::other("the connection ended at once"))?;
        let up = info.subflows.iter().filter(|subflow| subflow.established).count();
        if info.protocol == "multipath" && up >= subflows {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = format!("{up} of {subflows} subflows, {}", info.protocol);
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn play(mut stream: Stream, spec: Spec, tally: Arc<Tally>) {
    let n = tally.next();
    let result = match spec.job {
        Job::Send => send(&mut stream, spec.block()).await,
        Job::Receive => receive(&mut stream, |chunk| tally.add(n, len64(chunk.len()))).await,
        Job::SendHashed(bytes) => send_hashed(stream, bytes).await,
        Job::ReceiveHashed => receive_hashed(&mut stream).await,
        Job::Answer => answer(&mut stream).await,
        Job::Ask => ask_on(&mut stream, &tally, n).await,
        // These have a task of another kind.
        Job::Knock | Job::Hold => Ok(()),
    };
    result.unwrap_or_else(|error| tally.fail(&error));
}

async fn send(stream: &mut Stream, block: usize) -> io::Result<()> {
    let block = Bytes::from(vec![0x5a; block]);
    loop {
        stream.write_owned(block.clone()).await?;
    }
}

async fn receive(stream: &mut Stream, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    while let Some(chunk) = stream.read_chunk().await? {
        take(&chunk);
    }
    Ok(())
}

async fn send_hashed(mut stream: Stream, bytes: u64) -> io::Result<()> {
    let (mut pattern, mut hash, mut left) = (Pattern::new(1, 0), Sha256::new(), bytes);
    while left > 0 {
        let chunk = pattern.chunk(super::BLOCK.min(usize64(left)));
        left -= len64(chunk.len());
        hash.update(&chunk);
        stream.write_owned(chunk).await?;
    }
    stream.close().await?;
    say(&Said::Hashed(bytes, hex(&hash.finalize())));
    Ok(())
}

async fn receive_hashed(stream: &mut Stream) -> io::Result<()> {
    let (mut bytes, mut hash) = (0, Sha256::new());
    let take = |chunk: &[u8]| {
        bytes += len64(chunk.len());
        hash.update(chunk);
    };
    receive(stream, take).await?;
    say(&Said::Hashed(bytes, hex(&hash.finalize())));
    Ok(())
}

async fn answer(stream: &mut Stream) -> io::Result<()> {
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_owned(chunk).await?;
    }
    Ok(())
}

async fn ask(stream: &mut Stream) -> io::Result<()> {
    stream.write_owned(Bytes::from_static(b"?")).await?;
    match stream.read_chunk().await? {
        Some(_) => Ok(()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn ask_on(stream: &mut Stream, tally: &Tally, n: usize) -> io::Result<()> {
    loop {
        ask(stream).await?;
        tally.add(n, 1);
    }
}

async fn knock(endpoint: Endpoint, addr: SocketAddr, tally: Arc<Tally>) {
    let n = tally.next();
    loop {
        match knock_once(&endpoint, addr).await {
            Ok(()) => tally.add(n, 1),
            Err(error) => return tally.fail(&error),
        }
    }
}

/// Dropping a stream closes it, as closing a socket does.
async fn knock_once(endpoint: &Endpoint, addr: SocketAddr) -> io::Result<()> {
    let mut stream = endpoint.connect(addr).await.map_err(io::Error::other)?;
    ask(&mut stream).await
}

/// Holds a connection after its first byte until the end of the process. Nothing else is in this
/// task, so that it is as small as that of an application that waits.
#[expect(clippy::manual_async_fn, reason = "that would have its arguments twice")]
fn hold_on(
    mut stream: Stream,
    side: Side,
    tally: Arc<Tally>,
) -> impl Future<Output = ()> + Send + 'static {
    async move {
        let begun = match side {
            Side::Connect => stream.write_owned(Bytes::from_static(b"!")).await,
            Side::Listen => stream.read_chunk().await.map(drop),
        };
        match begun {
            Ok(()) => tally.add(tally.next(), 1),
            Err(error) => return tally.fail(&error),
        }
        std::future::pending::<()>().await;
        drop(stream);
    }
}
