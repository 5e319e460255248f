//! Two hosts, a wire that changes, repeats, reflects and swallows packets, calls with names that
//! nobody has, interfaces that come and go, and a clock that jumps, backwards too: no panic, no
//! endless output, no timer that is always due, and in the end nothing is left. Where the wire
//! takes away options and leaves payload alone, what is read is what was written.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use common::{addr, addr6, pattern};
use manypath_base::{IfaceId, Instant, Mss, Payload, Rng, SubflowId};
use manypath_mptcp::{
    AddressFlags, ConnId, ConnectOptions, ConnectionMode, Endpoint, EndpointConfig, Event,
    Interface, ListenOptions, ListenerId, LocalAddress, PathLimits, SynCookies,
};
use manypath_tcp::{EcnMode, Keepalive, UserTimeoutLimits};
use manypath_wire::{Checksum, Datagram, Packet, Transport};

/// Packets that may be under way; more are lost.
const ON_THE_WIRE: usize = 200;
/// Half of what the clock can count to, in nanoseconds.
const FAR: u64 = 1 << 62;
/// Of the bytes that everybody writes.
const SEED: u64 = 7;
static BYTES: [u8; 2_000] = [b'x'; 2_000];

struct Host {
    endpoint: Endpoint,
    conns: Vec<ConnId>,
    /// Bytes written to and read from each.
    written: BTreeMap<ConnId, u64>,
    read: BTreeMap<ConnId, u64>,
    listeners: Vec<ListenerId>,
}

/// How far runs come: a fuzz that never gets beyond the SYN finds little.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    established: u64,
    /// Subflows beside first ones.
    joined: u64,
    fell_back: u64,
    bytes: u64,
}

struct Fuzz {
    reached: Reached,
    /// The wire leaves payload alone.
    honest: bool,
    rng: Rng,
    now: Instant,
    /// The latest that the clock has shown.
    latest: Instant,
    hosts: [Host; 2],
    /// Packets under way, with the host that they go to.
    wire: Vec<(usize, u32, Datagram)>,
}

fn chance(rng: &mut Rng) -> bool {
    rng.chance(1, 2)
}

fn mode(rng: &mut Rng) -> ConnectionMode {
    match rng.chance(1, 4) {
        true => ConnectionMode::PlainTcp,
        false => ConnectionMode::Automatic,
    }
}

fn config(rng: &mut Rng) -> EndpointConfig {
    let mut config = EndpointConfig {
        checksum: rng.chance(1, 4),
        deny_join_initial: rng.chance(1, 8),
        fastclose_by_ack: chance(rng),
        limits: PathLimits {
            subflows: rng.below(9) as u32,
            add_addr_accepted: rng.below(9) as u32,
            per_pair: rng.below(3) as u32,
        },
        send_buffer_max: 1 + rng.below(100_000) as u32,
        max_connections: 1 + rng.below(20) as usize,
        max_half_open: rng.below(5) as usize,
        syn_cookies: match rng.below(3) {
            0 => SynCookies::Never,
            1 => SynCookies::WhenFull,
            _ => SynCookies::Always,
        },
        blackhole_time: Duration::from_secs(rng.below(3)),
        ..EndpointConfig::default()
    };
    config.tcp.sack = chance(rng);
    config.tcp.timestamps = chance(rng);
    config.tcp.window_scale = chance(rng);
    config.tcp.ecn = if chance(rng) { EcnMode::Ask } else { EcnMode::Accept };
    config.tcp.nagle = chance(rng);
    config.tcp.pacing = chance(rng);
    config.tcp.recv_buffer = 1 + rng.below(50_000) as u32;
    config.tcp.recv_buffer_max = config.tcp.recv_buffer + rng.below(50_000) as u32;
    config.tcp.user_timeout_option = chance(rng).then(UserTimeoutLimits::default);
    config.tcp.keepalive = chance(rng).then(|| Keepalive {
        idle: Duration::from_millis(1 + rng.below(10_000)),
        interval: Duration::from_millis(1 + rng.below(1_000)),
        count: rng.below(4) as u8,
    });
    config
}

/// An interface as it should be, or nearly.
fn interface(rng: &mut Rng, host: usize) -> Interface {
    let id = rng.below(4) as u32;
    let number = host as u8 + 1;
    let flags = AddressFlags {
        subflow: chance(rng),
        signal: chance(rng),
        backup: rng.chance(1, 4),
        fullmesh: chance(rng),
    };
    let port = rng.chance(1, 4).then(|| rng.below(3) as u16 + 79);
    let own = if id == 3 { addr6(3, number) } else { addr(id as usize, number) };
    let mut all = vec![own];
    match rng.below(8) {
        0 => all.push(addr6(id as usize, number)),
        1 => all.push(addr(0, number)),
        2 => all.push(IpAddr::from([0, 0, 0, 0])),
        3 => all.clear(),
        _ => {}
    }
    let mtu = match rng.below(8) {
        0 => rng.below(200) as u16,
        1 => 65_535,
        _ => 1_500,
    };
    let addresses = all.into_iter().map(|addr| LocalAddress { addr, flags, port }).collect();
    Interface { id: IfaceId(id), mtu, addresses }
}

fn somewhere(rng: &mut Rng) -> SocketAddr {
    let (link, host) = (rng.below(3) as usize, 1 + rng.below(3) as u8);
    let ip = if rng.chance(1, 4) { addr6(3, host) } else { addr(link, host) };
    SocketAddr::new(ip, 80 + rng.below(2) as u16)
}

impl Fuzz {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let now = Instant::from_nanos(rng.below(10_000_000_000));
        let hosts = [0, 1].map(|n| {
            let mut endpoint = Endpoint::new(config(&mut rng), rng.fork());
            for link in 0..2 {
                let simple = common::simple_interface(link, addr(link as usize, n + 1));
                endpoint.add_interface(now, simple);
            }
            let any = SocketAddr::from(([0, 0, 0, 0], 80));
            let listener = endpoint.listen(any, ListenOptions::default()).unwrap();
            Host {
                endpoint,
                conns: vec![],
                written: BTreeMap::new(),
                read: BTreeMap::new(),
                listeners: vec![listener],
            }
        });
        Self {
            reached: Reached::default(),
            honest: seed.is_multiple_of(2),
            rng,
            now,
            latest: now,
            hosts,
            wire: vec![],
        }
    }

    fn step(&mut self) {
        let n = self.rng.below(2) as usize;
        match self.rng.below(100) {
            0..10 => self.tick(),
            10..30 => self.call(n),
            30 => self.change_host(n),
            _ => self.carry(),
        }
        self.settle(0);
        self.settle(1);
    }

    /// The clock shows another time.
    fn tick(&mut self) {
        let magnitude = 10_u64.pow(self.rng.below(11) as u32);
        let by = Duration::from_nanos(self.rng.below(magnitude));
        match self.rng.below(200) {
            0 => self.now = self.now - by,
            1 if self.rng.chance(1, 4) => self.now = Instant::from_nanos(self.rng.below(FAR)),
            2 => self.now += by * 1_000,
            3..100 => {
                let due = self.hosts.iter().filter_map(|h| h.endpoint.poll_timeout()).min();
                self.now = due.map_or(self.now, |at| at.max(self.now));
            }
            _ => self.now = Instant::from_nanos((self.now + by).as_nanos().min(FAR)),
        }
        self.latest = self.latest.max(self.now);
        for host in &mut self.hosts {
            host.endpoint.handle_timeout(self.now);
        }
    }

    fn some_conn(&mut self, n: usize) -> ConnId {
        let conns = &self.hosts[n].conns;
        match self.rng.below(conns.len() as u64 + 1) as usize {
            i if i < conns.len() => conns[i],
            _ => ConnId(self.rng.below(20)),
        }
    }

    fn call(&mut self, n: usize) {
        let id = self.some_conn(n);
        let (rng, now) = (&mut self.rng, self.now);
        let endpoint = &mut self.hosts[n].endpoint;
        match rng.below(24) {
            0..2 => self.connect(n),
            2..10 => self.write(n, id),
            10..15 => self.read(n, id),
            15 if rng.chance(1, 4) => endpoint.shutdown(now, id),
            16 if rng.chance(1, 20) => endpoint.abort(now, id),
            17 if rng.chance(1, 20) => endpoint.release(now, id),
            18 => {
                let _gone =
                    endpoint.set_backup(now, id, SubflowId(rng.below(4) as u32), chance(rng));
            }
            19 => {
                let _gone = endpoint.set_cork(now, id, chance(rng));
            }
            20 => {
                let _gone = endpoint.set_nodelay(now, id, chance(rng));
            }
            21 => {
                let timeout = Duration::from_millis(rng.below(100_000));
                let _gone = endpoint.set_user_timeout(now, id, timeout);
            }
            22 => {
                let _gone = endpoint.set_keepalive(now, id, None);
            }
            _ => drop(endpoint.info(id)),
        }
    }

    fn connect(&mut self, n: usize) {
        let rng = &mut self.rng;
        let early = if chance(rng) { 1_000 } else { 0 };
        let options = ConnectOptions {
            mode: mode(rng),
            remotes: if chance(rng) { [somewhere(rng)].into() } else { [].into() },
            early_data: (early > 0).then(|| pattern(SEED, 0, early)),
            local: rng.chance(1, 8).then(|| somewhere(rng).ip()),
            ..ConnectOptions::default()
        };
        let to = match rng.chance(1, 8) {
            true => somewhere(rng),
            false => SocketAddr::new(addr(rng.below(2) as usize, 2 - n as u8), 80),
        };
        let Host { endpoint, conns, written, .. } = &mut self.hosts[n];
        if let Ok(id) = endpoint.connect(self.now, to, &options) {
            conns.push(id);
            written.insert(id, early as u64);
        }
    }

    fn write(&mut self, n: usize, id: ConnId) {
        let Host { endpoint, written, .. } = &mut self.hosts[n];
        let at = written.entry(id).or_default();
        let mut chunk = pattern(SEED, *at, self.rng.below(20_000) as usize);
        let wrote = match chance(&mut self.rng) {
            true => endpoint.write(self.now, id, &mut chunk),
            false => endpoint.write_more(self.now, id, &mut chunk),
        };
        *at += wrote.unwrap_or(0) as u64;
    }

    fn read(&mut self, n: usize, id: ConnId) {
        let Host { endpoint, read, .. } = &mut self.hosts[n];
        let Ok(Some(chunk)) = endpoint.read(self.now, id) else { return };
        let at = read.entry(id).or_default();
        let right = !self.honest || chunk == pattern(SEED, *at, chunk.len());
        assert!(right, "{id:?} of host {n} reads something else from byte {at} on");
        *at += chunk.len() as u64;
        self.reached.bytes += chunk.len() as u64;
    }

    /// Interfaces and listeners come and go.
    fn change_host(&mut self, n: usize) {
        let (rng, now) = (&mut self.rng, self.now);
        let Host { endpoint, listeners, .. } = &mut self.hosts[n];
        match rng.below(4) {
            0 => endpoint.add_interface(now, interface(rng, n)),
            1 => endpoint.remove_interface(now, IfaceId(rng.below(4) as u32)),
            2 => {
                let options = ListenOptions {
                    mode: mode(rng),
                    backlog: rng.below(5) as usize,
                    fast_open: rng.below(3) as usize,
                    transparent: chance(rng),
                };
                listeners.extend(endpoint.listen(somewhere(rng), options));
            }
            _ => endpoint.close_listener(now, ListenerId(rng.below(4) as u32)),
        }
    }

    /// A packet arrives, as it was sent or not.
    fn carry(&mut self) {
        let Self { rng, wire, honest, .. } = self;
        if wire.is_empty() {
            return;
        }
        // Mostly in order.
        let i = if rng.chance(1, 8) { rng.below(wire.len() as u64) as usize } else { 0 };
        let (mut to, mut iface, mut datagram) = match rng.below(20) {
            0 => wire[i].clone(),
            _ => wire.remove(i),
        };
        match rng.below(60) {
            0 => to = 1 - to,
            1 => iface = rng.below(5) as u32,
            2..8 if *honest => datagram = stripped(rng, &datagram),
            2..8 => datagram = mutated(rng, &datagram),
            8 => return,
            _ => {}
        }
        self.hosts[to].endpoint.handle_datagram(self.now, IfaceId(iface), &datagram);
    }

    /// Takes out everything, and sees that no timer is due for ever.
    fn settle(&mut self, n: usize) {
        for round in 0.. {
            self.drain(n);
            let endpoint = &mut self.hosts[n].endpoint;
            if endpoint.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            assert!(round < 100, "a timer is always due");
            endpoint.handle_timeout(self.now);
        }
    }

    fn drain(&mut self, n: usize) {
        let Host { endpoint, conns, .. } = &mut self.hosts[n];
        let mut sent = 0;
        while let Some(transmit) = endpoint.poll_transmit(self.now) {
            sent += 1;
            assert!(sent < 5_000, "it never stops");
            if self.wire.len() < ON_THE_WIRE {
                self.wire.push((1 - n, transmit.iface.0, transmit.datagram));
            }
        }
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::Incoming(listener) => conns.extend(endpoint.accept(listener)),
                Event::Established(_) => self.reached.established += 1,
                Event::FellBack(..) => self.reached.fell_back += 1,
                Event::PathUp { subflow, .. } if subflow.0 > 0 => self.reached.joined += 1,
                _ => {}
            }
        }
        assert!(endpoint.len() <= 20, "{} connections", endpoint.len());
    }

    /// Everybody lets go, and time passes.
    fn end(mut self) -> Reached {
        self.now = self.latest;
        for n in 0..2 {
            for id in std::mem::take(&mut self.hosts[n].conns) {
                self.hosts[n].endpoint.release(self.now, id);
            }
            for id in std::mem::take(&mut self.hosts[n].listeners) {
                self.hosts[n].endpoint.close_listener(self.now, id);
            }
            self.settle(n);
            for _ in 0..20_000 {
                let Some(at) = self.hosts[n].endpoint.poll_timeout() else { break };
                self.now = self.now.max(at);
                self.settle(n);
            }
            assert!(self.hosts[n].endpoint.is_empty(), "host {n} keeps something");
        }
        self.reached
    }
}

/// A packet without some of its options.
fn stripped(rng: &mut Rng, datagram: &Datagram) -> Datagram {
    let Ok(mut packet) = Packet::parse(datagram) else { return datagram.clone() };
    if let Transport::Tcp(segment) = &mut packet.transport {
        let all = rng.chance(3, 4);
        let mptcp = &mut segment.options.mptcp;
        mptcp.dss = mptcp.dss.take().filter(|_| !all && chance(rng));
        mptcp.capable = mptcp.capable.take().filter(|_| !all && chance(rng));
        mptcp.join = mptcp.join.take().filter(|_| !all && chance(rng));
        mptcp.fail = mptcp.fail.take().filter(|_| !all);
        segment.options.sack.retain(|_| chance(rng));
        segment.options.fast_open = segment.options.fast_open.take().filter(|_| chance(rng));
    }
    packet.emit(datagram.gso_mss, Checksum::Offloaded)
}

/// A packet with some bytes changed, cut, or longer; or nothing like a packet.
fn mutated(rng: &mut Rng, datagram: &Datagram) -> Datagram {
    let mut bytes = datagram.header.to_vec();
    bytes.extend(datagram.payload.to_vec());
    let gso_mss = match rng.below(6) {
        0 => Some(Mss(rng.below(3) as u16)),
        _ => datagram.gso_mss,
    };
    for _ in 0..=rng.below(4) {
        // Mostly in the headers.
        let reach = if rng.chance(1, 8) { bytes.len() } else { bytes.len().min(100) };
        let at = rng.below(reach as u64) as usize;
        match rng.below(3) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.u32() as u8,
            _ => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5) as usize],
        }
    }
    match rng.below(8) {
        0 => bytes.truncate(rng.below(bytes.len() as u64) as usize),
        1 => bytes.extend_from_slice(&BYTES[..rng.below(2_000) as usize]),
        2 if rng.chance(1, 8) => bytes = rng.bytes::<60>().to_vec(),
        _ => {}
    }
    let checksum = if rng.chance(1, 8) { Checksum::Complete } else { Checksum::Offloaded };
    let payload = Payload::from(Bytes::from(bytes));
    Datagram { header: Default::default(), payload, gso_mss, checksum }
}

fn run(seed: u64) -> Reached {
    let mut fuzz = Fuzz::new(seed);
    for _ in 0..1_000 {
        fuzz.step();
    }
    fuzz.end()
}

#[test]
fn no_host_comes_to_harm() {
    let seeds = common::seeds(1_000);
    let count = seeds.end - seeds.start;
    let mut all = Reached::default();
    for seed in seeds {
        let Ok(reached) = std::panic::catch_unwind(|| run(seed)) else {
            panic!("seed {seed} fails")
        };
        all.established += reached.established;
        all.joined += reached.joined;
        all.fell_back += reached.fell_back;
        all.bytes += reached.bytes;
    }
    println!("{all:?}");
    if count < 100 {
        return;
    }
    let enough = all.established > count && all.joined > count / 4 && all.bytes > count * 1_000;
    assert!(enough && all.fell_back > count / 100, "{all:?}");
}
