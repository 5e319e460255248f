//! One TCP connection over two paths to receivers that know nothing of it, with what Linux can be told
//! to leave out. How fast it is says `examples/one_ended.rs`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{ConnectOptions, ConnectionMode, Endpoint, Path};
use manypath_lab::{
    Family, Host, LinkConfig, Pattern, PeerConfig, Role, Server, Topology, Transport,
};
use sha2::{Digest as _, Sha256};

use crate::machine;

const STACK: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 9, 7));
const PREFIX: &str = "100.64.9.0/24";
const BLOCK: usize = 64 << 10;
const BLOCKS: usize = 128;

/// What a receiver with such settings made of 8 MiB.
struct Moved {
    protocol: String,
    /// Bytes that each path carried.
    sent: Vec<u64>,
}

/// Sends over 20 Mb/s with 10 ms and 10 Mb/s with 40 ms; acknowledgments come back over a third link.
async fn send(settings: &[(&str, &str)]) -> Moved {
    let ms = Duration::from_millis;
    let topology = Topology::builder()
        .link("fast", LinkConfig::mbps(20, ms(10)))
        .link("slow", LinkConfig::mbps(10, ms(40)))
        .link("back", LinkConfig { delay: ms(10), ..LinkConfig::default() })
        .build()
        .expect("the machine can build a lab");
    for (key, value) in settings {
        topology.server().sysctl(key, value).expect("the kernel has it");
    }
    let addr = topology.socket_addr(Host::Server, 0, 0);
    let tcp = PeerConfig::new(Transport::Tcp);
    let sink = Server::start(topology.server(), &tcp, addr, Role::Sink).expect("it listens");
    topology.route_to(PREFIX, 2).expect("a route");
    let mut builder = Endpoint::builder().send_buffer(8 << 20);
    for (link, name) in ["one0", "one1"].into_iter().enumerate() {
        let config = TunConfig { name: name.to_owned(), ..TunConfig::default() };
        let tun = topology.client().run(|| Tun::open(&config)).expect("the namespace is there");
        topology.forward(name, link).expect("a rule");
        builder = builder.path(tun.expect("a TUN can be made"), Path::new(name, STACK));
    }
    let route = format!("route add {STACK} dev one0");
    topology.client().ip_batch(Family::V4, &[route]).expect("a route to the TUN");
    let endpoint = builder.build().expect("it starts");
    let options = ConnectOptions { mode: ConnectionMode::OneEnded, ..ConnectOptions::default() };
    let mut stream = endpoint.connect_with(sink.addr(), options).await.expect("it connects");
    let (mut pattern, mut hash) = (Pattern::new(3), Sha256::new());
    for _ in 0..BLOCKS {
        let mut block = vec![0; BLOCK];
        pattern.fill(&mut block);
        hash.update(&block);
        stream.write_owned(Bytes::from(block)).await.expect("it takes everything");
    }
    assert!(sink.wait_for((BLOCKS * BLOCK) as u64, Duration::from_secs(60)), "it arrives");
    let info = stream.info().expect("it is open");
    stream.close().await.expect("it closes");
    let report = sink.next_report(Duration::from_secs(60)).expect("it ends");
    assert_eq!(report.received.sha256[..], hash.finalize()[..]);
    let sent = info.subflows.iter().map(|s| s.bytes_sent).collect();
    Moved { protocol: info.protocol, sent }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_timestamps_both_paths_carry() {
    let Ok(_turn) = machine::shared().await else { return };
    let moved = send(&[("net/ipv4/tcp_timestamps", "0")]).await;
    assert_eq!(moved.protocol, "one-ended");
    assert!(moved.sent.iter().all(|&bytes| bytes > 1 << 20), "{:?}", moved.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_half_a_megabyte_of_buffer_both_paths_carry() {
    let Ok(_turn) = machine::shared().await else { return };
    let moved = send(&[("net/ipv4/tcp_rmem", "4096 131072 1048576")]).await;
    assert!(moved.sent.iter().all(|&bytes| bytes > 1 << 20), "{:?}", moved.sent);
}

/// RFC 2018: nothing tells which path lost what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_sack_there_is_one_path() {
    let Ok(_turn) = machine::shared().await else { return };
    let moved = send(&[("net/ipv4/tcp_sack", "0")]).await;
    assert_eq!((moved.protocol.as_str(), moved.sent.len()), ("plain-tcp", 1));
}

/// A window of 64 KB has no room for a slow path beside a fast one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_window_scaling_the_faster_path_carries_nearly_all() {
    let Ok(_turn) = machine::shared().await else { return };
    let moved = send(&[("net/ipv4/tcp_window_scaling", "0")]).await;
    assert!(moved.sent[0] > 6 << 20, "{:?}", moved.sent);
}
