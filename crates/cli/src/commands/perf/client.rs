//! `manypath perf client`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use manypath::{ConnectOptions, Endpoint, OwnedReadHalf, OwnedWriteHalf, Stream};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use super::header::{Amount, Direction, Header, Received, read_line};
use super::report::{Interval, Reporter, cpu, cpu_per_gb};
use super::{printer, pump};
use crate::connect::{connect, resolve};
use crate::failure::Failure;
use crate::host::{Host, HostOptions, OneEndedOptions};
use crate::linger::Linger;
use crate::output;
use crate::runtime::{self, until_interrupted};
use crate::size;
use crate::watch::{Seen, Watch, mbps, seconds};

/// Options of `perf client`.
#[derive(Debug, clap::Args)]
#[command(after_help = "With --raw there is no protocol: bytes to any sink (`nc -l`), or with \
--reverse from any source.\n\nExample:\n  \
manypath perf client 192.0.2.7 --path wlan0 --path wwan0 --time 10\n  \
manypath perf client 10.77.0.1 --raw --port 9000 --bytes 1G --json\n  \
manypath perf client 192.0.2.7 --raw --one-ended --path wan0 --path wan1")]
pub(super) struct Args {
    /// Name or address of the server
    host_name: String,
    /// Port of the server
    #[arg(long, default_value_t = 5201)]
    port: u16,
    /// How long to send, in seconds; 10 if neither this nor --bytes is given
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    time: Option<Duration>,
    /// How much each connection sends
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    bytes: Option<u64>,
    /// The server sends
    #[arg(long, conflicts_with = "bidir")]
    reverse: bool,
    /// Both send
    #[arg(long)]
    bidir: bool,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    /// Seconds between two reports
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = super::seconds)]
    interval: Duration,
    /// Compare every byte with what was sent
    #[arg(long, conflicts_with = "raw")]
    verify: bool,
    /// Seed of what is sent
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only send, or with --reverse only receive: the peer is any program
    #[arg(long, conflicts_with = "bidir")]
    raw: bool,
    #[command(flatten)]
    host: HostOptions,
    #[command(flatten)]
    one_ended: OneEndedOptions,
}

/// What came of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) intact: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Report {
    peer: SocketAddr,
    direction: &'static str,
    connections: u16,
    seconds: f64,
    bytes_sent: u64,
    bytes_received: u64,
    sent_mbps: f64,
    received_mbps: f64,
    /// `null` without --verify.
    intact: Option<bool>,
    cpu_seconds: f64,
    cpu_seconds_per_gb: f64,
    intervals: Vec<Interval>,
    /// The connections at their end.
    streams: Vec<Seen>,
}

/// Runs the command.
///
/// # Errors
/// When the test cannot be made, or its bytes were not those that were sent.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let runtime = runtime::new()?;
    let host = Host::open_either(&args.host, &args.one_ended, &[])?;
    let options = host.connect_options();
    let work = until_interrupted(test(args, host.endpoint(), &options, json));
    let result = runtime.block_on(work).done().and_then(|result| result);
    let closed = host.close(&runtime);
    let report = result?;
    closed?;
    if json {
        output::json(&report)?;
    } else {
        tell(&report);
    }
    match report.intact {
        Some(false) => Err(Failure::Failed("the bytes received are not those sent".to_owned())),
        Some(true) | None => Ok(()),
    }
}

async fn test(
    args: &Args,
    endpoint: &Endpoint,
    options: &ConnectOptions,
    json: bool,
) -> Result<Report, Failure> {
    let to = resolve(&args.host_name, args.port).await?;
    let mut streams = Vec::new();
    for _ in 0..args.parallel {
        streams.push(connect(endpoint, &to, options).await?);
    }
    let peer = streams.first().map_or_else(nowhere, Stream::peer_addr);
    let mut watches: Vec<_> =
        streams.iter().map(|stream| Watch::new(endpoint, stream.conn_id())).collect();
    let (header, raw) = (header(args), args.raw);
    let (cpu_before, begun) = (cpu(), Instant::now());
    let mut connections = JoinSet::new();
    for stream in streams {
        let linger = Linger::new(endpoint, stream.conn_id());
        connections.spawn(async move {
            let (outcome, halves) = play(stream, header, raw).await?;
            Ok::<_, io::Error>((outcome, linger.wait(halves)))
        });
    }
    let mut reporter = Reporter::new();
    let finish = async {
        let mut played = Vec::new();
        while let Some(one) = connections.join_next().await {
            played.push(one.map_err(io::Error::from).flatten()?);
        }
        Ok::<_, io::Error>(played)
    };
    let played = tokio::select! {
        played = finish => played,
        () = async { reporter.keep_reporting(&mut watches, args.interval, printer(json)).await } => {
            unreachable!("it never ends")
        }
    };
    let took = begun.elapsed();
    let cpu = cpu().saturating_sub(cpu_before);
    let played = played.map_err(|error| Failure::failed(peer, &error))?;
    reporter.finish(&mut watches, printer(json));
    let mut outcomes = Vec::new();
    for (outcome, end) in played {
        outcomes.push(outcome);
        end.await;
    }
    let sent = outcomes.iter().map(|outcome| outcome.sent).sum();
    let received = outcomes.iter().map(|outcome| outcome.received).sum();
    Ok(Report {
        peer,
        direction: header.direction.name(),
        connections: args.parallel,
        seconds: seconds(took),
        bytes_sent: sent,
        bytes_received: received,
        sent_mbps: mbps(sent, took.as_secs_f64()),
        received_mbps: mbps(received, took.as_secs_f64()),
        intact: outcomes.iter().map(|outcome| outcome.intact).reduce(both_intact).flatten(),
        cpu_seconds: seconds(cpu),
        cpu_seconds_per_gb: cpu_per_gb(cpu, sent + received),
        intervals: reporter.intervals,
        streams: watches.iter().map(Watch::seen).collect(),
    })
}

fn nowhere() -> SocketAddr {
    SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0)
}

fn both_intact(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    a.zip(b).map_or(a.or(b), |(a, b)| Some(a && b))
}

fn header(args: &Args) -> Header {
    let direction = match (args.reverse, args.bidir) {
        (true, _) => Direction::Down,
        (false, true) => Direction::Both,
        (false, false) => Direction::Up,
    };
    let default = args.bytes.is_none().then_some(Duration::from_secs(10));
    let amount = Amount { bytes: args.bytes, time: args.time.or(default) };
    Header { direction, seed: args.seed, amount, verify: args.verify }
}

/// Plays the client's side of a test on one connection, until everything was sent and received.
pub(super) async fn play(
    stream: Stream,
    header: Header,
    raw: bool,
) -> io::Result<(Outcome, (OwnedReadHalf, OwnedWriteHalf))> {
    let (mut read, mut write) = stream.into_split();
    if !raw {
        write.write_owned(Bytes::from(format!("{header}\n"))).await?;
    }
    let line = write.info()?.bytes_written;
    let verify = header.verify.then_some(header.seed);
    let sending = async {
        if header.direction.client_sends() {
            pump::send(&mut write, &header).await?;
            write.shutdown().await?;
        }
        Ok::<_, io::Error>(write.info()?.bytes_written - line)
    };
    let receiving = async {
        if raw || header.direction.server_sends() {
            let received = pump::receive(&mut read, Bytes::new(), verify).await?;
            return Ok((received.bytes, received.intact));
        }
        let (Received { intact, .. }, _) = read_line(&mut read).await?;
        Ok((0, intact))
    };
    let (sent, (received, intact)) = tokio::try_join!(sending, receiving)?;
    // Not before: Linux takes no further subflows of a client that has closed its half.
    write.shutdown().await?;
    Ok((Outcome { sent, received, intact }, (read, write)))
}

fn tell(report: &Report) {
    let Report { peer, seconds, sent_mbps, received_mbps, bytes_sent, bytes_received, .. } = report;
    println!(
        "{peer}: sent {bytes_sent} bytes, {sent_mbps} Mbit/s; received {bytes_received} bytes, \
         {received_mbps} Mbit/s; {seconds} s, CPU {} s per GB{}",
        report.cpu_seconds_per_gb,
        if report.intact == Some(true) { ", every byte verified" } else { "" }
    );
    for (n, seen) in report.streams.iter().enumerate() {
        let reinjected = seen.bytes_reinjected;
        println!("connection {n}: {}, reinjected {reinjected} bytes", seen.protocol);
        for s in &seen.subflows {
            println!(
                "  {} {} > {}: sent {}, received {}, retransmitted {} bytes",
                s.path, s.local, s.remote, s.bytes_sent, s.bytes_received, s.bytes_retransmitted
            );
        }
    }
}
