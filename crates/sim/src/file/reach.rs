//! What must hold of a network as a whole, so that a run of it means something.
//!
//! **Owns** three questions: whether tables of routes have room in memory, whether a way leads from
//! one end of each flow to the other, and whether that way takes time. **Leaves out** single keys:
//! `sane`.

use std::time::Duration;

use super::error::Wrong;
use crate::graph::Way;
use crate::{FlowConfig, Graph, LinkConfig, Transmitter};

/// Entries of all tables of routes, at most: one at each switch for each interface of a host.
const ROUTES: usize = 1 << 25;
/// Interfaces of a host, at most: its addresses differ in one byte.
const INTERFACES: usize = 255;
/// A way without a rate takes time if one of its links delays by so much.
const LEAST_DELAY: Duration = Duration::from_micros(1);

/// Looks for what cannot be run.
pub(super) fn check(graph: &Graph, flows: &[FlowConfig]) -> Result<(), Wrong> {
    let ways_out = graph.all_ways_out();
    check_size(graph, &ways_out)?;
    let mut from = None;
    let (mut all, mut at_once) = (Vec::new(), Vec::new());
    for flow in flows {
        if from.replace(flow.from) != Some(flow.from) {
            all = reached(graph, &ways_out, flow.from, |_| true);
            at_once = reached(graph, &ways_out, flow.from, takes_no_time);
        }
        let end = |node: usize| &graph.nodes[node].name;
        let wrong = |said: &str| {
            let between = format!("{:?} to {:?}", end(flow.from), end(flow.to));
            Err(Wrong::new(format!("flow.{}", flow.name), format!("{said} {between}")))
        };
        if !all[flow.to] {
            return wrong("no way leads from");
        }
        if at_once[flow.to] {
            return wrong("expected a `rate`, or a `delay` of 1us at least, on each way from");
        }
    }
    Ok(())
}

fn check_size(graph: &Graph, ways_out: &[Vec<Way>]) -> Result<(), Wrong> {
    let mut interfaces = 0;
    for (node, ways) in graph.nodes.iter().zip(ways_out).filter(|(node, _)| node.host.is_some()) {
        if let Some(&beyond) = ways.get(INTERFACES) {
            let said = format!("expected at most {INTERFACES} links at the host {:?}", node.name);
            return Err(Wrong::new(format!("link.{}", graph.edges[beyond / 2].name), said));
        }
        interfaces += ways.len();
    }
    let switches = graph.nodes.iter().filter(|node| node.host.is_none()).count();
    if switches.saturating_mul(interfaces) > ROUTES {
        let said = format!(
            "expected fewer nodes: {switches} switches with routes to {interfaces} interfaces"
        );
        return Err(Wrong::new("topology", said));
    }
    Ok(())
}

fn takes_no_time(way: &LinkConfig) -> bool {
    let free = way.transmitter == Transmitter::Unlimited && way.bunch.is_zero();
    free && way.delay < LEAST_DELAY
}

/// By node, whether something gets there from a host, over links that are `open`. Other hosts do
/// not forward.
fn reached(
    graph: &Graph,
    ways_out: &[Vec<Way>],
    from: usize,
    open: impl Fn(&LinkConfig) -> bool,
) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes.len()];
    let mut waiting = vec![from];
    while let Some(node) = waiting.pop() {
        for &way in &ways_out[node] {
            let next = graph.target(way);
            if !reached[next] && open(&graph.edges[way / 2].ways[way % 2]) {
                reached[next] = true;
                if graph.nodes[next].host.is_none() {
                    waiting.push(next);
                }
            }
        }
    }
    reached
}
