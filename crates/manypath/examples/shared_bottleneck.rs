//! Fairness on real packets: manypath and one Linux TCP fill the same emulated link.
//!
//! Each row is one way to compete, and prints, for every run, how many times the goodput of the
//! Linux connection manypath had, measured at the receivers after a warm-up. Controls come first:
//! Linux against itself, and a manypath connection of plain TCP.
//!
//! Needs root and kernel MPTCP at the receiver.
//! `cargo run --release -p manypath --example shared_bottleneck [SECONDS] [RUNS] [ROW...]`

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{
    CongestionControl, ConnectOptions, ConnectionMode, Endpoint, Path, PathLimits, TcpConfig,
};
use manypath_lab::{
    Amount, Client, Direction, Discipline, EndpointKind, Family, Host, LinkConfig, Pattern,
    PeerConfig, Red, Report, Role, Server, Topology, Transport, now,
};

/// The bottleneck: Mb/s, and milliseconds one way; its queue holds one bandwidth-delay product of twice
/// that. `BOTTLENECK=50/10` in the environment names another.
const BOTTLENECK: &str = "20/20";
/// How the queue drops: `red` (random early detection), `random-tail`, whose last places are given by
/// chance as in experiment 1, or `drop-tail`. `QUEUE` in the environment names another. Where few
/// flows share a drop-tail queue, they lose in proportion to what they grow, not to what they send.
const QUEUE: &str = "red";
const WARMUP: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const BLOCK: usize = 16 << 10;
/// The stack's address, routed to its TUN.
const STACK: [u8; 4] = [100, 64, 1, 7];

/// Who competes with Linux.
#[derive(Clone, Copy)]
enum Rival {
    /// Linux itself: what the link makes of two equal flows.
    Linux,
    /// manypath with plain TCP.
    Plain(CongestionControl),
    /// The same, but what a window allows is sent at once, as Linux does without a pacing qdisc.
    Unpaced(CongestionControl),
    /// manypath with two subflows.
    Two(CongestionControl),
    /// manypath with one TCP connection over two paths, of which the receiver knows nothing.
    OneEnded(CongestionControl),
}

struct Row {
    name: &'static str,
    rival: Rival,
    /// Congestion control of the Linux connection.
    linux: &'static str,
}

const fn row(name: &'static str, rival: Rival, linux: &'static str) -> Row {
    Row { name, rival, linux }
}

const ROWS: [Row; 12] = [
    row("linux-reno", Rival::Linux, "reno"),
    row("plain-reno", Rival::Plain(CongestionControl::NewReno), "reno"),
    row("unpaced-reno", Rival::Unpaced(CongestionControl::NewReno), "reno"),
    row("lia-reno", Rival::Two(CongestionControl::Lia), "reno"),
    row("uncoupled-reno", Rival::Two(CongestionControl::NewReno), "reno"),
    row("one-ended-reno", Rival::OneEnded(CongestionControl::Lia), "reno"),
    row("one-ended-uncoupled", Rival::OneEnded(CongestionControl::NewReno), "reno"),
    row("linux-cubic", Rival::Linux, "cubic"),
    row("plain-cubic", Rival::Plain(CongestionControl::Cubic), "cubic"),
    row("unpaced-cubic", Rival::Unpaced(CongestionControl::Cubic), "cubic"),
    row("lia-cubic", Rival::Two(CongestionControl::Lia), "cubic"),
    row("uncoupled-cubic", Rival::Two(CongestionControl::Cubic), "cubic"),
];

/// What one run measured.
struct Run {
    rival_mbps: f64,
    linux_mbps: f64,
    /// The longest that the link was late with a packet.
    late: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let length = Duration::from_secs(args.next().map_or(Ok(60), |s| s.parse())?);
    let runs: u64 = args.next().map_or(Ok(3), |s| s.parse())?;
    let wanted: Vec<String> = args.collect();
    let rows = ROWS.iter().filter(|r| wanted.is_empty() || wanted.iter().any(|w| w == r.name));
    println!("{:16} {:>6} {:>6}  ratio of each run", "row", "rival", "linux");
    for row in rows {
        let runs = (1..=runs).map(|seed| run(row, length, seed)).collect::<Result<Vec<_>, _>>()?;
        print(row, &runs);
    }
    Ok(())
}

fn print(row: &Row, runs: &[Run]) {
    let mean = |of: fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let ratio = |run: &Run| run.rival_mbps / run.linux_mbps;
    let each: Vec<String> = runs.iter().map(|run| format!("{:.2}", ratio(run))).collect();
    let late = runs.iter().map(|run| run.late).max().unwrap_or_default();
    println!(
        "{:16} {:6.2} {:6.2}  {}  mean {:.2}, link late by {} ms at most",
        row.name,
        mean(|r| r.rival_mbps),
        mean(|r| r.linux_mbps),
        each.join(" "),
        mean(|r| r.rival_mbps / r.linux_mbps),
        late.as_millis()
    );
}

fn discipline() -> Result<Discipline, Box<dyn Error>> {
    let name = std::env::var("QUEUE").unwrap_or_else(|_| QUEUE.to_owned());
    match name.as_str() {
        "random-tail" => Ok(Discipline::RandomTail { packets: 3 }),
        "drop-tail" => Ok(Discipline::DropTail),
        // Of 100 kB.
        "red" => {
            Ok(Discipline::Red(Red { min: 25_000, max: 100_000, max_ppm: 100_000, weight: 9 }))
        }
        _ => Err("QUEUE is random-tail, drop-tail or red".into()),
    }
}

/// Both connections on one link, from the client to the server.
fn run(row: &Row, length: Duration, seed: u64) -> Result<Run, Box<dyn Error>> {
    let bottleneck = std::env::var("BOTTLENECK").unwrap_or_else(|_| BOTTLENECK.to_owned());
    let (mbps, ms) = bottleneck.split_once('/').ok_or("BOTTLENECK is Mb/s, a slash, and ms")?;
    let mut link = LinkConfig::mbps(mbps.parse()?, Duration::from_millis(ms.parse()?));
    link.discipline = discipline()?;
    let topology = Topology::builder().link("link", link).seed(seed);
    let topology = topology.build()?;
    // A packet takes six times as long at 20 Mb/s.
    topology.set_grain(Duration::from_micros(100));
    topology.kernel_mptcp(Host::Server, EndpointKind::Signal, [])?;
    let sink = |transport| {
        let addr = topology.socket_addr(Host::Server, 0, 0);
        Server::start(topology.server(), &PeerConfig::new(transport), addr, Role::Sink)
    };
    let total = WARMUP + length;
    let (from, to) = (now() + WARMUP, now() + total);
    let rate = |report: &Report| {
        report.received.timeline.rate_between(from, to).bits_per_sec() as f64 / 1e6
    };
    let source = Role::Source { amount: Amount::Time(total), seed };
    let peer = PeerConfig::new(Transport::Tcp).congestion(row.linux);
    let linux = sink(Transport::Tcp)?;
    let _linux = Client::start(topology.client(), &peer, linux.addr(), source)?;
    let (rival, _second) = match row.rival {
        Rival::Linux => {
            let rival = sink(Transport::Tcp)?;
            let client = Client::start(topology.client(), &peer, rival.addr(), source)?;
            (rival, Some(client))
        }
        Rival::Plain(cc) | Rival::Unpaced(cc) => {
            let rival = sink(Transport::Tcp)?;
            let paced = matches!(row.rival, Rival::Plain(_));
            ours(&topology, &rival, Sender { cc, subflows: 1, paths: 1, paced, total })?;
            (rival, None)
        }
        Rival::OneEnded(cc) => {
            let rival = sink(Transport::Tcp)?;
            ours(&topology, &rival, Sender { cc, subflows: 2, paths: 2, paced: true, total })?;
            (rival, None)
        }
        Rival::Two(cc) => {
            let rival = sink(Transport::Mptcp)?;
            ours(&topology, &rival, Sender { cc, subflows: 2, paths: 1, paced: true, total })?;
            (rival, None)
        }
    };
    let ended = "a connection does not end";
    let rival_mbps = rate(&rival.next_report(PATIENCE + total).ok_or(ended)?);
    let linux_mbps = rate(&linux.next_report(PATIENCE + total).ok_or(ended)?);
    let dropped = topology.link(0).stats(Direction::Up).dropped_queue_full.packets;
    eprintln!("{} run {seed}: {rival_mbps:.2} to {linux_mbps:.2} Mb/s, {dropped} drops", row.name);
    Ok(Run { rival_mbps, linux_mbps, late: topology.emulator_stats().late_max })
}

/// How manypath sends.
#[derive(Clone, Copy)]
struct Sender {
    cc: CongestionControl,
    /// Between the same two addresses; one is plain TCP.
    subflows: u32,
    /// Interfaces that have the stack's address; with two it is one connection of plain TCP.
    paths: u32,
    paced: bool,
    total: Duration,
}

fn ours(topology: &Topology, server: &Server, how: Sender) -> Result<(), Box<dyn Error>> {
    let Sender { cc, subflows, paths, paced, total } = how;
    topology.route_to("100.64.1.0/24", 0)?;
    let mut tuns = Vec::new();
    for n in 0..paths {
        let tun = topology.client().run(|| Tun::open(&TunConfig::default()))??;
        if n == 0 {
            let route = format!("route add 100.64.1.0/24 dev {}", tun.name());
            topology.client().ip_batch(Family::V4, &[route])?;
        }
        tuns.push((format!("link{n}"), tun));
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let limits = PathLimits { per_pair: subflows, ..PathLimits::default() };
        let mut builder = Endpoint::builder();
        for (name, tun) in tuns {
            builder = builder.path(tun, Path::new(name, IpAddr::from(STACK)));
        }
        let endpoint = builder
            .limits(limits)
            .congestion_control(cc)
            .tcp(TcpConfig { pacing: paced, ..TcpConfig::default() })
            .build()?;
        let mode = match (subflows, paths) {
            (_, 2) => ConnectionMode::OneEnded,
            (1, _) => ConnectionMode::PlainTcp,
            _ => ConnectionMode::Automatic,
        };
        let options = ConnectOptions { mode, ..ConnectOptions::default() };
        let mut stream = endpoint.connect_with(server.addr(), options).await?;
        let end = now() + total;
        let mut pattern = Pattern::new(7);
        let mut seen = 0;
        while now() < end {
            let mut block = vec![0; BLOCK];
            pattern.fill(&mut block);
            stream.write_owned(Bytes::from(block)).await?;
            let info = stream.info()?;
            seen = seen.max(info.subflows.iter().filter(|s| s.established).count());
        }
        if seen != subflows as usize {
            return Err(format!("{seen} subflows instead of {subflows}").into());
        }
        for s in stream.info()?.subflows {
            let (sent, again) = (s.bytes_sent / 1000, s.bytes_retransmitted / 1000);
            eprintln!("subflow {}: {sent} kB sent, {again} kB of it again", s.id);
        }
        stream.close().await?;
        Ok(())
    })
}
