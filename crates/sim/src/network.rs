//! Links and switches at work.
//!
//! **Owns** forwarding. **Invariant**: a link has at most one event that is still due. **Leaves
//! out** hosts: what arrives at one is given out.

use std::collections::BTreeMap;

use manypath_base::{Instant, Rng, len32, usize32};
use manypath_wire::Checksum;
use smallvec::SmallVec;

use crate::frame::{Content, Frame, Port};
use crate::graph::{Graph, Way};
use crate::hash::TraceHash;
use crate::middlebox::Middlebox;
use crate::spread::Spreader;
use crate::{EventQueue, Link, LinkConfig, LinkStats, PushOutcome};

/// One direction of a link in its place.
#[derive(Debug)]
struct Channel {
    link: Link<Frame>,
    to: usize,
    /// The other end is a host.
    ends_at_host: bool,
    /// Nothing to simulate.
    transparent: bool,
    /// Its event that is due.
    due: Option<Instant>,
    middlebox: Option<Box<dyn Middlebox>>,
}

/// A frame that has come to a host, over this way.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) way: Way,
    pub(crate) frame: Frame,
}

/// Sends a frame through a middlebox, which sees bytes. Returns whether it comes out.
fn pass(middlebox: &mut dyn Middlebox, frame: &mut Frame) -> bool {
    let datagram = match &mut frame.content {
        Content::Packet(packet) => packet.emit(None, Checksum::Offloaded),
        Content::Datagram(datagram) => std::mem::take(&mut **datagram),
        Content::Filler(_) => return true,
    };
    let Some(changed) = middlebox.pass(datagram) else { return false };
    frame.bytes = u32::try_from(changed.len()).unwrap_or(u32::MAX);
    frame.content = Content::Datagram(Box::new(changed));
    true
}

/// What a network counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Packets that left a transmitter or came off a wire: the unit in which packet simulators are
    /// compared.
    pub dispatches: u64,
    /// Packets for which a node had no way.
    pub unroutable: u64,
}

/// Ways out of a node that are equally good.
type Fan = SmallVec<[u32; 4]>;

/// All links and switches.
#[derive(Debug)]
pub(crate) struct Network {
    channels: Vec<Channel>,
    /// By node, of switches, then by port: where the ways that lead there stand in `fans`. Ports are counted
    /// host by host.
    routes: Vec<Vec<u32>>,
    /// Sets of ways; a node has few, and they are looked up for each packet.
    fans: Vec<Fan>,
    /// By host number, where its ports begin in `routes`.
    first_port: Vec<u32>,
    spreader: Spreader,
    pub(crate) counters: NetworkCounters,
    pub(crate) hash: TraceHash,
}

impl Network {
    /// Builds what `graph` describes. `hosts` are the nodes that are hosts, by number of the host.
    pub(crate) fn new(graph: &Graph, hosts: &[usize], rng: &mut Rng) -> Self {
        let ways_out = graph.all_ways_out();
        let channel = |way: Way, rng: &mut Rng| {
            let edge = &graph.edges[way / 2];
            let config = edge.ways[way % 2].clone();
            let to = graph.target(way);
            Channel {
                transparent: config.is_transparent(),
                link: Link::new(config, rng.fork()),
                to,
                ends_at_host: graph.nodes[to].host.is_some(),
                due: None,
                middlebox: edge.meddling.map(|m| m.build()),
            }
        };
        let channels = (0..2 * graph.edges.len()).map(|way| channel(way, rng)).collect();
        let mut routes = vec![Vec::new(); graph.nodes.len()];
        let mut fans: Vec<Fan> = Vec::new();
        let mut known: BTreeMap<Fan, u32> = BTreeMap::new();
        let mut first_port = Vec::new();
        let mut ports = 0u32;
        for (number, &host) in (0u32..).zip(hosts) {
            first_port.push(ports);
            for (iface, _) in (0u8..).zip(&ways_out[host]) {
                ports += 1;
                let table = graph.routes_to(host, Port::new(number, iface), &ways_out);
                let switches = (0..).zip(table).filter(|&(n, _)| graph.nodes[n].host.is_none());
                for (node, ways) in switches {
                    let ways = ways.into_iter().filter_map(|w| u32::try_from(w).ok());
                    let fan: Fan = ways.collect();
                    let place = *known.entry(fan.clone()).or_insert_with(|| {
                        fans.push(fan);
                        len32(fans.len()) - 1
                    });
                    routes[node].push(place);
                }
            }
        }
        let counters = NetworkCounters::default();
        let spreader = Spreader::new(graph.spread);
        Self { channels, routes, fans, first_port, spreader, counters, hash: TraceHash::default() }
    }

    /// Sends a frame of a host over a way out of it; otherwise as [`Self::send`].
    pub(crate) fn enter(
        &mut self,
        now: Instant,
        way: Way,
        mut frame: Frame,
        events: &mut EventQueue<crate::world::What>,
        arrived: &mut Vec<Arrival>,
    ) {
        self.spreader.enter(way, &mut frame);
        self.send(now, way, frame, events, arrived);
    }

    /// Sends a frame over a way; `plan` gets the events that follow, `arrived` what reaches a host
    /// at once.
    fn send(
        &mut self,
        now: Instant,
        mut way: Way,
        mut frame: Frame,
        events: &mut EventQueue<crate::world::What>,
        arrived: &mut Vec<Arrival>,
    ) {
        loop {
            let channel = &mut self.channels[way];
            if let Some(middlebox) = &mut channel.middlebox
                && !pass(middlebox.as_mut(), &mut frame)
            {
                return;
            }
            if !channel.transparent || channel.link.is_cut() {
                let bytes = usize32(frame.bytes);
                let (PushOutcome::Queued | PushOutcome::Dropped(_)) =
                    channel.link.push(now, bytes, frame);
                return self.plan(way, events);
            }
            if channel.ends_at_host {
                return arrived.push(Arrival { way, frame });
            }
            let node = channel.to;
            let Some(next) = self.route(node, &mut frame) else {
                self.counters.unroutable += 1;
                return;
            };
            way = next;
        }
    }

    /// The event of a link: delivers what has come to its end.
    pub(crate) fn dispatch(
        &mut self,
        now: Instant,
        way: Way,
        events: &mut EventQueue<crate::world::What>,
        arrived: &mut Vec<Arrival>,
    ) {
        if self.channels[way].due != Some(now) {
            return;
        }
        self.channels[way].due = None;
        let (node, at_host) = (self.channels[way].to, self.channels[way].ends_at_host);
        while let Some(mut frame) = self.channels[way].link.pop(now) {
            // It has left the transmitter and come off the wire.
            self.counters.dispatches += 2;
            let place = u32::try_from(way).unwrap_or(u32::MAX);
            self.hash.note(now.as_nanos(), place, frame.summary());
            if at_host {
                arrived.push(Arrival { way, frame });
            } else if let Some(next) = self.route(node, &mut frame) {
                self.send(now, next, frame, events, arrived);
            } else {
                self.counters.unroutable += 1;
            }
        }
        self.plan(way, events);
    }

    /// Among the shortest ways the one that the frame is to take.
    fn route(&self, node: usize, frame: &mut Frame) -> Option<Way> {
        let [.., iface] = frame.to.0.to_be_bytes();
        let first = *self.first_port.get(usize32(frame.to.host()))?;
        let fan = *self.routes[node].get(usize32(first) + usize::from(iface))?;
        match self.fans[usize32(fan)].as_slice() {
            [] => None,
            [only] => Some(usize32(*only)),
            many => Some(usize32(self.spreader.pick(node, many, frame))),
        }
    }

    fn plan(&mut self, way: Way, events: &mut EventQueue<crate::world::What>) {
        let channel = &mut self.channels[way];
        let Some(next) = channel.link.next_event() else { return };
        if channel.due.is_none_or(|due| due > next) {
            channel.due = Some(next);
            events.push(next, crate::world::What::Link(u32::try_from(way).unwrap_or(u32::MAX)));
        }
    }

    /// Changes one direction of a link.
    pub(crate) fn change(
        &mut self,
        now: Instant,
        way: Way,
        events: &mut EventQueue<crate::world::What>,
        change: impl FnOnce(&mut LinkConfig),
    ) {
        let channel = &mut self.channels[way];
        let mut config = channel.link.config().clone();
        change(&mut config);
        channel.transparent = config.is_transparent();
        channel.link.set_config(now, config);
        self.plan(way, events);
    }

    pub(crate) fn cut(&mut self, way: Way) {
        self.channels[way].link.cut();
    }

    pub(crate) fn restore(&mut self, way: Way) {
        self.channels[way].link.restore();
    }

    pub(crate) fn stats(&mut self, now: Instant, way: Way) -> LinkStats {
        self.channels[way].link.stats(now)
    }
}
