//! One TCP connection over several emulated links to Linux's TCP, which knows nothing of it, beside
//! the best of the links alone: the table of `docs/one-ended.md` with real receivers.
//!
//! Needs root.
//! `cargo run --release -p manypath --example one_ended [SECONDS] [RUNS] [ROW...]`

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{CongestionControl, ConnectOptions, ConnectionMode, Endpoint, Path};
use manypath_lab::{
    Family, Host, LinkConfig, Loss, Pattern, PeerConfig, Role, Server, Topology, Transport, now,
};

const BLOCK: usize = 64 << 10;
const SETTLE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const SEND_BUFFER: u32 = 8 << 20;
/// The stack's address, and the network that it is in.
const IPV4: (IpAddr, &str) = (IpAddr::V4(Ipv4Addr::new(100, 64, 9, 7)), "100.64.9.0/24");
const IPV6: (IpAddr, &str) =
    (IpAddr::V6(Ipv6Addr::new(0xfd64, 9, 0, 0, 0, 0, 0, 7)), "fd64:9::/64");

/// Mb/s, milliseconds one way, and loss in parts per million.
type Link = (u64, u64, u32);

const FAST: Link = (20, 10, 0);
const SLOW: Link = (10, 40, 0);
/// Settings of the receiver's network namespace.
type Settings = &'static [(&'static str, &'static str)];

struct Row {
    name: &'static str,
    links: &'static [Link],
    /// Acknowledgments lost on the way back, in parts per million.
    back_loss: u32,
    settings: Settings,
    family: Family,
}

const fn row(name: &'static str, links: &'static [Link], settings: Settings) -> Row {
    Row { name, links, back_loss: 0, settings, family: Family::V4 }
}

const fn ipv6(name: &'static str, links: &'static [Link]) -> Row {
    Row { family: Family::V6, ..row(name, links, &[]) }
}

/// The largest receive buffer that Linux grows to, so that it offers about half of it.
const RMEM: &str = "net/ipv4/tcp_rmem";
const BOTH: &[Link] = &[FAST, SLOW];

const ROWS: [Row; 27] = [
    row("equal", &[FAST, FAST], &[]),
    row("unequal", BOTH, &[]),
    row("slow-first", &[SLOW, FAST], &[]),
    row("thin-first", &[(2, 10, 0), FAST], &[]),
    row("far-first", &[(20, 100, 0), FAST], &[]),
    row("longer-faster-first", &[(80, 40, 0), FAST], &[]),
    row("lossy-first", &[(20, 10, 20_000), FAST], &[]),
    row("three-slow-first", &[SLOW, FAST, FAST], &[]),
    row("rtt-10", &[FAST, (20, 100, 0)], &[]),
    row("rate-10", &[FAST, (2, 10, 0)], &[]),
    row("longer-faster", &[FAST, (80, 40, 0)], &[]),
    row("far-and-wide", &[(5, 5, 0), (50, 50, 0)], &[]),
    row("fast-rtt-10", &[(100, 5, 0), (100, 50, 0)], &[]),
    row("three", &[FAST, FAST, SLOW], &[]),
    row("four", &[FAST, FAST, FAST, (5, 100, 0)], &[]),
    row("fast-lossy", &[(20, 10, 5_000), SLOW], &[]),
    row("slow-lossy", &[FAST, (10, 40, 20_000)], &[]),
    row("both-lossy", &[(20, 10, 10_000), (10, 40, 10_000)], &[]),
    Row { back_loss: 100_000, ..row("ack-loss", BOTH, &[]) },
    row("no-sack", BOTH, &[("net/ipv4/tcp_sack", "0")]),
    row("no-timestamps", BOTH, &[("net/ipv4/tcp_timestamps", "0")]),
    row("no-scale", BOTH, &[("net/ipv4/tcp_window_scaling", "0")]),
    row("rmem-256", BOTH, &[(RMEM, "4096 131072 262144")]),
    row("rmem-512", BOTH, &[(RMEM, "4096 131072 524288")]),
    ipv6("ipv6-unequal", BOTH),
    ipv6("ipv6-three", &[FAST, FAST, SLOW]),
    ipv6("ipv6-lossy", &[(20, 10, 10_000), (10, 40, 10_000)]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let length = Duration::from_secs(args.next().map_or(Ok(10), |s| s.parse())?);
    let runs: u64 = args.next().map_or(Ok(1), |s| s.parse())?;
    let wanted: Vec<String> = args.collect();
    println!("| network, receiver | best alone, Mb/s | all | ratio |\n|---|---|---|---|");
    for row in ROWS.iter().filter(|r| wanted.is_empty() || wanted.iter().any(|w| w == r.name)) {
        let mean = |links: &[Link]| -> Result<f64, Box<dyn Error>> {
            let rates = (1..=runs).map(|seed| transfer(row, links, length, seed));
            Ok(rates.sum::<Result<f64, _>>()? / runs as f64)
        };
        // Without SACK there is one path, the first.
        let alone = if row.name == "no-sack" { 1 } else { row.links.len() };
        let mut best = 0.0f64;
        for link in &row.links[..alone] {
            best = best.max(mean(&[*link])?);
        }
        let all = mean(row.links)?;
        println!("| {} | {best:.2} | {all:.2} | {:.2} |", row.name, all / best);
    }
    Ok(())
}

/// Mb/s that the receiver saw, after the first two seconds.
fn transfer(row: &Row, links: &[Link], length: Duration, seed: u64) -> Result<f64, Box<dyn Error>> {
    let mut builder = Topology::builder().seed(seed);
    for (i, (mbps, ms, loss_ppm)) in links.iter().enumerate() {
        let link = LinkConfig::mbps(*mbps, Duration::from_millis(*ms));
        builder =
            builder.link(&format!("link{i}"), LinkConfig { loss: Loss::ppm(*loss_ppm), ..link });
    }
    let back = LinkConfig {
        delay: Duration::from_millis(links[0].1),
        loss: Loss::ppm(row.back_loss),
        ..LinkConfig::default()
    };
    let topology = builder.link("back", back).build()?;
    for (key, value) in row.settings {
        topology.server().sysctl(key, value)?;
    }
    let addr = SocketAddr::new(topology.addr(Host::Server, 0, row.family), 0);
    let sink =
        Server::start(topology.server(), &PeerConfig::new(Transport::Tcp), addr, Role::Sink)?;
    let start = now();
    send(&topology, links.len(), sink.addr(), length)?;
    let report = sink.next_report(PATIENCE).ok_or("the connection does not end")?;
    let rate = report.received.timeline.rate_between(start + SETTLE, start + length);
    Ok(rate.bits_per_sec() as f64 / 1e6)
}

/// Sends over the first links, and closes.
fn send(
    topology: &Topology,
    links: usize,
    to: SocketAddr,
    length: Duration,
) -> Result<(), Box<dyn Error>> {
    let (family, (stack, prefix)) = match to {
        SocketAddr::V4(_) => (Family::V4, IPV4),
        SocketAddr::V6(_) => (Family::V6, IPV6),
    };
    topology.route_to(prefix, links)?;
    let mut builder =
        Endpoint::builder().congestion_control(CongestionControl::Lia).send_buffer(SEND_BUFFER);
    let mut first = None;
    for link in 0..links {
        let tun = topology.client().run(|| Tun::open(&TunConfig::default()))??;
        topology.forward(tun.name(), link)?;
        first.get_or_insert_with(|| tun.name().to_owned());
        builder = builder.path(tun, Path::new(format!("link{link}"), stack));
    }
    let first = first.ok_or("there is a link")?;
    topology.client().ip_batch(family, &[format!("route add {stack} dev {first}")])?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build()?.block_on(async {
        let endpoint = builder.build()?;
        let mode = match links {
            0 | 1 => ConnectionMode::PlainTcp,
            _ => ConnectionMode::OneEnded,
        };
        let options = ConnectOptions { mode, ..ConnectOptions::default() };
        let mut stream = endpoint.connect_with(to, options).await?;
        let end = now() + length;
        let mut pattern = Pattern::new(7);
        while now() < end {
            let mut block = vec![0; BLOCK];
            pattern.fill(&mut block);
            stream.write_owned(Bytes::from(block)).await?;
        }
        stream.close().await?;
        endpoint.at_rest().await?;
        Ok(())
    })
}
