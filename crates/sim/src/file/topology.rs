//! Networks by their kind.

use std::path::Path;

use super::error::Wrong;
use super::schema::Topology;
use crate::{Graph, HostConfig, LinkConfig};

/// A link that only joins: nothing to simulate.
fn access() -> LinkConfig {
    LinkConfig::default()
}

fn host(graph: &mut Graph, name: String) -> usize {
    graph.node(name, Some(HostConfig::default()))
}

fn join(graph: &mut Graph, name: String, ends: [usize; 2], ways: &[LinkConfig; 2]) {
    let edge = graph.link(name, ends, access());
    graph.edges[edge].ways = ways.clone();
}

impl Topology {
    /// Adds the network to an empty graph.
    pub(super) fn add(&self, graph: &mut Graph, folder: &Path) -> Result<(), Wrong> {
        let too_small = |key: &str, least: u32| {
            Wrong::new(format!("topology.{key}"), format!("expected at least {least}"))
        };
        match self {
            Self::Dumbbell { pairs, link } => {
                dumbbell(graph, *pairs, &link.both("topology.dumbbell.link", folder)?);
            }
            Self::Torus { links, .. } if *links < 3 => return Err(too_small("torus.links", 3)),
            Self::Torus { links, link } => {
                torus(graph, *links, &link.both("topology.torus.link", folder)?);
            }
            Self::FatTree { k, .. } if *k < 2 || k % 2 == 1 => {
                return Err(Wrong::new("topology.fat-tree.k", "expected an even number from 2"));
            }
            Self::FatTree { k, link } => {
                fat_tree(graph, *k, &link.both("topology.fat-tree.link", folder)?);
            }
            Self::Bcube { ports, .. } if *ports < 2 => return Err(too_small("bcube.ports", 2)),
            Self::Bcube { ports, levels, link } => {
                bcube(graph, *ports, *levels, &link.both("topology.bcube.link", folder)?);
            }
            Self::DualHomed { clients, link } => {
                dual_homed(graph, *clients, &link.both("topology.dual-homed.link", folder)?);
            }
        }
        Ok(())
    }
}

fn dumbbell(graph: &mut Graph, pairs: u32, ways: &[LinkConfig; 2]) {
    let (left, right) = (graph.node("left", None), graph.node("right", None));
    join(graph, "bottleneck".to_owned(), [left, right], ways);
    for i in 0..pairs {
        let (s, d) = (host(graph, format!("s{i}")), host(graph, format!("d{i}")));
        graph.link(format!("s{i}-left"), [s, left], access());
        graph.link(format!("right-d{i}"), [right, d], access());
    }
}

fn torus(graph: &mut Graph, links: u32, ways: &[LinkConfig; 2]) {
    let mut ends = Vec::new();
    for i in 0..links {
        let (a, b) = (graph.node(format!("a{i}"), None), graph.node(format!("b{i}"), None));
        join(graph, format!("l{i}"), [a, b], ways);
        ends.push((a, b));
    }
    for (i, &(a, b)) in ends.iter().enumerate() {
        let (s, d) = (host(graph, format!("s{i}")), host(graph, format!("d{i}")));
        let (a_next, b_next) = ends[(i + 1) % ends.len()];
        for (n, (a, b)) in [(a, b), (a_next, b_next)].into_iter().enumerate() {
            graph.link(format!("s{i}.{n}"), [s, a], access());
            graph.link(format!("d{i}.{n}"), [b, d], access());
        }
    }
}

fn fat_tree(graph: &mut Graph, k: u32, ways: &[LinkConfig; 2]) {
    let half = k / 2;
    let mut core = Vec::new();
    for i in 0..half * half {
        core.push(graph.node(format!("core{i}"), None));
    }
    let mut hosts = 0;
    for pod in 0..k {
        let upper: Vec<usize> =
            (0..half).map(|i| graph.node(format!("upper{pod}.{i}"), None)).collect();
        for (i, &switch) in (0..half).zip(&upper) {
            for j in 0..half {
                let top = core[manypath_base::usize32(i * half + j)];
                join(graph, format!("core{}-pod{pod}", i * half + j), [top, switch], ways);
            }
        }
        for i in 0..half {
            let lower = graph.node(format!("lower{pod}.{i}"), None);
            for (j, &switch) in upper.iter().enumerate() {
                join(graph, format!("pod{pod}.{j}-{i}"), [switch, lower], ways);
            }
            for _ in 0..half {
                let h = host(graph, format!("h{hosts}"));
                join(graph, format!("access{hosts}"), [lower, h], ways);
                hosts += 1;
            }
        }
    }
}

/// A host's number in base `ports`; without the digit of a level it names the switch there. Servers
/// of this network forward for others: a relay in each does that, at no cost, and its host has an
/// address for each level.
fn bcube(graph: &mut Graph, ports: u32, levels: u32, ways: &[LinkConfig; 2]) {
    let count = ports.pow(levels);
    let hosts: Vec<usize> = (0..count).map(|i| host(graph, format!("h{i}"))).collect();
    let relays: Vec<usize> = (0..count).map(|i| graph.node(format!("relay{i}"), None)).collect();
    for level in 0..levels {
        let weight = ports.pow(level);
        let switches: Vec<usize> =
            (0..count / ports).map(|i| graph.node(format!("switch{level}.{i}"), None)).collect();
        for (i, (&h, &relay)) in (0..count).zip(hosts.iter().zip(&relays)) {
            let number = i / (weight * ports) * weight + i % weight;
            let switch = switches[manypath_base::usize32(number)];
            join(graph, format!("h{i}.{level}"), [relay, switch], ways);
            graph.link(format!("h{i}-relay.{level}"), [h, relay], access());
        }
    }
}

fn dual_homed(graph: &mut Graph, clients: u32, ways: &[LinkConfig; 2]) {
    let server = host(graph, "server".to_owned());
    let router = graph.node("router", None);
    for i in 0..2 {
        join(graph, format!("up{i}"), [server, router], ways);
    }
    for i in 0..clients {
        let client = host(graph, format!("c{i}"));
        graph.link(format!("c{i}-router"), [client, router], access());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(make: impl FnOnce(&mut Graph, &[LinkConfig; 2])) -> (usize, usize, usize) {
        let mut graph = Graph::default();
        make(&mut graph, &[access(), access()]);
        let hosts = graph.nodes.iter().filter(|n| n.host.is_some()).count();
        (hosts, graph.nodes.len() - hosts, graph.edges.len())
    }

    #[test]
    fn networks_have_the_size_of_their_papers() {
        assert_eq!(built(|g, w| fat_tree(g, 8, w)), (128, 80, 384));
        assert_eq!(built(|g, w| torus(g, 5, w)), (10, 10, 25));
        // 75 switches of the paper, and a relay in each server with three ports to its host.
        assert_eq!(built(|g, w| bcube(g, 5, 3, w)), (125, 75 + 125, 375 + 375));
        assert_eq!(built(|g, w| dumbbell(g, 2, w)), (4, 2, 5));
        assert_eq!(built(|g, w| dual_homed(g, 3, w)), (4, 1, 5));
    }

    #[test]
    fn every_switch_of_a_cube_joins_as_many_hosts_as_it_has_ports() {
        let mut graph = Graph::default();
        bcube(&mut graph, 4, 2, &[access(), access()]);
        let switches =
            (0..graph.nodes.len()).filter(|&n| graph.nodes[n].name.starts_with("switch"));
        assert!(switches.into_iter().all(|n| graph.ways_out(n).len() == 4));
    }
}
