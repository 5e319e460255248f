//! Goodput of plain TCP over a lossy link: manypath and Linux side by side, with the same
//! controller, the same peer (Linux) and the same losses.
//!
//! Each row runs both at once for every seed, all in labs of their own, and prints the means and
//! their ratio. Needs root.
//! `cargo run --release -p manypath --example goodput [up|down] [SECONDS] [SEEDS] [WORD...]`:
//! of the rows, those that begin with these words, such as `reno 50 0.10`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{CongestionControl, ConnectOptions, ConnectionMode, Endpoint, Path};
use manypath_lab::{
    Amount, Client, Family, Host, LinkConfig, Loss, Pattern, PeerConfig, Report, Role, Server,
    Topology, Transport, now,
};

const MBPS: u64 = 50;
/// Lost packets in parts per million: 0.01 to 2 %.
const LOSS: [u32; 4] = [100, 1_000, 10_000, 20_000];
/// Round trips in milliseconds.
const RTTS: [u64; 3] = [10, 50, 100];
const BLOCK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// The stack's address, routed to its TUN.
const STACK: [u8; 4] = [100, 64, 1, 7];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the stack that is compared to Linux.
    Up,
    /// To it.
    Down,
}

#[derive(Clone, Copy)]
struct Case {
    way: Way,
    length: Duration,
    algorithm: CongestionControl,
    /// Linux's name for it.
    linux: &'static str,
    rtt_ms: u64,
    loss_ppm: u32,
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let way = match args.next().as_deref() {
        None | Some("up") => Way::Up,
        Some("down") => Way::Down,
        Some(other) => return Err(format!("{other:?} is neither up nor down").into()),
    };
    let length = Duration::from_secs(args.next().map_or(Ok(20), |s| s.parse())?);
    let seeds: u64 = args.next().map_or(Ok(4), |s| s.parse())?;
    let wanted: Vec<String> = args.collect();
    println!("controller  rtt_ms   loss_%   manypath   linux  Mb/s  means of {seeds}");
    let controllers = [(CongestionControl::NewReno, "reno"), (CongestionControl::Cubic, "cubic")];
    for (algorithm, linux) in controllers {
        for rtt_ms in RTTS {
            for loss_ppm in LOSS {
                let row_name = [linux.to_owned(), rtt_ms.to_string(), percent(loss_ppm)];
                if wanted.iter().zip(&row_name).any(|(wanted, word)| wanted != word) {
                    continue;
                }
                let case = |seed| Case { way, length, algorithm, linux, rtt_ms, loss_ppm, seed };
                row((1..=seeds).map(case).collect())?;
            }
        }
    }
    Ok(())
}

/// One row: the means of both, and their ratio.
fn row(cases: Vec<Case>) -> Result<(), Box<dyn Error>> {
    let run = |case| {
        let linux = std::thread::spawn(move || linux(case).map_err(|e| e.to_string()));
        let ours = std::thread::spawn(move || ours(case).map_err(|e| e.to_string()));
        (ours, linux)
    };
    let Case { algorithm, rtt_ms, loss_ppm, .. } = cases[0];
    let count = cases.len() as f64;
    let running: Vec<_> = cases.into_iter().map(run).collect();
    let (mut ours, mut linux) = (0.0, 0.0);
    for (one, other) in running {
        ours += one.join().map_err(|_| "the thread of manypath panicked")?? / count;
        linux += other.join().map_err(|_| "the thread of Linux panicked")?? / count;
    }
    println!(
        "{:10}  {rtt_ms:6}  {:>7}  {ours:9.2}  {linux:6.2}  ratio {:.3}",
        algorithm.to_string(),
        percent(loss_ppm),
        ours / linux
    );
    Ok(())
}

fn percent(ppm: u32) -> String {
    format!("{:.2}", f64::from(ppm) / 1e4)
}

fn lab(case: Case) -> Result<Topology, Box<dyn Error>> {
    let config = LinkConfig {
        loss: Loss::ppm(case.loss_ppm),
        ..LinkConfig::mbps(MBPS, Duration::from_millis(case.rtt_ms) / 2)
    };
    Ok(Topology::builder().link("link", config).seed(case.seed).build()?)
}

fn peer(case: Case) -> PeerConfig {
    PeerConfig::new(Transport::Tcp).congestion(case.linux)
}

fn source(case: Case) -> Role {
    Role::Source { amount: Amount::Time(case.length), seed: case.seed }
}

/// Megabits per second with Linux at both ends.
fn linux(case: Case) -> Result<f64, Box<dyn Error>> {
    let topology = lab(case)?;
    let (at_server, at_client) = match case.way {
        Way::Up => (Role::Sink, source(case)),
        Way::Down => (source(case), Role::Sink),
    };
    let addr = topology.socket_addr(Host::Server, 0, 0);
    let server = Server::start(topology.server(), &peer(case), addr, at_server)?;
    let start = now();
    let client = Client::start(topology.client(), &peer(case), server.addr(), at_client)?;
    let theirs = client.report(PATIENCE)?;
    let report = match case.way {
        Way::Up => server.next_report(PATIENCE).ok_or("Linux does not end")?,
        Way::Down => theirs,
    };
    Ok(mbps(&report, start, case))
}

fn mbps(report: &Report, start: manypath_base::Instant, case: Case) -> f64 {
    let rate = report.received.timeline.rate_between(start, start + case.length);
    rate.bits_per_sec() as f64 / 1e6
}

/// Megabits per second with manypath at one end.
fn ours(case: Case) -> Result<f64, Box<dyn Error>> {
    let topology = lab(case)?;
    topology.route_to("100.64.1.0/24", 0)?;
    let tun = topology.client().run(|| Tun::open(&TunConfig::default()))??;
    let route = format!("route add 100.64.1.0/24 dev {}", tun.name());
    topology.client().ip_batch(Family::V4, &[route])?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let path = Path::new("link", IpAddr::from(STACK));
        let endpoint =
            Endpoint::builder().path(tun, path).congestion_control(case.algorithm).build()?;
        let role = match case.way {
            Way::Up => Role::Sink,
            Way::Down => source(case),
        };
        let addr = topology.socket_addr(Host::Server, 0, 0);
        let server = Server::start(topology.server(), &peer(case), addr, role)?;
        let start = now();
        let received = transfer(&endpoint, server.addr(), case).await?;
        let rate = match case.way {
            Way::Up => {
                let report = server.next_report(PATIENCE).ok_or("the peer does not end")?;
                mbps(&report, start, case)
            }
            Way::Down => received as f64 * 8.0 / case.length.as_secs_f64() / 1e6,
        };
        Ok(rate)
    })
}

/// Sends or receives; bytes received while the case lasts.
async fn transfer(endpoint: &Endpoint, to: SocketAddr, case: Case) -> std::io::Result<u64> {
    let options = ConnectOptions { mode: ConnectionMode::PlainTcp, ..ConnectOptions::default() };
    let connected = endpoint.connect_with(to, options).await;
    let mut stream = connected.map_err(std::io::Error::other)?;
    let (end, mut received) = (now() + case.length, 0);
    match case.way {
        Way::Up => {
            let mut pattern = Pattern::new(case.seed);
            while now() < end {
                let mut block = vec![0; BLOCK];
                pattern.fill(&mut block);
                stream.write_owned(Bytes::from(block)).await?;
            }
        }
        Way::Down => {
            while let Some(chunk) = stream.read_chunk().await? {
                if now() < end {
                    received += chunk.len() as u64;
                }
            }
        }
    }
    stream.close().await?;
    Ok(received)
}
