//! What is measured in a run, by name.
//!
//! **Owns** the names that expressions use. Rates are in Mb/s, times in milliseconds, losses are
//! shares; all between the end of the warm-up and the end. What stands in `@NAME` is of the phase
//! NAME alone: rates and links. **Invariant**: floating point is used only here and after, where
//! nothing that is simulated follows from it.

use std::time::Duration;

use manypath_base::{len64, usize64};
use manypath_mptcp::ConnectionInfo;

use super::expression::Values;
use super::links::rate;
use crate::{LinkStats, Plan, World};

/// Where all counters stood at a moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    at: Duration,
    /// By flow: bytes read, transfers completed, objects of pages, and its connections.
    flows: Vec<(u64, usize, usize, Vec<ConnectionInfo>)>,
    links: Vec<LinkStats>,
}

impl Snapshot {
    pub(super) fn take(world: &mut World, plan: &Plan) -> Self {
        let flow = |i: usize| {
            let stats = world.flow_stats(i);
            let counts = (stats.completed.len(), stats.objects.len());
            (stats.received, counts.0, counts.1, world.connections(i, 0))
        };
        let flows = (0..plan.flows.len()).map(flow).collect();
        let links = (0..2 * plan.graph.edges.len()).map(|way| world.link_stats(way)).collect();
        Self { at: world.elapsed(), flows, links }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counters of a run are far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

fn mbps(bytes: u64, time: Duration) -> f64 {
    float(bytes) * 8.0 / time.as_secs_f64() / 1e6
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Everything between two moments; the second is now.
pub(super) fn values(world: &World, plan: &Plan, (from, to): (&Snapshot, &Snapshot)) -> Values {
    let mut out = Values::new();
    for i in 0..plan.flows.len() {
        flow_values(world, plan, (from, to), i, &mut out);
    }
    for i in 0..from.links.len() {
        link_values(plan, (from, to), i, &mut out);
    }
    out
}

/// Rates of flows, subflows and links between two moments, under names that end in the phase's.
pub(super) fn phase_values(
    plan: &Plan,
    phase: &str,
    (from, to): (&Snapshot, &Snapshot),
    out: &mut Values,
) {
    let mut of_phase = Values::new();
    for (i, flow) in plan.flows.iter().enumerate() {
        let name = format!("flow.{}", flow.name);
        let mut put = |key: &str, value: f64| of_phase.insert(format!("{name}.{key}"), value);
        put("goodput", mbps(to.flows[i].0 - from.flows[i].0, to.at - from.at));
        connection_values(&from.flows[i].3, &to.flows[i].3, to.at - from.at, &mut put);
    }
    for way in 0..from.links.len() {
        link_values(plan, (from, to), way, &mut of_phase);
    }
    out.extend(of_phase.into_iter().map(|(name, value)| (format!("{name}@{phase}"), value)));
}

fn flow_values(
    world: &World,
    plan: &Plan,
    (from, to): (&Snapshot, &Snapshot),
    i: usize,
    out: &mut Values,
) {
    let name = format!("flow.{}", plan.flows[i].name);
    let time = to.at - from.at;
    let stats = world.flow_stats(i);
    let mut put = |key: &str, value: f64| out.insert(format!("{name}.{key}"), value);
    put("goodput", mbps(to.flows[i].0 - from.flows[i].0, time));
    put("received", float(stats.received));
    put("stall", millis(stats.stall_until(world.now)));
    put("corrupt", if stats.corrupt { 1.0 } else { 0.0 });
    put("failed", float(stats.failed));
    let times = stats.completed.iter().skip(from.flows[i].1).map(|(a, b)| millis(b.since(*a)));
    let mut times: Vec<f64> = times.collect();
    times.sort_unstable_by(f64::total_cmp);
    let count = len64(times.len());
    put("completed", float(count));
    if count > 0 {
        put("time", times.iter().sum::<f64>() / float(count));
        put("time-median", times[usize64(count / 2)]);
        put("time-p95", times[usize64((count * 95 / 100).min(count - 1))]);
        put("time-max", times[usize64(count - 1)]);
    }
    let objects = stats.objects.iter().skip(from.flows[i].2).map(|(a, b)| millis(b.since(*a)));
    let objects: Vec<f64> = objects.collect();
    if !objects.is_empty() {
        put("object-time", objects.iter().sum::<f64>() / float(len64(objects.len())));
    }
    connection_values(&from.flows[i].3, &to.flows[i].3, time, &mut put);
}

/// What the client sent on the subflows of all connections of the flow.
fn connection_values(
    from: &[ConnectionInfo],
    to: &[ConnectionInfo],
    time: Duration,
    put: &mut impl FnMut(&str, f64) -> Option<f64>,
) {
    let total = |infos: &[ConnectionInfo], of: fn(&manypath_mptcp::SubflowInfo) -> u64| -> u64 {
        infos.iter().flat_map(|info| &info.subflows).map(of).sum()
    };
    let grown = |of| total(to, of).saturating_sub(total(from, of));
    let reinjected =
        |infos: &[ConnectionInfo]| infos.iter().map(|i| i.bytes_reinjected).sum::<u64>();
    put("sent", float(grown(|s| s.bytes_sent)));
    put("retransmitted", float(grown(|s| s.bytes_retransmitted)));
    put("reinjected", float(reinjected(to).saturating_sub(reinjected(from))));
    for subflow in to.iter().flat_map(|info| &info.subflows) {
        let key = format!("sub{}", subflow.id.0);
        let before = from.iter().flat_map(|info| &info.subflows).find(|s| s.id == subflow.id);
        let delivered = before.map_or(0, |s| s.path.delivered);
        put(&format!("{key}.rate"), mbps(subflow.path.delivered.saturating_sub(delivered), time));
        put(&format!("{key}.sent"), float(subflow.bytes_sent));
        put(&format!("{key}.cwnd"), float(u64::from(subflow.path.cwnd / subflow.path.mss.bytes())));
        put(&format!("{key}.rtt"), millis(subflow.path.srtt));
    }
}

fn link_values(plan: &Plan, (from, to): (&Snapshot, &Snapshot), way: usize, out: &mut Values) {
    let edge = &plan.graph.edges[way / 2];
    let back = if way % 2 == 1 { ".back" } else { "" };
    let (a, b) = (&from.links[way], &to.links[way]);
    let mut put =
        |key: &str, value: f64| out.insert(format!("link.{}{back}.{key}", edge.name), value);
    let offered = b.offered.packets - a.offered.packets;
    let dropped = b.dropped().packets - a.dropped().packets;
    let carried = mbps(b.transmitted.bytes - a.transmitted.bytes, to.at - from.at);
    put("loss", share(dropped, offered));
    put("drops", float(dropped));
    put("rate", carried);
    put("marks", share(b.marked.packets - a.marked.packets, offered));
    if let Some(rate) = rate(&edge.ways[way % 2].transmitter) {
        put("utilisation", carried / (float(rate.bits_per_sec()) / 1e6));
    }
}
