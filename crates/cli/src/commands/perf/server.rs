//! `manypath perf server`.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use manypath::{Endpoint, Listener, OwnedReadHalf, OwnedWriteHalf, Stream};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::header::{Amount, Direction, Header, read_line};
use super::report::{Interval, Reporter, cpu, cpu_per_gb};
use super::{printer, pump};
use crate::commands::serve::listen;
use crate::failure::Failure;
use crate::host::{Host, HostOptions, OneEndedOptions};
use crate::linger::Linger;
use crate::output;
use crate::runtime::{self, Ended, until_interrupted};
use crate::size;
use crate::watch::{Seen, Watch, mbps, seconds};

/// Tests that the report tells one by one.
const TOLD: usize = 1_000;

/// Options of `perf server`.
#[derive(Debug, clap::Args)]
#[command(after_help = "With --raw there is no protocol: bytes are discarded, or with --send \
sent to whoever connects.\n\nExample:\n  \
manypath perf server --address 192.0.2.7@eth0 --no-masquerade\n  \
manypath perf server --raw --once --address 10.77.0.2 --tun-address 10.77.0.1/24")]
pub(super) struct Args {
    /// Port to listen on
    #[arg(long, default_value_t = 5201)]
    port: u16,
    /// End after the first connection
    #[arg(long)]
    once: bool,
    /// Seconds between two reports
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = super::seconds)]
    interval: Duration,
    /// No protocol: discard what comes; the peer is any program
    #[arg(long)]
    raw: bool,
    /// With --raw: send instead, this many bytes
    #[arg(long, value_name = "SIZE", value_parser = size::parse, requires = "raw")]
    send: Option<u64>,
    #[command(flatten)]
    host: HostOptions,
    #[command(flatten)]
    one_ended: OneEndedOptions,
}

/// One test.
#[derive(Debug, Serialize)]
struct Tested {
    peer: SocketAddr,
    direction: &'static str,
    seconds: f64,
    bytes_sent: u64,
    bytes_received: u64,
    sent_mbps: f64,
    received_mbps: f64,
    intact: Option<bool>,
    error: Option<String>,
    intervals: Vec<Interval>,
    #[serde(flatten)]
    seen: Seen,
}

#[derive(Debug, Serialize)]
struct Report {
    cpu_seconds: f64,
    cpu_seconds_per_gb: f64,
    tests: Vec<Tested>,
}

/// Runs the command.
///
/// # Errors
/// When it cannot listen.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let runtime = runtime::new()?;
    let host = Host::open_either(&args.host, &args.one_ended, &[args.port])?;
    let cpu_before = cpu();
    let mut tests = Vec::new();
    let result = listen(&host, args.port).and_then(|listener| {
        eprintln!("listening on {}", host.listening(args.port));
        let work = serve(args, host.endpoint(), &listener, printer(json), &mut tests);
        match runtime.block_on(until_interrupted(work)) {
            Ended::Done(result) => result,
            Ended::Interrupted => Ok(()),
        }
    });
    let closed = host.close(&runtime);
    result.and(closed)?;
    if json {
        let cpu = cpu().saturating_sub(cpu_before);
        let bytes = tests.iter().map(|test| test.bytes_sent + test.bytes_received).sum();
        let (cpu_seconds, cpu_seconds_per_gb) = (seconds(cpu), cpu_per_gb(cpu, bytes));
        output::json(&Report { cpu_seconds, cpu_seconds_per_gb, tests })?;
    }
    Ok(())
}

async fn serve(
    args: &Args,
    endpoint: &Endpoint,
    listener: &Listener,
    print: fn(&str),
    tests: &mut Vec<Tested>,
) -> Result<(), Failure> {
    let raw = args.raw.then_some(Header {
        direction: if args.send.is_some() { Direction::Down } else { Direction::Up },
        seed: 1,
        amount: Amount { bytes: args.send, time: None },
        verify: false,
    });
    let (done, mut ended) = mpsc::channel(TOLD);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) =
                    accepted.map_err(|error| Failure::failed("the listener", &error))?;
                let (endpoint, done, every) = (endpoint.clone(), done.clone(), args.interval);
                tokio::spawn(async move {
                    let tested = connection(&endpoint, stream, raw, every, print).await;
                    // The receiver lives as long as the loop.
                    done.send(tested).await.ok();
                });
            }
            Some(tested) = ended.recv() => {
                tell(&tested);
                tests.truncate(TOLD - 1);
                tests.push(tested);
                if args.once {
                    return Ok(());
                }
            }
        }
    }
}

async fn connection(
    endpoint: &Endpoint,
    stream: Stream,
    raw: Option<Header>,
    every: Duration,
    print: fn(&str),
) -> Tested {
    let (begun, peer) = (Instant::now(), stream.peer_addr());
    let linger = Linger::new(endpoint, stream.conn_id());
    let mut watch = [Watch::new(endpoint, stream.conn_id())];
    let mut reporter = Reporter::new();
    let mut tally = Tally::default();
    let result = tokio::select! {
        result = play(stream, raw, &mut tally) => result,
        () = async { reporter.keep_reporting(&mut watch, every, print).await } => {
            unreachable!("it never ends")
        }
    };
    let (took, Tally { direction, sent, received, intact }) = (begun.elapsed(), tally);
    reporter.finish(&mut watch, print);
    let error = match result {
        Ok(halves) => {
            linger.wait(halves).await;
            None
        }
        Err(error) => Some(error.to_string()),
    };
    Tested {
        peer,
        direction: direction.map_or("unknown", Direction::name),
        seconds: seconds(took),
        bytes_sent: sent,
        bytes_received: received,
        sent_mbps: mbps(sent, took.as_secs_f64()),
        received_mbps: mbps(received, took.as_secs_f64()),
        intact,
        error,
        intervals: reporter.intervals,
        seen: watch[0].seen(),
    }
}

/// What a test came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    direction: Option<Direction>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) intact: Option<bool>,
}

/// Plays the server's side of a test, until everything was sent and received.
pub(super) async fn play(
    stream: Stream,
    raw: Option<Header>,
    tally: &mut Tally,
) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let (mut read, mut write) = stream.into_split();
    let (header, first) = match raw {
        Some(header) => (header, Bytes::new()),
        None => read_line(&mut read).await?,
    };
    tally.direction = Some(header.direction);
    let verify = header.verify.then_some(header.seed);
    let sending = async {
        if header.direction.server_sends() {
            pump::send(&mut write, &header).await?;
            tally.sent = write.info()?.bytes_written;
            write.shutdown().await?;
        }
        Ok::<_, io::Error>(())
    };
    let ((), received) = tokio::try_join!(sending, pump::receive(&mut read, first, verify))?;
    tally.received = received.bytes;
    if header.direction.client_sends() {
        tally.intact = received.intact;
    }
    if raw.is_none() && !header.direction.server_sends() {
        write.write_owned(Bytes::from(format!("{received}\n"))).await?;
    }
    write.shutdown().await?;
    Ok((read, write))
}

fn tell(tested: &Tested) {
    let Tested { peer, direction, seconds, sent_mbps, received_mbps, seen, error, .. } = tested;
    let n = seen.subflows.len();
    let error = error.as_ref().map_or(String::new(), |error| format!(", {error}"));
    eprintln!(
        "{peer}: {direction}, {}, {n} subflows, sent {sent_mbps} Mbit/s, received \
         {received_mbps} Mbit/s, {seconds} s{error}",
        seen.protocol
    );
}
