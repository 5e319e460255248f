//! What Linux does by itself: a bulk transfer from a server to a client over "wifi" (20 Mb/s,
//! 10 ms one way) and "lte" (10 Mb/s, 40 ms), where wifi is cut silently after three seconds.
//!
//! Needs root and a kernel with MPTCP. `cargo run --release -p manypath-lab --example linux_baseline`

use std::time::Duration;

use manypath_base::Rate;
use manypath_lab::{
    Amount, Client, EndpointKind, Host, LabError, LinkConfig, MPTCP_LAB, PeerConfig, Role, Server,
    Timeline, Topology, Transport, kernel, now, skip_unless,
};

const MS: Duration = Duration::from_millis(1);
const CUT_AFTER: Duration = Duration::from_secs(3);
const LENGTH: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if skip_unless(MPTCP_LAB).is_err() {
        return Ok(());
    }
    println!("{}", kernel());
    for congestion in ["bbr", "cubic", "reno"] {
        for direction in ["download", "upload"] {
            failover(congestion, direction)?;
        }
    }
    Ok(())
}

fn lab() -> Result<Topology, LabError> {
    let topology = Topology::builder()
        .link("wifi", LinkConfig::mbps(20, 10 * MS))
        .link("lte", LinkConfig::mbps(10, 40 * MS))
        .build()?;
    topology.kernel_mptcp(Host::Server, EndpointKind::Signal, [])?;
    topology.kernel_mptcp(Host::Client, EndpointKind::Subflow, [1])?;
    Ok(topology)
}

fn failover(congestion: &str, direction: &str) -> Result<(), Box<dyn std::error::Error>> {
    let topology = lab()?;
    let source = Role::Source { amount: Amount::Time(LENGTH), seed: 1 };
    let (at_server, at_client) =
        if direction == "download" { (source, Role::Sink) } else { (Role::Sink, source) };
    let config = PeerConfig::new(Transport::Mptcp).congestion(congestion);
    let addr = topology.socket_addr(Host::Server, 0, 0);
    let server = Server::start(topology.server(), &config, addr, at_server)?;
    let start = now();
    let client = Client::start(topology.client(), &config, server.addr(), at_client)?;
    std::thread::sleep(CUT_AFTER);
    topology.link(0).cut();
    let cut = now();

    let report = if at_client == Role::Sink {
        client.report(PATIENCE)?
    } else {
        server.next_report(PATIENCE).ok_or("the transfer did not end")?
    };
    let line = &report.received.timeline;
    let (steady, end) = (start + CUT_AFTER / 3, start + LENGTH);
    println!(
        "{direction:8} {congestion:5}  before the cut {}  longest stall {:4} ms  after the cut {}",
        mbps(line.rate_between(steady, cut)),
        line.longest_stall(cut).as_millis(),
        mbps(line.rate_between(cut, end)),
    );
    println!("{}", series(line));
    let stats = topology.emulator_stats();
    println!("    links late by {:?}, at most {:?}", stats.late_mean(), stats.late_max);
    Ok(())
}

fn mbps(rate: Rate) -> String {
    let tenths = rate.bits_per_sec() / 100_000;
    format!("{:2}.{} Mb/s", tenths / 10, tenths % 10)
}

/// Megabits per second in each half second.
fn series(line: &Timeline) -> String {
    let halves = line.per_interval(500 * MS);
    let shown: Vec<_> =
        halves.iter().map(|&bytes| mbps(Rate::from_transfer(bytes, 500 * MS))).collect();
    format!("    {}", shown.join(" ").replace(" Mb/s", ""))
}
