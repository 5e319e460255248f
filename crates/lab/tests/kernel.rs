//! Linux at both ends of emulated links, in namespaces of each test's own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use manypath_lab::{
    Amount, Direction, EndpointKind, Host, LinkConfig, MPTCP_LAB, Pattern, PeerConfig, Report,
    Role, Server, Topology, Transport, cleanup_stale, skip_unless,
};
use sha2::{Digest as _, Sha256};

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);
const MB: u64 = 1_000_000;
const SEED: u64 = 3;

fn wifi_and_lte() -> Topology {
    let topology = Topology::builder()
        .link("wifi", LinkConfig::mbps(20, 10 * MS))
        .link("lte", LinkConfig::mbps(10, 40 * MS))
        .build()
        .expect("the machine can build a lab");
    topology.kernel_mptcp(Host::Server, EndpointKind::Signal, []).expect("kernel MPTCP");
    topology.kernel_mptcp(Host::Client, EndpointKind::Subflow, [1]).expect("kernel MPTCP");
    topology
}

fn sink(topology: &Topology) -> Server {
    let config = PeerConfig::new(Transport::Mptcp);
    let addr = topology.socket_addr(Host::Server, 0, 0);
    Server::start(topology.server(), &config, addr, Role::Sink).expect("a server listens")
}

fn upload(topology: &Topology, to: &Server, bytes: u64) -> manypath_lab::Client {
    let config = PeerConfig::new(Transport::Mptcp).bind(topology.socket_addr(Host::Client, 0, 0));
    let role = Role::Source { amount: Amount::Bytes(bytes), seed: SEED };
    manypath_lab::Client::start(topology.client(), &config, to.addr(), role)
        .expect("a client starts")
}

fn assert_intact(report: &Report, bytes: usize) {
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(report.received.bytes, bytes as u64);
    let mut expected = vec![0; bytes.next_multiple_of(64 * 1024)];
    Pattern::new(SEED).fill(&mut expected);
    let expected: [u8; 32] = Sha256::digest(&expected[..bytes]).into();
    assert_eq!(report.received.sha256, expected);
}

#[test]
fn a_transfer_over_two_links_is_intact_and_uses_both() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let topology = wifi_and_lte();
    let before = topology.server().counters().expect("the kernel counts");
    let server = sink(&topology);
    let client = upload(&topology, &server, 8 * MB);
    let report = server.next_report(PATIENCE).expect("the transfer ends");
    assert_intact(&report, 8_000_000);

    let sent = client.report(PATIENCE).expect("the client ends");
    assert_eq!(sent.sent.sha256, report.received.sha256);
    assert_eq!(sent.mptcp.map(|info| (info.extra_subflows, info.fallback)), Some((1, false)));
    for link in topology.links() {
        let bytes = link.stats(Direction::Up).delivered.bytes;
        assert!(bytes > MB, "{} carried {bytes} bytes", link.name());
    }
    let moved = topology.server().counters().expect("the kernel counts").since(&before);
    assert_eq!(moved.get("MPTcpExtMPJoinAckRx"), 1, "{moved}");
    assert!(moved.iter("MPTcpExtMPFallback").next().is_none(), "{moved}");
}

#[test]
fn a_transfer_survives_the_cut_of_its_first_link() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let topology = wifi_and_lte();
    let server = sink(&topology);
    let client = upload(&topology, &server, 4 * MB);
    assert!(server.wait_for(MB, PATIENCE), "the transfer begins");
    topology.link(0).cut();
    let report = server.next_report(PATIENCE).expect("the transfer ends");
    assert_intact(&report, 4_000_000);
    drop(client);
}

#[test]
fn an_echo_takes_twice_the_delay_of_its_link() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let topology = wifi_and_lte();
    for (link, expected) in [(0, 20 * MS), (1, 80 * MS)] {
        let rtt = topology.ping(link, PATIENCE).expect("an echo comes");
        assert!((expected..10 * expected).contains(&rtt), "link {link}: {rtt:?}");
        assert!(topology.link(link).stats(Direction::Up).delivered.packets > 0);
    }
    topology.link(1).cut();
    assert!(topology.ping(1, 200 * MS).is_err());
    topology.link(1).restore();
    assert!(topology.ping(1, PATIENCE).is_ok());
}

#[test]
fn plain_tcp_to_an_address_of_ipv6_and_to_a_routed_prefix() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let topology = wifi_and_lte();
    topology.client().ip(&["address", "add", "100.64.7.1/32", "dev", "lo"]).expect("an address");
    topology.route_to("100.64.7.0/24", 1).expect("a route");
    let config = PeerConfig::new(Transport::Tcp);
    let ping = Role::PingPong { rounds: 2, bytes: 1_000 };
    let v6 = topology.addr(Host::Server, 1, manypath_lab::Family::V6);
    let v4 = topology.addr(Host::Server, 0, manypath_lab::Family::V4);
    let routed = config.clone().bind("100.64.7.1:0".parse().expect("an address"));
    for (to, config) in [(v6, config.clone()), (v4, routed)] {
        let server = Server::start(topology.server(), &config, (to, 0).into(), Role::Echo);
        let server = server.expect("a server listens");
        let client = manypath_lab::Client::start(topology.client(), &config, server.addr(), ping);
        let report = client.expect("a client starts").report(PATIENCE).expect("it connects");
        assert!(report.error.is_none(), "{:?}", report.error);
        assert_eq!((report.round_trips.len(), report.mptcp), (2, None));
        assert!(report.round_trips.iter().all(|&rtt| rtt >= 80 * MS), "{:?}", report.round_trips);
    }
    assert_eq!(topology.link(0).stats(Direction::Up).offered.packets, 0, "all went on link 1");
}

#[test]
fn what_a_dead_process_left_behind_is_removed() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let mut child = Command::new("true").spawn().expect("true starts");
    let dead = child.id();
    child.wait().expect("it can be waited for");
    let name = format!("mplab-{dead}-0-left");
    let made = Command::new("ip").args(["netns", "add", &name]).status().expect("ip starts");
    assert!(made.success());
    // A lab of another test may have been quicker.
    cleanup_stale();
    assert!(!Path::new("/run/netns").join(&name).exists());
}

#[test]
fn what_a_lab_made_is_gone_when_it_is_dropped() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let topology = wifi_and_lte();
    let path = Path::new("/run/netns").join(topology.client().name());
    assert!(path.exists());
    let mut sleep = topology.client().command("sleep");
    sleep.arg("1000");
    let mut forgotten = sleep.spawn().expect("sleep starts");
    let guarded = topology.client().command("cat");
    let mut guarded = topology.client().child(guarded).expect("cat starts");
    let id = guarded.process().id();
    drop(guarded);
    assert!(!Path::new(&format!("/proc/{id}")).exists());
    let server = sink(&topology);
    let client = upload(&topology, &server, 100 * MB);
    assert!(server.wait_for(100_000, PATIENCE), "the transfer begins");
    drop((client, server, topology));
    assert!(!path.exists());
    let killed = forgotten.wait().expect("it can be waited for");
    assert!(!killed.success(), "processes inside are killed");
}
