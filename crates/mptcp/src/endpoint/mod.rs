//! The host: interfaces, listeners, many connections, and the packets of all of them.
//!
//! **Owns** demultiplexing by 4-tuple and token, ports, SYN handling, answers to strays, and the
//! order in which connections send. **Invariants**: sans-IO: after every call a driver takes out
//! all of [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`], then sleeps until
//! [`Endpoint::poll_timeout`]; a 4-tuple leads to one subflow, a token to one connection.

mod addresses;
mod api;
mod beside;
mod births;
mod blackholes;
mod cookie;
mod crowd;
mod demux;
mod fast_open;
mod first_path;
mod flow_config;
mod isn;
mod listeners;
mod memory;
mod ports;
mod secret;
mod shard;
mod single_path;
mod stray;
mod syn_cookies;
mod time_wait;
mod transparent;
mod turns;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU32;

use hashbrown::HashMap;
use manypath_base::{
    AddrId, Ends, FourTuple, IfaceId, Instant, Mss, Rng, SubflowId, TimerQueue, Token,
};
use manypath_wire::{Checksum, Datagram, IpHeader, Packet, Transport};

use crate::connection::{Connection, LocalEntry};
use crate::{DropCounters, EndpointConfig, Event, Interface};
use beside::Beside;
use blackholes::Blackholes;
use cookie::Cookies;
use crowd::Crowd;
use fast_open::{Granter, Servers};
use first_path::FirstPaths;
use flow_config::FlowConfigs;
use isn::IsnClock;
use listeners::Listener;
use secret::Secret;
use shard::Others;
pub use shard::{Handover, Shard};
use single_path::SinglePaths;
use time_wait::TimeWaits;

/// Hop limit of answers that belong to no connection; that of connections is configured.
const HOP_LIMIT: u8 = 64;

/// A connection of a host. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A listener of an endpoint. Never reused. All shards of a host have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// A packet to send, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The interface to send it on.
    pub iface: IfaceId,
    /// The packet, or super-segment.
    pub datagram: Datagram,
}

/// A packet to send as a value, and where: what becomes a [`Transmit`] where bytes are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The interface to send it on.
    pub iface: IfaceId,
    /// The packet, or super-segment.
    pub packet: Packet,
    /// Payload bytes of each packet that a super-segment is cut into.
    pub gso_mss: Option<Mss>,
}

impl From<Departure> for Transmit {
    fn from(departure: Departure) -> Self {
        let Departure { iface, packet, gso_mss } = departure;
        Self { iface, datagram: packet.emit(gso_mss, Checksum::Offloaded) }
    }
}

/// A connection with what the endpoint keeps beside it.
#[derive(Debug)]
struct Entry {
    conn: Connection,
    /// It waits in the queue of those that may have something to send.
    queued: bool,
    /// The round in which it was counted among the busy.
    seen: u32,
    /// What it has of what connections to hosts beside this one share.
    beside: beside::Part,
    /// The listener that it came to, until it is accepted.
    listener: Option<ListenerId>,
    /// This host and the server, while it has not answered an attempt at Fast Open.
    fast_open: Option<(IpAddr, IpAddr)>,
    /// The address that it came to, where that is another host's.
    foreign: Option<LocalEntry>,
    /// The subflows, with the ends of each and the interface that it uses.
    subflows: Vec<(SubflowId, Ends, IfaceId)>,
}

impl Entry {
    fn add_subflow(&mut self, id: SubflowId, tuple: FourTuple, iface: IfaceId) {
        self.subflows.reserve_exact(1);
        self.subflows.push((id, tuple.into(), iface));
    }
}

/// A host without I/O: five verbs drive it, and applications call it.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    shard: Shard,
    others: Others,
    flow_configs: FlowConfigs,
    rng: Rng,
    isns: IsnClock,
    cookies: Cookies,
    granter: Granter,
    servers: Servers,
    interfaces: BTreeMap<IfaceId, Interface>,
    /// Identifiers of addresses, of those too that are on no interface now.
    addr_ids: BTreeMap<IpAddr, AddrId>,
    /// The local addresses of the connection that was looked at last.
    locals: Arc<[LocalEntry]>,
    /// Each in a box: a table has many empty places.
    connections: HashMap<ConnId, Box<Entry>>,
    next_conn: u64,
    tuples: HashMap<Ends, (ConnId, SubflowId)>,
    tokens: HashMap<Token, ConnId>,
    time_waits: TimeWaits,
    listeners: BTreeMap<ListenerId, Listener>,
    next_listener: u32,
    blackholes: Blackholes,
    single_paths: SinglePaths,
    first_paths: FirstPaths,
    /// For what only the ends of a connection's paths may know.
    path_rng: Rng,
    timers: TimerQueue<ConnId>,
    /// Connections that may have something to send, each once.
    sending: VecDeque<ConnId>,
    /// Packets that the connection whose turn it is has sent in a row.
    turn: u32,
    crowd: Crowd,
    beside: Beside,
    /// Answers that belong to no connection.
    answers: VecDeque<Departure>,
    events: VecDeque<Event>,
    drops: DropCounters,
}

impl Endpoint {
    /// A host without interfaces. `rng` must be seeded by the operating system on a real network:
    /// keys, nonces and sequence numbers come from it.
    #[must_use]
    pub fn new(config: EndpointConfig, mut rng: Rng) -> Self {
        let secret = rng.bytes();
        Self::of_shard(config, Shard::ONLY, secret, rng)
    }

    /// [`Endpoint::new`] for a host of several endpoints. Each is given the same interfaces and
    /// listeners, in the same order, and what [`Endpoint::poll_handover`] of the others says.
    #[must_use]
    pub fn shards(config: &EndpointConfig, mut rng: Rng, count: NonZeroU32) -> Vec<Self> {
        let secret = rng.bytes();
        let new = |shard| Self::of_shard(config.clone(), shard, secret, rng.fork());
        Shard::all(count).map(new).collect()
    }

    /// Shards have one secret, so that each knows what another has handed out.
    fn of_shard(mut config: EndpointConfig, shard: Shard, secret: [u8; 32], rng: Rng) -> Self {
        let secret = Secret::new(secret);
        let path_rng = secret.derive("paths").generator(shard.index());
        config.max_connections = shard.part(config.max_connections);
        config.max_half_open = shard.part(config.max_half_open);
        Self {
            flow_configs: FlowConfigs::new(&config.tcp),
            config,
            shard,
            others: Others::default(),
            cookies: Cookies::new(secret.derive("SYN cookies"), shard),
            granter: Granter::new(secret.derive("Fast Open")),
            servers: Servers::default(),
            isns: IsnClock::new(secret),
            rng,
            interfaces: BTreeMap::new(),
            addr_ids: BTreeMap::new(),
            locals: Arc::default(),
            connections: HashMap::new(),
            next_conn: shard.index().into(),
            tuples: HashMap::new(),
            tokens: HashMap::new(),
            time_waits: TimeWaits::default(),
            listeners: BTreeMap::new(),
            next_listener: 0,
            blackholes: Blackholes::default(),
            single_paths: SinglePaths::default(),
            first_paths: FirstPaths::default(),
            path_rng,
            timers: TimerQueue::default(),
            sending: VecDeque::new(),
            turn: 0,
            crowd: Crowd::default(),
            beside: Beside::default(),
            answers: VecDeque::new(),
            events: VecDeque::new(),
            drops: DropCounters::default(),
        }
    }

    /// Takes in a packet that came on an interface. What is not understood, or not for this host,
    /// is dropped and counted.
    pub fn handle_datagram(&mut self, now: Instant, iface: IfaceId, datagram: &Datagram) {
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(reason) => {
                *self.drops.malformed.entry(reason).or_default() += 1;
                return;
            }
        };
        self.handle_packet(now, iface, packet);
    }

    /// [`Endpoint::handle_datagram`] for a packet that was read already.
    pub fn handle_packet(&mut self, now: Instant, iface: IfaceId, packet: Packet) {
        match packet.transport {
            Transport::Tcp(segment) => self.on_segment(now, iface, &packet.ip, segment),
            Transport::Icmp(error) => self.on_icmp(now, iface, &packet.ip, error),
        }
    }

    /// Time has passed: every connection whose deadline has come acts.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.time_waits.handle_timeout(now);
        while let Some(id) = self.timers.pop_expired(now) {
            if let Some(entry) = self.connections.get_mut(&id) {
                entry.conn.handle_timeout(now);
                if let Some(iface) = entry.conn.begin_as_usual() {
                    entry.subflows.iter_mut().for_each(|(.., on)| *on = iface);
                    self.first_paths.forget(entry.conn.remote_addr().ip());
                }
                self.settle(now, id);
            }
        }
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        Instant::sooner(self.timers.next(), self.time_waits.poll_timeout())
    }

    /// Packets dropped so far, by reason.
    #[must_use]
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Number of connections that are not forgotten. Of those that only wait in TIME-WAIT every
    /// subflow counts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len() + self.time_waits.len()
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is left but connections that wait in TIME-WAIT (RFC 9293 §3.4.1): nobody
    /// would miss this host.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.connections.values().all(|entry| entry.conn.is_at_rest())
    }

    /// Connections in the order in which they began: what is done to many of them is the same in
    /// every run.
    fn connections_where(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<ConnId> {
        let found = self.connections.iter().filter(|(_, entry)| wanted(entry));
        let mut ids: Vec<ConnId> = found.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Brings the endpoint in line after a call into a connection: events, joins, turn to send.
    fn settle(&mut self, now: Instant, id: ConnId) {
        self.open_joins(now, id);
        let Some(entry) = self.connections.get_mut(&id) else { return };
        self.beside.learn(now, entry);
        self.beside.count(entry);
        let crowd = self.crowd.note(now, &mut entry.seen);
        entry.conn.note_crowd(crowd.saturating_mul(self.shard.count()));
        self.drops.bad_hmac += entry.conn.take_bad_hmac();
        if let Some(answered) = entry.conn.take_capable_answer() {
            let dest = entry.conn.remote_addr().ip();
            self.blackholes.learn(now, dest, answered, self.config.blackhole_time);
        }
        if entry.conn.take_harmed() {
            self.single_paths.learn(now, entry.conn.remote_addr().ip());
        }
        if let Some(answer) = entry.conn.take_fast_open_answer()
            && let Some(hosts) = entry.fast_open.take()
        {
            self.servers.on_answer(now, hosts, answer);
        }
        while let Some(event) = entry.conn.poll_event() {
            if let (Event::Closed(_, Some(error)), Some(hosts)) = (event, entry.fast_open) {
                self.servers.on_failure(now, hosts, error);
            }
            match (&event, entry.listener) {
                (Event::Established(_), Some(listener)) => {
                    if let Some(listening) = self.listeners.get_mut(&listener) {
                        listening.half_open.remove(&id);
                        listening.ready.push_back(id);
                        self.events.push_back(Event::Incoming(listener));
                    }
                }
                // Nobody has heard of a connection that ends half-open.
                (Event::Closed(..), Some(_)) if !entry.conn.is_established() => {}
                _ => self.events.push_back(event),
            }
        }
        if !entry.queued {
            entry.queued = true;
            self.sending.push_back(id);
        }
    }

    /// A connection has nothing to send: its next deadline counts, and it may be over.
    fn rest(&mut self, now: Instant, id: ConnId) {
        self.drop_dead_tuples(id);
        let Some(entry) = self.connections.get_mut(&id) else { return };
        entry.conn.watch_rest(now);
        let Some(entry) = self.connections.get(&id) else { return };
        if let Some(iface) = entry.conn.best_to_begin() {
            self.first_paths.learn(now, entry.conn.remote_addr().ip(), iface);
        }
        let unaccepted_end = entry.listener.is_some() && entry.conn.has_ended();
        if entry.conn.is_forgotten() || (unaccepted_end && !self.is_waiting(id)) {
            return self.forget(id);
        }
        if entry.conn.only_waits() {
            return self.reduce(id);
        }
        let at = entry.conn.poll_timeout().map(|at| at.max(now));
        self.timers.set(id, at);
    }
}

/// A segment as a packet between two ends.
fn departure(tuple: FourTuple, iface: IfaceId, out: manypath_tcp::Transmit) -> Departure {
    let ip = IpHeader {
        src: tuple.local.ip(),
        dst: tuple.remote.ip(),
        ecn: out.ecn,
        dscp: out.dscp,
        hop_limit: out.hop_limit,
        flow_label: 0,
    };
    let packet = Packet { ip, transport: Transport::Tcp(out.segment) };
    Departure { iface, packet, gso_mss: out.gso_mss }
}
