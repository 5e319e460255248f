//! How things went over time.
//!
//! **Owns** what is taken down at each moment, and its form in results. Numbers are floating point
//! where people read them: seconds, milliseconds; bytes are whole.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Plan, World};

/// How flows and links went over time. Lists over moments are as long as `at`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Moments, in seconds since the start.
    pub at: Vec<f64>,
    /// Flows, in the order of the file.
    pub flows: Vec<FlowSeries>,
    /// Directions of links: each link, and its way back with `.back` at the end of the name.
    pub links: Vec<LinkSeries>,
}

/// A flow over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowSeries {
    /// Its name.
    pub name: String,
    /// Bytes that applications have read so far.
    pub received: Vec<u64>,
    /// How long each transfer, request or page took, in milliseconds, in the order of their ends.
    pub times_ms: Vec<f64>,
    /// Subflows of a flow that has one connection; none of a flow that opens more.
    pub subflows: Vec<SubflowSeries>,
}

/// A subflow while it lived, as its client saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SubflowSeries {
    /// Its number in the connection.
    pub id: u32,
    /// Moments at which it was there.
    pub at: Vec<f64>,
    /// Congestion window in bytes.
    pub cwnd: Vec<u32>,
    /// Bytes delivered so far.
    pub delivered: Vec<u64>,
    /// Smoothed round trip in milliseconds.
    pub srtt_ms: Vec<f64>,
}

/// One direction of a link over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkSeries {
    /// Its name.
    pub name: String,
    /// Bytes that wait for the transmitter.
    pub waiting: Vec<u64>,
    /// Bytes that left the transmitter so far.
    pub transmitted: Vec<u64>,
    /// Packets dropped so far, for any reason.
    pub dropped: Vec<u64>,
}

/// What is taken down at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    at: f64,
    received: Vec<u64>,
    /// By flow: number, window, bytes delivered and round trip of each subflow.
    subflows: Vec<Vec<(u32, u32, u64, f64)>>,
    /// By direction: waiting, transmitted, dropped.
    links: Vec<(u64, u64, u64)>,
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Sample {
    pub(super) fn take(world: &mut World, plan: &Plan) -> Self {
        let flows = 0..plan.flows.len();
        let received = flows.clone().map(|i| world.flow_stats(i).received).collect();
        let subflows = flows.map(|i| subflows(world, i)).collect();
        let mut link = |way| {
            let stats = world.link_stats(way);
            (stats.waiting.bytes, stats.transmitted.bytes, stats.dropped().packets)
        };
        let links = (0..2 * plan.graph.edges.len()).map(&mut link).collect();
        Self { at: world.elapsed().as_secs_f64(), received, subflows, links }
    }
}

fn subflows(world: &World, flow: usize) -> Vec<(u32, u32, u64, f64)> {
    if world.flow_stats(flow).opened != 1 {
        return Vec::new();
    }
    let connections = world.connections(flow, 0);
    let of = |s: &manypath_mptcp::SubflowInfo| {
        (s.id.0, s.path.cwnd, s.path.delivered, millis(s.path.srtt))
    };
    connections.iter().flat_map(|c| &c.subflows).map(of).collect()
}

impl Series {
    /// The samples in columns, with the times that transfers took until now.
    pub(super) fn new(samples: &[Sample], world: &World, plan: &Plan) -> Self {
        let flow = |(i, name): (usize, &str)| {
            let times = &world.flow_stats(i).completed;
            let mut subflows: Vec<SubflowSeries> = Vec::new();
            // A flow that opened more connections later has no subflows.
            let single = world.flow_stats(i).opened == 1;
            for sample in samples.iter().filter(|_| single) {
                sample.subflows[i].iter().for_each(|s| add(&mut subflows, sample.at, *s));
            }
            FlowSeries {
                name: name.to_owned(),
                received: samples.iter().map(|s| s.received[i]).collect(),
                times_ms: times.iter().map(|(from, to)| millis(to.since(*from))).collect(),
                subflows,
            }
        };
        let link = |way: usize| {
            let column = |of: fn(&(u64, u64, u64)) -> u64| {
                samples.iter().map(|s| of(&s.links[way])).collect()
            };
            let back = if way % 2 == 1 { ".back" } else { "" };
            LinkSeries {
                name: format!("{}{back}", plan.graph.edges[way / 2].name),
                waiting: column(|l| l.0),
                transmitted: column(|l| l.1),
                dropped: column(|l| l.2),
            }
        };
        let links = if samples.is_empty() { 0 } else { 2 * plan.graph.edges.len() };
        Self {
            at: samples.iter().map(|s| s.at).collect(),
            flows: plan.flows.iter().map(|f| f.name.as_str()).enumerate().map(flow).collect(),
            links: (0..links).map(link).collect(),
        }
    }
}

fn add(
    subflows: &mut Vec<SubflowSeries>,
    at: f64,
    (id, cwnd, delivered, srtt): (u32, u32, u64, f64),
) {
    let found = subflows.iter().position(|s| s.id == id);
    let place = found.unwrap_or_else(|| {
        subflows.push(SubflowSeries { id, ..SubflowSeries::default() });
        subflows.len() - 1
    });
    let subflow = &mut subflows[place];
    subflow.at.push(at);
    subflow.cwnd.push(cwnd);
    subflow.delivered.push(delivered);
    subflow.srtt_ms.push(srtt);
}
