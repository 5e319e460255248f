//! How things went over time.

use std::time::Duration;

use crate::{Plan, World};

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Time since the start.
    pub at: Duration,
    /// By flow: bytes that applications have read so far.
    pub received: Vec<u64>,
    /// By flow: congestion windows in bytes, of all subflows of all its connections.
    pub windows: Vec<Vec<u32>>,
    /// By direction of links (`2 * link`, and one more for the way back): bytes that wait, and
    /// bytes delivered so far.
    pub links: Vec<(u64, u64)>,
}

impl Sample {
    pub(super) fn take(world: &mut World, plan: &Plan) -> Self {
        let flows = 0..plan.flows.len();
        let windows = |i| {
            let connections = world.connections(i, 0);
            connections.iter().flat_map(|c| c.subflows.iter().map(|s| s.path.cwnd)).collect()
        };
        let received = flows.clone().map(|i| world.flow_stats(i).received).collect();
        let windows = flows.map(windows).collect();
        let mut link = |way| {
            let stats = world.link_stats(way);
            (stats.waiting.bytes, stats.delivered.bytes)
        };
        let links = (0..2 * plan.graph.edges.len()).map(&mut link).collect();
        Self { at: world.elapsed(), received, windows, links }
    }
}
