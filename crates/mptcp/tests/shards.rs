//! Hosts of several endpoints, whose packets come to any of them, as from a device with several queues.

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use common::{PORT, addr, ms, pattern, simple_interface};
use manypath_base::{IfaceId, Instant, Payload, Rng, SeqNum};
use manypath_mptcp::{
    ConnId, ConnectOptions, Endpoint, EndpointConfig, Handover, ListenOptions, ListenerId, Shard,
    SynCookies,
};
use manypath_wire::{
    Checksum, Datagram, Ecn, Flags, IpHeader, Options, Packet, Segment, Transport,
};

/// Bytes of each direction of a connection.
const BYTES: u64 = 100_000;
/// The port that the server announces with its second address, so that joins have ports of their own.
const SECOND: u16 = 81;

/// A connection in the hands of an application: the streams are known by the client's port.
#[derive(Debug)]
struct App {
    seed: u64,
    written: u64,
    shut: bool,
    read: u64,
    ended: bool,
}

struct Host {
    shards: Vec<Endpoint>,
    /// What was handed over to each and is not taken in yet.
    mail: Vec<VecDeque<Handover>>,
    listener: Option<ListenerId>,
    apps: BTreeMap<ConnId, App>,
    /// Packets, and other things, that went from shard to shard.
    handed: [u64; 2],
}

/// A client (0) and a server (1).
struct Hosts {
    now: Instant,
    rng: Rng,
    hosts: [Host; 2],
    wire: VecDeque<(Instant, usize, IfaceId, Datagram)>,
    /// To the client: packets that say RST.
    resets: u64,
}

impl Host {
    fn new(count: u32, config: &EndpointConfig, rng: &mut Rng) -> Self {
        let count = NonZeroU32::new(count).unwrap();
        let shards = Endpoint::shards(config, rng.fork(), count);
        let mail = shards.iter().map(|_| VecDeque::new()).collect();
        Self { shards, mail, listener: None, apps: BTreeMap::new(), handed: [0; 2] }
    }

    fn listen(&mut self) {
        for port in [PORT, SECOND] {
            let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let listen = |e: &mut Endpoint| e.listen(any, ListenOptions::default()).unwrap();
            let ids: Vec<_> = self.shards.iter_mut().map(listen).collect();
            assert!(ids.iter().all(|&id| id == ids[0]));
            self.listener = self.listener.or(Some(ids[0]));
        }
    }

    fn of(&mut self, id: ConnId) -> &mut Endpoint {
        let index = self.shards[0].shard().of_connection(id);
        &mut self.shards[index as usize]
    }

    fn begin(&mut self, id: ConnId, client_port: u16) {
        let seed = client_port.into();
        self.apps.insert(id, App { seed, written: 0, shut: false, read: 0, ended: false });
    }

    fn is_complete(&self) -> bool {
        self.apps.values().all(|app| app.ended && app.shut)
    }

    /// What the application does.
    fn act(&mut self, now: Instant, side: usize) {
        for shard in 0..self.shards.len() {
            while let Some(id) = self.listener.and_then(|l| self.shards[shard].accept(l)) {
                assert!(
                    std::ptr::eq(self.of(id), &raw const self.shards[shard]),
                    "its number says so"
                );
                let port = self.shards[shard].info(id).unwrap().remote.port();
                self.begin(id, port);
            }
            while self.shards[shard].poll_event().is_some() {}
        }
        let mut apps = std::mem::take(&mut self.apps);
        for (&id, app) in &mut apps {
            app.act(now, id, self.of(id), side as u64);
        }
        self.apps = apps;
    }
}

impl App {
    fn act(&mut self, now: Instant, id: ConnId, endpoint: &mut Endpoint, side: u64) {
        let (own, other) = (2 * self.seed + side, 2 * self.seed + 1 - side);
        while self.written < BYTES {
            let left = (BYTES - self.written).min(16 << 10) as usize;
            match endpoint.write(now, id, &mut pattern(own, self.written, left)) {
                Ok(0) | Err(_) => break,
                Ok(n) => self.written += n as u64,
            }
        }
        if self.written == BYTES && !self.shut {
            self.shut = true;
            endpoint.shutdown(now, id);
        }
        while let Ok(Some(chunk)) = endpoint.read(now, id) {
            if chunk.is_empty() {
                assert_eq!(self.read, BYTES);
                self.ended = true;
                break;
            }
            assert_eq!(chunk, pattern(other, self.read, chunk.len()));
            self.read += chunk.len() as u64;
        }
    }
}

impl Hosts {
    fn new(seed: u64, client: u32, server: u32, config: &EndpointConfig) -> Self {
        let mut rng = Rng::seeded(seed);
        let now = Instant::from_millis(1_000);
        let hosts = [client, server].map(|count| Host::new(count, config, &mut rng));
        let mut world = Self { now, rng, hosts, wire: VecDeque::new(), resets: 0 };
        for (n, host) in (1..).zip(&mut world.hosts) {
            for endpoint in &mut host.shards {
                endpoint.add_interface(now, simple_interface(0, addr(0, n)));
                let mut second = simple_interface(1, addr(1, n));
                second.addresses[0].flags.signal = n == 2;
                second.addresses[0].port = (n == 2).then_some(SECOND);
                endpoint.add_interface(now, second);
            }
        }
        world.hosts[1].listen();
        world
    }

    /// One connection from each of the client's shards in turn.
    fn connect(&mut self, connections: usize) {
        for n in 0..connections {
            let client = &mut self.hosts[0];
            let shard = n % client.shards.len();
            let endpoint = &mut client.shards[shard];
            let to = SocketAddr::new(addr(0, 2), PORT);
            let id = endpoint.connect(self.now, to, &ConnectOptions::default()).unwrap();
            let port = endpoint.info(id).unwrap().local.port();
            client.begin(id, port);
        }
    }

    /// A shard has its turn: what was handed over to it comes before what the wire brings.
    fn turn(&mut self, side: usize, shard: usize, came: Option<(IfaceId, Datagram)>) {
        let host = &mut self.hosts[side];
        let endpoint = &mut host.shards[shard];
        while let Some(handover) = host.mail[shard].pop_front() {
            endpoint.handle_handover(self.now, handover);
        }
        if let Some((iface, datagram)) = came {
            endpoint.handle_datagram(self.now, iface, &datagram);
        }
        endpoint.handle_timeout(self.now);
        let mut out = Vec::new();
        for _ in 0..2 {
            while let Some((to, handover)) = endpoint.poll_handover() {
                assert_ne!(to as usize, shard);
                host.handed[usize::from(!handover.is_packet())] += 1;
                host.mail[to as usize].push_back(handover);
            }
            while let Some(transmit) = endpoint.poll_transmit(self.now) {
                out.push(transmit);
            }
        }
        for transmit in out {
            for datagram in manypath_wire::segment(transmit.datagram) {
                let packet = Packet::parse(&datagram).unwrap();
                if let (1, Transport::Tcp(segment)) = (side, &packet.transport) {
                    self.resets += u64::from(segment.flags.has(Flags::RST));
                }
                // Addresses of one link are on the interfaces of one number.
                let dst = packet.ip.dst;
                let iface = IfaceId(u32::from(dst == addr(1, 1) || dst == addr(1, 2)));
                self.wire.push_back((self.now + ms(5), 1 - side, iface, datagram));
            }
        }
    }

    /// Everything that happens at this moment; shards have their turns in any order.
    fn exchange(&mut self) {
        while self.wire.front().is_some_and(|&(at, ..)| at <= self.now) {
            let (_, side, iface, datagram) = self.wire.pop_front().unwrap();
            let shard = self.any_shard(side);
            self.turn(side, shard, Some((iface, datagram)));
        }
        loop {
            for side in 0..2 {
                self.hosts[side].act(self.now, side);
                let first = self.any_shard(side);
                let count = self.hosts[side].shards.len();
                (0..count).for_each(|n| self.turn(side, (first + n) % count, None));
            }
            if self.hosts.iter().all(|h| h.mail.iter().all(VecDeque::is_empty)) {
                return;
            }
        }
    }

    fn any_shard(&mut self, side: usize) -> usize {
        usize::try_from(self.rng.below(self.hosts[side].shards.len() as u64))
            .expect("there are few")
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.exchange();
            if done(self) {
                return true;
            }
            let shards = self.hosts.iter().flat_map(|host| &host.shards);
            let deadlines = shards.filter_map(Endpoint::poll_timeout);
            let next = deadlines.chain(self.wire.front().map(|&(at, ..)| at)).min();
            match next.filter(|&at| at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = end;
                    return false;
                }
            }
        }
    }

    fn run(&mut self, time: Duration) -> bool {
        self.run_until(self.now + time, |w| w.hosts.iter().all(Host::is_complete))
    }

    fn release(&mut self, side: usize) {
        let now = self.now;
        for id in std::mem::take(&mut self.hosts[side].apps).into_keys() {
            self.hosts[side].of(id).release(now, id);
        }
    }

    fn subflows(&mut self, side: usize) -> Vec<usize> {
        let ids: Vec<_> = self.hosts[side].apps.keys().copied().collect();
        let host = &mut self.hosts[side];
        ids.into_iter().map(|id| host.of(id).info(id).unwrap().subflows.len()).collect()
    }

    fn left(&self, side: usize) -> usize {
        self.hosts[side].shards.iter().map(Endpoint::len).sum()
    }
}

/// A transfer each way on 12 connections of several subflows, and all that is left of them afterwards.
fn everything_arrives(seed: u64, client: u32, server: u32, config: &EndpointConfig) -> Hosts {
    let mut world = Hosts::new(seed, client, server, config);
    world.connect(12);
    let what = format!("seed {seed}, {client} and {server} shards");
    world.run_until(world.now + ms(20), |_| false);
    assert!(world.run(Duration::from_secs(60)), "{what}");
    assert_eq!(world.hosts.each_ref().map(|host| host.apps.len()), [12; 2], "{what}");
    let most = world.subflows(1).into_iter().max();
    assert!(most >= Some(2), "{what}: {most:?} subflows");
    assert_eq!(world.resets, 0, "{what}");
    (0..2).for_each(|side| world.release(side));
    world.run_until(world.now + Duration::from_secs(200), |_| false);
    for (side, host) in world.hosts.iter().enumerate() {
        assert_eq!(world.left(side), 0, "{what}");
        for shard in &host.shards {
            assert!(format!("{shard:?}").contains("guests: {}"), "{what}: all have left");
        }
    }
    world
}

#[test]
fn every_byte_arrives_whichever_shard_its_packet_comes_to() {
    let config = EndpointConfig::default();
    for (client, server) in [(2, 1), (1, 2), (2, 2), (3, 2), (8, 3)] {
        for seed in 0..4 {
            let world = everything_arrives(seed, client, server, &config);
            for (host, count) in world.hosts.iter().zip([client, server]) {
                assert_eq!(host.handed[0] > 0, count > 1, "packets came to all shards");
            }
            assert_eq!(world.hosts[1].handed[1] > 0, server > 1, "joins were not at home");
        }
    }
}

#[test]
fn one_shard_hands_nothing_over() {
    let world = everything_arrives(1, 1, 1, &EndpointConfig::default());
    assert_eq!(world.hosts.map(|host| host.handed), [[0; 2]; 2]);
}

/// The key that a cookie remembers leads to the shard that its third segment comes to.
#[test]
fn connections_that_begin_with_cookies_are_joined_too() {
    let config = EndpointConfig { syn_cookies: SynCookies::Always, ..EndpointConfig::default() };
    for (seed, server) in [(1, 2), (2, 3), (3, 8)] {
        let world = everything_arrives(seed, 2, server, &config);
        let accepted = world.hosts[1].shards.iter().map(|e| e.syn_cookies().accepted);
        assert_eq!(accepted.sum::<u64>(), 12);
    }
}

fn stray(flags: Flags, from: u16) -> Datagram {
    let ip = IpHeader {
        src: addr(0, 1),
        dst: addr(0, 2),
        ecn: Ecn::NotEct,
        dscp: 0,
        hop_limit: 64,
        flow_label: 0,
    };
    let segment = Segment {
        src_port: from,
        dst_port: PORT,
        seq: SeqNum(1),
        ack: SeqNum(1),
        flags,
        window: 0,
        urgent: 0,
        options: Options::default(),
        payload: Payload::new(),
    };
    let packet = Packet { ip, transport: segment.into() };
    packet.emit(None, Checksum::Complete)
}

#[test]
fn what_nobody_knows_is_answered_once() {
    let mut world = Hosts::new(1, 1, 3, &EndpointConfig::default());
    for n in 0..30 {
        let came = (world.now, 1, IfaceId(0), stray(Flags::ACK, 2_000 + n));
        world.wire.push_back(came);
    }
    world.run_until(world.now + ms(1), |_| false);
    assert_eq!(world.resets, 30);
}

/// A subflow that was a guest waits at home (RFC 9293 §3.6.1), and its peer's FIN, sent again, is
/// answered wherever it comes.
#[test]
fn guests_wait_at_home() {
    let mut world = Hosts::new(2, 1, 3, &EndpointConfig::default());
    world.connect(12);
    assert!(world.run(Duration::from_secs(60)));
    let subflows: usize = world.subflows(1).into_iter().sum();
    world.release(1);
    world.run_until(world.now + Duration::from_secs(5), |_| false);
    world.release(0);
    world.run_until(world.now + Duration::from_secs(5), |_| false);
    let waiting = [world.left(0), world.left(1)];
    assert!(waiting[0] + waiting[1] >= subflows, "{waiting:?} of {subflows}");
    for shard in &world.hosts[1].shards {
        assert!(format!("{shard:?}").contains("guests: {}"));
    }
}

#[test]
fn a_port_that_is_asked_for_may_be_away_from_home() {
    let config = EndpointConfig::default();
    for port in 50_000..50_008 {
        let mut world = Hosts::new(port.into(), 3, 1, &config);
        let options = ConnectOptions { local_port: Some(port), ..ConnectOptions::default() };
        let to = SocketAddr::new(addr(0, 2), PORT);
        let id = world.hosts[0].shards[0].connect(world.now, to, &options).unwrap();
        world.hosts[0].begin(id, port);
        assert!(world.run(Duration::from_secs(60)), "{port}");
        assert_eq!(world.resets, 0);
    }
}

#[test]
fn a_host_of_many_shards_says_whose_a_connection_is() {
    let count = NonZeroU32::new(3).unwrap();
    let mut shards = Endpoint::shards(&EndpointConfig::default(), Rng::seeded(1), count);
    let expected: Vec<_> = Shard::all(count).collect();
    assert_eq!(shards.iter().map(Endpoint::shard).collect::<Vec<_>>(), expected);
    let now = Instant::from_millis(1_000);
    for (n, endpoint) in (0..).zip(&mut shards) {
        endpoint.add_interface(now, simple_interface(0, addr(0, 1)));
        for _ in 0..5 {
            let to = SocketAddr::new(addr(0, 2), PORT);
            let id = endpoint.connect(now, to, &ConnectOptions::default()).unwrap();
            assert_eq!(endpoint.shard().of_connection(id), n);
            let local = endpoint.info(id).unwrap().local.port();
            assert_eq!(endpoint.shard().of_ports(local, PORT), n, "answers come home");
        }
    }
}
