//! From a document to a plan.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use manypath_base::{Rng, len64, usize64};
use manypath_mptcp::ConnectionMode;
use manypath_tcp::EcnMode;

use super::error::Wrong;
use super::reach;
use super::sane::cbr_packet;
use super::schema::{Document, Event, Flow, Pattern, Stack, Workload as Spec};
use crate::{Change, FlowConfig, Graph, HostConfig, LinkConfig, Loss, Plan, Scheduled, Workload};

/// Draws of the plan itself use a sequence of their own.
const PLAN_SEED: u64 = 0x706c_616e;

impl Document {
    /// The plan for one seed. Files named in it are looked for in `folder`.
    pub(super) fn plan(&self, folder: &Path, seed: u64) -> Result<Plan, Wrong> {
        self.check_sense()?;
        let mut graph = Graph { spread: self.spread, ..Graph::default() };
        if let Some(topology) = &self.topology {
            topology.add(&mut graph, folder)?;
        }
        self.add_links(&mut graph, folder)?;
        self.make_hosts(&mut graph)?;
        let mut rng = Rng::seeded(seed ^ PLAN_SEED);
        let mut flows = Vec::new();
        for (name, flow) in &self.flow {
            flow.add(name, &graph, &mut rng, &mut flows)?;
        }
        reach::check(&graph, &flows)?;
        self.check_series(&graph, &flows)?;
        let events = self.event.iter().enumerate();
        let events = events.map(|(i, event)| event.scheduled(&graph, &format!("event.{i}")));
        let changes = events.collect::<Result<Vec<_>, _>>()?;
        Ok(Plan { graph, flows, changes })
    }

    /// Adds the links of the file, or changes those of the topology in what the file says of them.
    fn add_links(&self, graph: &mut Graph, folder: &Path) -> Result<(), Wrong> {
        for (name, link) in &self.link {
            let key = format!("link.{name}");
            let there = graph.edges.iter().position(|e| e.name == *name);
            let (edge, link) = match (&link.ends, there) {
                (Some(ends), None) => {
                    let ends = ends.each_ref().map(|end| node(graph, end));
                    (graph.link(name.clone(), ends, LinkConfig::default()), link.clone())
                }
                (None, Some(edge)) => {
                    let base = self.topology.as_ref().map(|t| t.way(name)).unwrap_or_default();
                    (edge, link.over(&base))
                }
                (None, None) => {
                    let said = "expected `ends`, the two nodes that it joins";
                    return Err(Wrong::new(key, said));
                }
                (Some(_), Some(_)) => {
                    let said = "the topology has a link of this name: expected no `ends`";
                    return Err(Wrong::new(key, said));
                }
            };
            graph.edges[edge].ways = link.both(&key, folder)?;
            graph.edges[edge].meddling = link.middlebox;
        }
        Ok(())
    }

    /// Nodes between which something flows are hosts.
    fn make_hosts(&self, graph: &mut Graph) -> Result<(), Wrong> {
        let ends = self.flow.values().flat_map(|flow| [&flow.from, &flow.to]).flatten();
        let names: Vec<&String> = ends.chain(self.host.keys()).collect();
        for node in &mut graph.nodes {
            if node.host.is_some() || names.contains(&&node.name) {
                let mut config = HostConfig::default();
                self.stack.apply(&mut config, "stack")?;
                node.host = Some(config);
            }
        }
        for (name, host) in &self.host {
            let key = format!("host.{name}");
            let backups =
                host.backup.iter().map(|link| edge(graph, link, &format!("{key}.backup")));
            let backups = backups.collect::<Result<Vec<_>, _>>()?;
            let found = graph.nodes.iter_mut().find(|node| node.name == *name);
            let config = found.and_then(|node| node.host.as_mut());
            let config = config.ok_or_else(|| Wrong::new(&key, "no link ends at this node"))?;
            host.stack.apply(config, &format!("{key}.stack"))?;
            config.backups = backups;
            config.one_address = host.one_address;
            config.ipv6 = host.ipv6;
        }
        Ok(())
    }
}

/// The node of this name, made if there is none.
fn node(graph: &mut Graph, name: &str) -> usize {
    let found = graph.nodes.iter().position(|n| n.name == name);
    found.unwrap_or_else(|| graph.node(name, None))
}

fn edge(graph: &Graph, name: &str, key: &str) -> Result<usize, Wrong> {
    let found = graph.edges.iter().position(|e| e.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = graph.edges.iter().take(12).map(|e| e.name.as_str()).collect();
        Wrong::new(key, format!("no link is called {name:?}; there are {}", names.join(", ")))
    })
}

/// The algorithm of a name.
pub(super) fn algorithm<T>(name: &str, key: String) -> Result<T, Wrong>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    name.parse().map_err(|error: T::Err| Wrong::new(key, error))
}

impl Stack {
    fn apply(&self, config: &mut HostConfig, key: &str) -> Result<(), Wrong> {
        let bytes = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        let Self {
            receive_buffer,
            send_buffer,
            delayed_ack,
            min_rto,
            pacing,
            nagle,
            ecn,
            sack,
            timestamps,
            window_scale,
            max_burst,
            subflows_per_pair,
            cc,
            scheduler,
            announce,
        } = self;
        let endpoint = &mut config.endpoint;
        if let Some(size) = receive_buffer {
            endpoint.tcp.recv_buffer_max = bytes(size.0);
            endpoint.tcp.recv_buffer = bytes(size.0);
        }
        if let Some(size) = send_buffer {
            endpoint.send_buffer_max = bytes(size.0);
        }
        if let Some(count) = subflows_per_pair {
            endpoint.limits.per_pair = *count;
            endpoint.limits.subflows = endpoint.limits.subflows.max(*count);
        }
        if let Some(name) = cc {
            endpoint.congestion_control = algorithm(name, format!("{key}.cc"))?;
        }
        if let Some(name) = scheduler {
            endpoint.scheduler = algorithm(name, format!("{key}.scheduler"))?;
        }
        let tcp = &mut endpoint.tcp;
        tcp.delayed_ack = delayed_ack.map_or(tcp.delayed_ack, |t| t.0);
        tcp.min_rto = min_rto.map_or(tcp.min_rto, |t| t.0);
        tcp.pacing = pacing.unwrap_or(tcp.pacing);
        tcp.nagle = nagle.unwrap_or(tcp.nagle);
        let mode = |asks: bool| if asks { EcnMode::Ask } else { EcnMode::Off };
        tcp.ecn = ecn.map_or(tcp.ecn, mode);
        tcp.sack = sack.unwrap_or(tcp.sack);
        tcp.timestamps = timestamps.unwrap_or(tcp.timestamps);
        tcp.window_scale = window_scale.unwrap_or(tcp.window_scale);
        tcp.max_burst = max_burst.map_or(tcp.max_burst, |size| bytes(size.0));
        config.announces = announce.unwrap_or(config.announces);
        Ok(())
    }
}

impl Flow {
    /// Adds this flow, or all of its group, to `out`.
    fn add(
        &self,
        name: &str,
        graph: &Graph,
        rng: &mut Rng,
        out: &mut Vec<FlowConfig>,
    ) -> Result<(), Wrong> {
        let key = format!("flow.{name}");
        let pairs = match (self.pattern, &self.from, &self.to) {
            (None, Some(from), Some(to)) => {
                let from = host(graph, from, &format!("{key}.from"))?;
                let to = host(graph, to, &format!("{key}.to"))?;
                vec![(from, to); manypath_base::usize32(self.count.unwrap_or(1))]
            }
            (Some(Pattern::Pairs), None, None) => pairs(graph),
            (Some(Pattern::Permutation), None, None) => permutation(graph, rng),
            _ => return Err(Wrong::new(key, "expected either `from` and `to`, or `pattern`")),
        };
        if pairs.is_empty() {
            let said = "there are no hosts for it: `pairs` joins s0 to d0 and so on";
            return Err(Wrong::new(format!("{key}.pattern"), said));
        }
        let cc = self.cc.as_ref().map(|name| algorithm(name, format!("{key}.cc"))).transpose()?;
        let scheduler = self.scheduler.as_ref();
        let scheduler = scheduler.map(|name| algorithm(name, format!("{key}.scheduler")));
        let scheduler = scheduler.transpose()?;
        let grouped = self.pattern.is_some() || self.count.is_some();
        for (i, (from, to)) in pairs.into_iter().enumerate() {
            out.push(FlowConfig {
                name: if grouped { format!("{name}.{i}") } else { name.to_owned() },
                from,
                to,
                cc,
                scheduler,
                mode: self.mode(),
                workload: self.workload(),
                start: self.start.map_or(Duration::ZERO, |t| t.0),
                jitter: self.jitter.map_or(Duration::from_millis(100), |t| t.0),
                checked: self.checked,
            });
        }
        Ok(())
    }

    fn mode(&self) -> ConnectionMode {
        match (self.one_ended, self.tcp) {
            (true, _) => ConnectionMode::OneEnded,
            (false, true) => ConnectionMode::PlainTcp,
            (false, false) => ConnectionMode::Automatic,
        }
    }

    fn workload(&self) -> Workload {
        match &self.workload {
            None => Workload::Bulk { bytes: None },
            Some(Spec::Bulk { bytes }) => Workload::Bulk { bytes: bytes.map(|size| size.0) },
            Some(Spec::OnOff { on, off }) => Workload::OnOff { on: on.0, off: off.0 },
            Some(Spec::Requests { request, response, gap, count }) => Workload::Requests {
                request: request.0,
                response: response.0,
                gap: gap.0,
                count: *count,
            },
            Some(Spec::Cbr { rate, bytes }) => {
                let (rate, bytes) = (rate.0.unwrap_or_default(), cbr_packet(*bytes));
                Workload::Cbr { rate, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) }
            }
            Some(Spec::Page { objects, bytes, connections }) => {
                let bytes = bytes.0.iter().map(|size| size.0).collect();
                Workload::Page { objects: *objects, bytes, connections: *connections }
            }
            Some(Spec::Arrivals { gap, bytes }) => {
                Workload::Arrivals { gap: gap.0, bytes: bytes.0 }
            }
        }
    }
}

fn host(graph: &Graph, name: &str, key: &str) -> Result<usize, Wrong> {
    let found = graph.nodes.iter().position(|n| n.name == name && n.host.is_some());
    found.ok_or_else(|| Wrong::new(key, format!("no link ends at a node {name:?}")))
}

/// `s0` to `d0` and so on, as far as there are both.
fn pairs(graph: &Graph) -> Vec<(usize, usize)> {
    let find = |name: String| graph.nodes.iter().position(|n| n.name == name);
    let pair = |i: u32| find(format!("s{i}")).zip(find(format!("d{i}")));
    (0..).map_while(pair).collect()
}

/// A permutation of all hosts that leaves none in its place: the hosts in random order, each to
/// the next.
fn permutation(graph: &Graph, rng: &mut Rng) -> Vec<(usize, usize)> {
    let hosts = (0..graph.nodes.len()).filter(|&n| graph.nodes[n].host.is_some());
    let mut order: Vec<usize> = hosts.collect();
    for i in (1..order.len()).rev() {
        order.swap(i, usize64(rng.below(len64(i) + 1)));
    }
    let mut pairs: Vec<(usize, usize)> =
        order.iter().zip(order.iter().cycle().skip(1)).map(|(&a, &b)| (a, b)).collect();
    pairs.sort_unstable();
    pairs
}

impl Event {
    fn scheduled(&self, graph: &Graph, key: &str) -> Result<Scheduled, Wrong> {
        let Self { at, link, ways, cut, restore, rate, delay, loss } = self;
        let edge = edge(graph, link, &format!("{key}.link"))?;
        let rate = rate.and_then(|speed| speed.0).map(Change::Rate);
        let loss = loss.map(|chance| match chance.0 {
            0 => Change::Loss(Loss::None),
            ppm => Change::Loss(Loss::Bernoulli { ppm }),
        });
        let all = [
            cut.then_some(Change::Cut),
            restore.then_some(Change::Restore),
            rate,
            delay.map(|delay| Change::Delay(delay.0)),
            loss,
        ];
        let mut said = all.into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(change), None) => Ok(Scheduled { at: at.0, edge, ways: *ways, change }),
            _ => Err(Wrong::new(key, "expected one of `cut`, `restore`, `rate`, `delay`, `loss`")),
        }
    }
}
