//! A network with hosts and traffic, in virtual time.
//!
//! **Owns** the clock, the order of events, and the hosts. **Invariants**: one thread; the same
//! description and seed give the same deliveries, at the same nanoseconds, on every machine.
//! **Leaves out** what applications do: `traffic`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use manypath_base::{Instant, Rate, Rng, len64, usize32};
use manypath_mptcp::ConnectionInfo;

use crate::frame::{Carriage, Content, Frame, frames};
use crate::graph::{Graph, Way};
use crate::host::Host;
use crate::network::{Arrival, Network, NetworkCounters};
use crate::session::{Session, Side};
use crate::traffic::{Flow, FlowStats};
use crate::workload::{FlowConfig, Pattern};
use crate::{EventQueue, LinkStats, Loss, Transmitter};

/// Something that is to happen, to the thing with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Link(u32),
    Host(u32),
    Session(u32),
    Flow(u32),
    Change(u32),
}

/// A change to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It becomes a black hole.
    Cut,
    /// It comes back.
    Restore,
    /// A new rate.
    Rate(Rate),
    /// A new delay, one way.
    Delay(Duration),
    /// A new loss.
    Loss(Loss),
}

/// A change at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// When.
    pub at: Duration,
    /// Which link, by number.
    pub edge: usize,
    /// On which of its ways.
    pub ways: Ways,
    /// What.
    pub change: Change,
}

/// Ways of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ways {
    /// Both.
    #[default]
    Both,
    /// From its first end to its second.
    There,
    /// From its second end to its first.
    Back,
}

/// All that makes a run, but for its seed.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The network.
    pub graph: Graph,
    /// Its traffic.
    pub flows: Vec<FlowConfig>,
    /// What happens to it.
    pub changes: Vec<Scheduled>,
}

/// A simulation at work.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Instant,
    pub(crate) events: EventQueue<What>,
    network: Network,
    pub(crate) hosts: Vec<Host>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) sessions: Vec<Session>,
    /// Which session a server's peer belongs to.
    pub(crate) by_client: BTreeMap<(u32, SocketAddr), u32>,
    pub(crate) pattern: Pattern,
    changes: Vec<Scheduled>,
    arrived: Vec<Arrival>,
    /// Room for what is handed out while more arrives.
    inbox: Vec<Arrival>,
    carriage: Carriage,
    handled: u64,
}

/// Simulations start here, so that a moment before the start can be said.
const START: Instant = Instant::from_millis(1_000);

impl World {
    /// A world in which nothing has happened yet.
    #[must_use]
    pub fn new(plan: &Plan, seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let Plan { graph, flows, changes } = plan;
        let nodes = (0..graph.nodes.len()).filter(|&n| graph.nodes[n].host.is_some());
        let nodes: Vec<usize> = nodes.collect();
        let network = Network::new(graph, &nodes, &mut rng);
        let mut ways_out = graph.all_ways_out();
        let mut host = |(number, &node): (u32, &usize), rng: &mut Rng| {
            let config = graph.nodes[node].host.clone().unwrap_or_default();
            Host::new(START, number, &config, std::mem::take(&mut ways_out[node]), rng.fork())
        };
        let hosts = (0u32..).zip(&nodes).map(|h| host(h, &mut rng)).collect();
        let mut world = Self {
            now: START,
            events: EventQueue::default(),
            network,
            hosts,
            flows: Vec::new(),
            sessions: Vec::new(),
            by_client: BTreeMap::new(),
            pattern: Pattern::new(),
            changes: changes.clone(),
            arrived: Vec::new(),
            inbox: Vec::new(),
            carriage: Carriage::default(),
            handled: 0,
        };
        let number = |node: usize| nodes.iter().position(|&n| n == node).unwrap_or_default();
        for config in flows {
            let hosts = [number(config.from), number(config.to)];
            world.add_flow(config.clone(), hosts.map(manypath_base::len32), rng.fork());
        }
        for (i, change) in (0u32..).zip(changes) {
            world.events.push(START + change.at, What::Change(i));
        }
        world
    }

    /// The form in which packets travel from now on.
    pub fn set_carriage(&mut self, carriage: Carriage) {
        self.carriage = carriage;
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.since(START)
    }

    /// Lets `elapsed` become so much.
    pub fn run_until(&mut self, elapsed: Duration) {
        let end = START + elapsed;
        while let Some((at, what)) = self.events.pop_until(end) {
            debug_assert!(at >= self.now, "time does not go back");
            self.now = at;
            self.handled += 1;
            self.handle(what);
        }
        self.now = end;
    }

    fn handle(&mut self, what: What) {
        match what {
            What::Link(way) => {
                let way = usize32(way);
                self.network.dispatch(self.now, way, &mut self.events, &mut self.arrived);
                self.deliver();
            }
            What::Host(host) => {
                if self.hosts[usize32(host)].on_timer(self.now) {
                    self.hosts[usize32(host)].endpoint.handle_timeout(self.now);
                    self.settle(host);
                } else {
                    self.arm(host);
                }
            }
            What::Session(session) => self.on_session_timer(session),
            What::Flow(flow) => self.on_flow_timer(usize32(flow)),
            What::Change(change) => self.change(usize32(change)),
        }
    }

    /// Hands out what has reached hosts, until nothing more does at this moment.
    fn deliver(&mut self) {
        while !self.arrived.is_empty() {
            let mut inbox = std::mem::take(&mut self.inbox);
            std::mem::swap(&mut inbox, &mut self.arrived);
            for Arrival { way, frame } in inbox.drain(..) {
                self.receive(way, frame);
            }
            self.inbox = inbox;
        }
    }

    fn receive(&mut self, way: Way, frame: Frame) {
        let host = frame.to.host();
        let at = &mut self.hosts[usize32(host)];
        let Some(iface) = at.iface(way) else { return };
        match frame.content {
            Content::Filler(flow) => {
                self.flows[usize32(flow)].stats.received += len64(usize32(frame.bytes));
                return;
            }
            Content::Packet(packet) => at.endpoint.handle_packet(self.now, iface, *packet),
            Content::Datagram(datagram) => {
                at.endpoint.handle_datagram(self.now, iface, &datagram);
            }
        }
        self.settle(host);
    }

    /// After anything happened to a host: its applications act, its packets leave, its timer is
    /// set.
    pub(crate) fn settle(&mut self, host: u32) {
        loop {
            while let Some(event) = self.hosts[usize32(host)].endpoint.poll_event() {
                self.on_event(host, event);
            }
            if !self.transmit(host) {
                break;
            }
        }
        self.arm(host);
    }

    fn transmit(&mut self, host: u32) -> bool {
        let mut any = false;
        let Self { hosts, network, events, arrived, now, carriage, .. } = self;
        let host = &mut hosts[usize32(host)];
        while let Some(departure) = host.endpoint.poll_packet(*now) {
            any = true;
            let Some(&way) = host.ways.get(usize32(departure.iface.0)) else { continue };
            frames(departure, *carriage, |frame| {
                network.enter(*now, way, frame, events, arrived);
            });
        }
        any
    }

    fn arm(&mut self, host: u32) {
        if let Some(at) = self.hosts[usize32(host)].arm(self.now) {
            self.events.push(at, What::Host(host));
        }
    }

    /// Sends a frame without a protocol from a host's first interface.
    pub(crate) fn send_filler(&mut self, host: u32, frame: Frame) {
        let Self { hosts, network, events, arrived, now, .. } = self;
        if let Some(&way) = hosts[usize32(host)].ways.first() {
            network.enter(*now, way, frame, events, arrived);
        }
        self.deliver();
    }

    /// What arrived at this very moment while an application acted is still to be handed out.
    pub(crate) fn settle_and_deliver(&mut self, host: u32) {
        self.settle(host);
        self.deliver();
    }

    fn change(&mut self, number: usize) {
        let Scheduled { edge, ways, change, .. } = self.changes[number].clone();
        let changed = match ways {
            Ways::Both => 2 * edge..2 * edge + 2,
            Ways::There => 2 * edge..2 * edge + 1,
            Ways::Back => 2 * edge + 1..2 * edge + 2,
        };
        for way in changed {
            let Self { network, events, now, .. } = self;
            match &change {
                Change::Cut => network.cut(way),
                Change::Restore => network.restore(way),
                Change::Rate(rate) => {
                    network.change(*now, way, events, |c| {
                        c.transmitter = Transmitter::Constant(*rate);
                    });
                }
                Change::Delay(delay) => network.change(*now, way, events, |c| c.delay = *delay),
                Change::Loss(loss) => network.change(*now, way, events, |c| c.loss = *loss),
            }
        }
    }

    /// What a direction of a link has counted: `2 * edge`, and one more for the way back.
    pub fn link_stats(&mut self, way: Way) -> LinkStats {
        self.network.stats(self.now, way)
    }

    /// What the network has counted.
    #[must_use]
    pub fn counters(&self) -> NetworkCounters {
        self.network.counters
    }

    /// Events of the simulation itself, timers of hosts included.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// The hash of all deliveries so far.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.network.hash.value()
    }

    /// What a flow has counted.
    #[must_use]
    pub fn flow_stats(&self, flow: usize) -> &FlowStats {
        &self.flows[flow].stats
    }

    /// Forgets the longest stall of every flow so far.
    pub fn forget_stalls(&mut self) {
        let now = self.now;
        for flow in &mut self.flows {
            flow.stats.forget_stall(now);
        }
    }

    /// The connections of a flow, as the client (0) or the server (1) sees them; those that ended, as
    /// they were then.
    #[must_use]
    pub fn connections(&self, flow: usize, side: usize) -> Vec<ConnectionInfo> {
        let of_flow = self.sessions.iter().filter(|s| s.flow == flow);
        let info = |s: &Session| {
            let Side { conn, last, .. } = &s.sides[side];
            let endpoint = &self.hosts[usize32(s.hosts[side])].endpoint;
            last.as_deref().cloned().or_else(|| endpoint.info((*conn)?))
        };
        of_flow.filter_map(info).collect()
    }
}
