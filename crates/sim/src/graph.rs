//! A network as it is described: nodes, and links between them.
//!
//! **Owns** the description, and the ways through it. **Leaves out** what moves.

use std::collections::VecDeque;

use manypath_mptcp::EndpointConfig;
use serde::Deserialize;

use crate::LinkConfig;
use crate::frame::Port;
use crate::middlebox::Meddling;

/// A host: what its endpoint is told.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// Settings of the endpoint.
    pub endpoint: EndpointConfig,
    /// Tell peers of all addresses (ADD_ADDR).
    pub announces: bool,
    /// All interfaces have the address of the first.
    pub one_address: bool,
    /// Its addresses are IPv6 addresses. Hosts with other addresses cannot be reached then.
    pub ipv6: bool,
    /// Links, by number, whose subflows are backups.
    pub backups: Vec<usize>,
}

/// A place where links meet.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// A host, or else a switch, which spreads flows over all shortest ways by their hash.
    pub host: Option<HostConfig>,
}

/// A link between two nodes.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Its name.
    pub name: String,
    /// The nodes that it joins.
    pub ends: [usize; 2],
    /// From the first to the second, and back.
    pub ways: [LinkConfig; 2],
    /// What sits on it and meddles with packets, both ways.
    pub meddling: Option<Meddling>,
}

/// How switches spread flows over ways that are equally short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// By a hash of addresses and ports, at each switch anew (RFC 2992): flows of the same two
    /// hosts may meet by chance.
    #[default]
    Hash,
    /// By turns: flows between the same two interfaces go different ways as long as there are
    /// any, as where the sources choose whole paths. Which pair begins where is chance.
    Turns,
}

/// A network.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Hosts and switches.
    pub nodes: Vec<Node>,
    /// Links.
    pub edges: Vec<Edge>,
    /// What switches do where several ways are the shortest.
    pub spread: Spread,
}

/// One direction of an edge: `2 * edge + way`.
pub type Way = usize;

impl Graph {
    /// Adds a node and returns its number.
    pub fn node(&mut self, name: impl Into<String>, host: Option<HostConfig>) -> usize {
        self.nodes.push(Node { name: name.into(), host });
        self.nodes.len() - 1
    }

    /// Adds a link that is the same both ways, and returns its number.
    pub fn link(&mut self, name: impl Into<String>, ends: [usize; 2], way: LinkConfig) -> usize {
        let ways = [way.clone(), way];
        self.edges.push(Edge { name: name.into(), ends, ways, meddling: None });
        self.edges.len() - 1
    }

    /// The node that a way leads to.
    #[must_use]
    pub fn target(&self, way: Way) -> usize {
        self.edges[way / 2].ends[1 - way % 2]
    }

    /// The ways out of a node, in the order of the edges. Those of a host are its interfaces.
    #[must_use]
    pub fn ways_out(&self, node: usize) -> Vec<Way> {
        let of = |edge: usize| (0..2).filter(move |&way| self.edges[edge].ends[way] == node);
        (0..self.edges.len()).flat_map(|edge| of(edge).map(move |way| 2 * edge + way)).collect()
    }

    /// [`Graph::ways_out`] of every node.
    #[must_use]
    pub fn all_ways_out(&self) -> Vec<Vec<Way>> {
        let mut ways = vec![Vec::new(); self.nodes.len()];
        for (edge, Edge { ends, .. }) in self.edges.iter().enumerate() {
            for (way, &end) in ends.iter().enumerate() {
                ways[end].push(2 * edge + way);
            }
        }
        ways
    }

    /// For each switch the ways that lead to `to` over the fewest links: to that very interface
    /// where it can be reached, else to any of its host. Hosts do not forward, and have none.
    pub(crate) fn routes_to(&self, host: usize, to: Port, ways_out: &[Vec<Way>]) -> Vec<Vec<Way>> {
        let [.., iface] = to.0.to_be_bytes();
        let entries = &ways_out[host];
        let exact =
            self.distances(host, &entries[usize::from(iface)..=usize::from(iface)], ways_out);
        let any = self.distances(host, entries, ways_out);
        let route = |node: usize| {
            if self.nodes[node].host.is_some() {
                return Vec::new();
            }
            let (distances, entry) = if exact[node] == u32::MAX {
                (&any, None)
            } else {
                (&exact, entries.get(usize::from(iface)))
            };
            let nearer = |way: &Way| {
                let next = self.target(*way);
                let last_hop = next == host && entry.is_none_or(|&entry| entry ^ 1 == *way);
                last_hop && distances[node] == 1
                    || next != host
                        && distances[node] != u32::MAX
                        && distances[next] != u32::MAX
                        && distances[next] + 1 == distances[node]
                        && self.nodes[next].host.is_none()
            };
            ways_out[node].iter().copied().filter(nearer).collect()
        };
        (0..self.nodes.len()).map(route).collect()
    }

    /// Links from each node to the host, entering it by one of `entries` (given as the ways out).
    fn distances(&self, host: usize, entries: &[Way], ways_out: &[Vec<Way>]) -> Vec<u32> {
        let mut distances = vec![u32::MAX; self.nodes.len()];
        let mut waiting = VecDeque::new();
        for &entry in entries {
            let next = self.target(entry);
            if distances[next] == u32::MAX {
                distances[next] = 1;
                waiting.push_back(next);
            }
        }
        distances[host] = 0;
        while let Some(node) = waiting.pop_front() {
            if self.nodes[node].host.is_some() {
                continue;
            }
            for &way in &ways_out[node] {
                let next = self.target(way);
                if distances[next] == u32::MAX {
                    distances[next] = distances[node] + 1;
                    waiting.push_back(next);
                }
            }
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hosts with two interfaces each, over two switches that are not joined, and a third host
    /// at the second switch.
    fn graph() -> Graph {
        let mut graph = Graph::default();
        let host = || Some(HostConfig::default());
        let (a, b, c) = (graph.node("a", host()), graph.node("b", host()), graph.node("c", host()));
        let (x, y) = (graph.node("x", None), graph.node("y", None));
        for (name, ends) in [("ax", [a, x]), ("ay", [a, y]), ("xb", [x, b]), ("yb", [y, b])] {
            graph.link(name, ends, LinkConfig::default());
        }
        graph.link("yc", [y, c], LinkConfig::default());
        graph
    }

    #[test]
    fn routes_lead_to_the_interface_or_else_to_the_host() {
        let graph = graph();
        let ways_out = graph.all_ways_out();
        assert!((0..5).all(|n| ways_out[n] == graph.ways_out(n)));
        let to_first = graph.routes_to(1, Port::new(1, 0), &ways_out);
        assert_eq!(to_first[3], [4], "x has the link to that interface");
        assert_eq!(to_first[4], [6], "y reaches the host only by the other one");
        let to_c = graph.routes_to(2, Port::new(2, 0), &ways_out);
        assert_eq!(to_c[3], [] as [usize; 0], "hosts do not forward");
        assert_eq!(to_c[4], [8]);
        assert_eq!(to_c[0], [] as [usize; 0], "nor have tables");
    }
}
