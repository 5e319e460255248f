//! Whole worlds.

use std::time::Duration;

use manypath_base::Rate;
use manypath_mptcp::ConnectionMode;

use crate::{
    Change, FlowConfig, Graph, HostConfig, LinkConfig, Meddling, Plan, Scheduled, Ways, Workload,
    World,
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn bulk(bytes: Option<u64>) -> FlowConfig {
    FlowConfig {
        name: "bulk".into(),
        from: 0,
        to: 1,
        cc: None,
        scheduler: None,
        mode: ConnectionMode::Automatic,
        workload: Workload::Bulk { bytes },
        start: Duration::ZERO,
        jitter: ms(100),
        checked: true,
    }
}

/// Two hosts joined by links of 10 Mb/s with these delays in milliseconds.
fn plan(delays: &[u64], flow: FlowConfig) -> Plan {
    let mut graph = Graph::default();
    let host = || Some(HostConfig::default());
    let ends = [graph.node("a", host()), graph.node("b", host())];
    for (i, &delay) in delays.iter().enumerate() {
        let way = LinkConfig::constant(Rate::from_bits_per_sec(10_000_000), ms(delay));
        graph.link(format!("l{i}"), ends, way);
    }
    Plan { graph, flows: vec![flow], changes: vec![] }
}

#[test]
fn a_transfer_uses_both_links_and_every_byte_arrives() {
    let mut world = World::new(&plan(&[10, 30], bulk(Some(8 << 20))), 1);
    world.run_until(ms(8_000));
    let stats = world.flow_stats(0);
    assert!(!stats.corrupt && stats.received == 8 << 20, "{stats:?}");
    let &[(from, to)] = stats.completed.as_slice() else { panic!("{stats:?}") };
    let rate = Rate::from_transfer(8 << 20, to.since(from)).bits_per_sec();
    assert!((15_000_000..20_000_000).contains(&rate), "{rate}");
    assert!((0..2).all(|edge| world.link_stats(2 * edge).delivered.bytes > 3 << 20));
}

#[test]
fn same_seed_same_trace_and_another_seed_another() {
    let hash = |seed| {
        let mut world = World::new(&plan(&[10, 30], bulk(None)), seed);
        world.run_until(ms(3_000));
        (world.trace_hash(), world.counters())
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1).0, hash(2).0);
}

#[test]
fn a_cut_link_stalls_a_transfer_briefly() {
    let mut plan = plan(&[10, 30], bulk(None));
    let (at, ways) = (ms(2_000), Ways::Both);
    plan.changes = vec![Scheduled { at, edge: 0, ways, change: Change::Cut }];
    let mut world = World::new(&plan, 1);
    world.run_until(ms(1_900));
    world.forget_stalls();
    world.run_until(ms(5_000));
    let stats = world.flow_stats(0);
    assert!(!stats.corrupt && stats.longest_stall < ms(500), "{:?}", stats.longest_stall);
    let before = stats.received;
    world.run_until(ms(6_000));
    let rate = (world.flow_stats(0).received - before) * 8;
    assert!((8_000_000..11_000_000).contains(&rate), "{rate}");
}

#[test]
fn requests_are_answered_after_a_round_trip() {
    let workload =
        Workload::Requests { request: 100, response: 1_000, gap: ms(100), count: Some(10) };
    let flow = FlowConfig { workload, ..bulk(None) };
    let mut world = World::new(&plan(&[10], flow), 1);
    world.run_until(ms(5_000));
    let completed = &world.flow_stats(0).completed;
    assert_eq!(completed.len(), 10);
    assert!(completed[1..].iter().all(|(from, to)| to.since(*from) < ms(25)), "{completed:?}");
}

/// Pacing must not drive data to a slower path that the window of the fast one has room for.
#[test]
fn a_short_message_stays_on_the_fast_path() {
    let workload =
        Workload::Requests { request: 10_000, response: 100, gap: ms(200), count: Some(20) };
    let flow = FlowConfig { workload, ..bulk(None) };
    let mut plan = plan(&[20, 60], flow);
    for node in &mut plan.graph.nodes {
        node.host.as_mut().unwrap().endpoint.tcp.nagle = false;
    }
    let mut world = World::new(&plan, 1);
    world.run_until(ms(8_000));
    let completed = &world.flow_stats(0).completed;
    let longest = completed[2..].iter().map(|(from, to)| to.since(*from)).max().unwrap();
    // 40 ms of round trip, 9 ms of transmission, and up to half a round trip of pacing.
    assert!(completed.len() == 20 && longest < ms(75), "{longest:?}");
}

#[test]
fn a_stripped_option_leaves_plain_tcp() {
    let mut plan = plan(&[10, 30], bulk(Some(1 << 20)));
    plan.graph.edges[0].meddling = Some(Meddling::StripOptions);
    let mut world = World::new(&plan, 1);
    world.run_until(ms(8_000));
    assert_eq!(world.flow_stats(0).completed.len(), 1);
    assert_eq!(world.link_stats(2).offered.packets, 0, "the second link is not used");
}
