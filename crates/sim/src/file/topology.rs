//! Networks by their kind.

use std::path::Path;

use super::error::Wrong;
use super::schema::{Topology, Way};
use super::units::Room;
use crate::{Graph, HostConfig, LinkConfig};

/// What a link of a network is, which its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It only joins: nothing to simulate.
    Joint,
    /// It has the properties that the file gives.
    Link,
    /// The same, and a host sends on it, in this direction of its two.
    Uplink(usize),
}

fn host(graph: &mut Graph, name: String) -> usize {
    graph.node(name, Some(HostConfig::default()))
}

fn join(graph: &mut Graph, name: String, ends: [usize; 2]) {
    graph.link(name, ends, LinkConfig::default());
}

impl Topology {
    /// Adds the network to an empty graph.
    pub(super) fn add(&self, graph: &mut Graph, folder: &Path) -> Result<(), Wrong> {
        let too_small = |key: &str, least: u32| {
            Wrong::new(format!("topology.{key}"), format!("expected at least {least}"))
        };
        match self {
            Self::Dumbbell { pairs, .. } => dumbbell(graph, *pairs),
            Self::Torus { links, .. } if *links < 3 => return Err(too_small("torus.links", 3)),
            Self::Torus { links, .. } => torus(graph, *links),
            Self::FatTree { k, .. } if *k < 2 || k % 2 == 1 => {
                return Err(Wrong::new("topology.fat-tree.k", "expected an even number from 2"));
            }
            Self::FatTree { k, .. } => fat_tree(graph, *k),
            Self::Bcube { ports, .. } if *ports < 2 => return Err(too_small("bcube.ports", 2)),
            Self::Bcube { ports, levels, .. } => bcube(graph, *ports, *levels),
            Self::DualHomed { clients, .. } => dual_homed(graph, *clients),
        }
        let key = format!("topology.{}.link", self.kind());
        let (link, _) = self.parts();
        let ways = link.both(&key, folder)?;
        for edge in &mut graph.edges {
            match self.part(&edge.name) {
                Part::Joint => {}
                Part::Link => edge.ways.clone_from(&ways),
                Part::Uplink(_) => edge.ways = self.way(&edge.name).both(&key, folder)?,
            }
        }
        Ok(())
    }

    /// Its name in a file.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Dumbbell { .. } => "dumbbell",
            Self::Torus { .. } => "torus",
            Self::FatTree { .. } => "fat-tree",
            Self::Bcube { .. } => "bcube",
            Self::DualHomed { .. } => "dual-homed",
        }
    }

    /// What its links are, and the queues of hosts where they differ.
    pub(super) fn parts(&self) -> (&Way, Option<Room>) {
        match self {
            Self::Dumbbell { link, .. }
            | Self::Torus { link, .. }
            | Self::DualHomed { link, .. } => (link, None),
            Self::FatTree { link, host_queue, .. } | Self::Bcube { link, host_queue, .. } => {
                (link, *host_queue)
            }
        }
    }

    fn part(&self, name: &str) -> Part {
        let is_link = match self {
            Self::Dumbbell { .. } => name == "bottleneck",
            Self::Torus { .. } => !name.contains('.'),
            Self::FatTree { .. } if name.starts_with("access") => return Part::Uplink(1),
            Self::FatTree { .. } => true,
            Self::Bcube { .. } if !name.contains("relay") => return Part::Uplink(0),
            Self::Bcube { .. } => false,
            Self::DualHomed { .. } => name.starts_with("up"),
        };
        if is_link { Part::Link } else { Part::Joint }
    }

    /// What the file would have to say of the link of this name alone, to make it what it is.
    pub(super) fn way(&self, name: &str) -> Way {
        let (link, host_queue) = self.parts();
        let mut way = link.clone();
        match self.part(name) {
            Part::Joint => return Way::default(),
            Part::Uplink(0) if host_queue.is_some() => {
                let back = way.back.get_or_insert_default();
                back.queue = back.queue.or(way.queue);
                way.queue = host_queue;
            }
            Part::Uplink(_) if host_queue.is_some() => {
                way.back.get_or_insert_default().queue = host_queue;
            }
            Part::Link | Part::Uplink(_) => {}
        }
        way
    }
}

fn dumbbell(graph: &mut Graph, pairs: u32) {
    let (left, right) = (graph.node("left", None), graph.node("right", None));
    join(graph, "bottleneck".to_owned(), [left, right]);
    for i in 0..pairs {
        let (s, d) = (host(graph, format!("s{i}")), host(graph, format!("d{i}")));
        join(graph, format!("s{i}-left"), [s, left]);
        join(graph, format!("right-d{i}"), [right, d]);
    }
}

fn torus(graph: &mut Graph, links: u32) {
    let mut ends = Vec::new();
    for i in 0..links {
        let (a, b) = (graph.node(format!("a{i}"), None), graph.node(format!("b{i}"), None));
        join(graph, format!("l{i}"), [a, b]);
        ends.push((a, b));
    }
    for (i, &(a, b)) in ends.iter().enumerate() {
        let (s, d) = (host(graph, format!("s{i}")), host(graph, format!("d{i}")));
        let (a_next, b_next) = ends[(i + 1) % ends.len()];
        for (n, (a, b)) in [(a, b), (a_next, b_next)].into_iter().enumerate() {
            join(graph, format!("s{i}.{n}"), [s, a]);
            join(graph, format!("d{i}.{n}"), [b, d]);
        }
    }
}

fn fat_tree(graph: &mut Graph, k: u32) {
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
                join(graph, format!("core{}-pod{pod}", i * half + j), [top, switch]);
            }
        }
        for i in 0..half {
            let lower = graph.node(format!("lower{pod}.{i}"), None);
            for (j, &switch) in upper.iter().enumerate() {
                join(graph, format!("pod{pod}.{j}-{i}"), [switch, lower]);
            }
            for _ in 0..half {
                let h = host(graph, format!("h{hosts}"));
                join(graph, format!("access{hosts}"), [lower, h]);
                hosts += 1;
            }
        }
    }
}

/// A host's number in base `ports`; without the digit of a level it names the switch there. Servers
/// of this network forward for others: a relay in each does that, at no cost, and its host has an
/// address for each level.
fn bcube(graph: &mut Graph, ports: u32, levels: u32) {
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
            join(graph, format!("h{i}.{level}"), [relay, switch]);
            join(graph, format!("h{i}-relay.{level}"), [h, relay]);
        }
    }
}

fn dual_homed(graph: &mut Graph, clients: u32) {
    let server = host(graph, "server".to_owned());
    let router = graph.node("router", None);
    for i in 0..2 {
        join(graph, format!("up{i}"), [server, router]);
    }
    for i in 0..clients {
        let client = host(graph, format!("c{i}"));
        join(graph, format!("c{i}-router"), [client, router]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;

    fn built(make: impl FnOnce(&mut Graph)) -> (usize, usize, usize) {
        let mut graph = Graph::default();
        make(&mut graph);
        let hosts = graph.nodes.iter().filter(|n| n.host.is_some()).count();
        (hosts, graph.nodes.len() - hosts, graph.edges.len())
    }

    #[test]
    fn networks_have_the_size_of_their_papers() {
        assert_eq!(built(|g| fat_tree(g, 8)), (128, 80, 384));
        assert_eq!(built(|g| torus(g, 5)), (10, 10, 25));
        // 75 switches of the paper, and a relay in each server with three ports to its host.
        assert_eq!(built(|g| bcube(g, 5, 3)), (125, 75 + 125, 375 + 375));
        assert_eq!(built(|g| dumbbell(g, 2)), (4, 2, 5));
        assert_eq!(built(|g| dual_homed(g, 3)), (4, 1, 5));
    }

    /// The queues of the two directions of a link in a network whose switches hold 100 packets and
    /// whose hosts hold 900.
    fn queues(network: &str, link: &str) -> [Limit; 2] {
        let text = format!(
            "[{network}\nhost-queue = \"900packets\"\n\
             link = {{ rate = \"1Mbps\", queue = \"100packets\" }}\n"
        );
        let table: toml::Table = toml::from_str(&text).unwrap();
        let topology: Topology = table.try_into().unwrap();
        let mut graph = Graph::default();
        topology.add(&mut graph, Path::new(".")).unwrap();
        let edge = graph.edges.iter().find(|edge| edge.name == link).unwrap();
        [edge.ways[0].limit, edge.ways[1].limit]
    }

    #[test]
    fn hosts_have_a_queue_of_their_own_where_they_send() {
        let (switch, host) = (Limit::Packets(100), Limit::Packets(900));
        let fat_tree = "fat-tree]\nk = 4";
        assert_eq!(queues(fat_tree, "access3"), [switch, host], "from the switch, from the host");
        assert_eq!(queues(fat_tree, "pod0.1-1"), [switch, switch]);
        let cube = "bcube]\nports = 2\nlevels = 2";
        assert_eq!(queues(cube, "h1.0"), [host, switch]);
    }

    #[test]
    fn every_switch_of_a_cube_joins_as_many_hosts_as_it_has_ports() {
        let mut graph = Graph::default();
        bcube(&mut graph, 4, 2);
        let switches =
            (0..graph.nodes.len()).filter(|&n| graph.nodes[n].name.starts_with("switch"));
        assert!(switches.into_iter().all(|n| graph.ways_out(n).len() == 4));
    }
}
