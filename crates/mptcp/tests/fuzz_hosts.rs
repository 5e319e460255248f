//! Two hosts, a wire that changes, repeats, reflects and swallows packets, calls with names that
//! nobody has, interfaces that come and go, and a clock that jumps, backwards too: no panic, no
//! endless output, no timer that is always due, and in the end nothing is left.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use common::{addr, addr6};
use manypath_base::{IfaceId, Instant, Mss, Payload, Rng, SubflowId};
use manypath_mptcp::{
    AddressFlags, ConnId, ConnectOptions, Endpoint, EndpointConfig, Event, Interface,
    ListenOptions, ListenerId, LocalAddress, PathLimits, SynCookies,
};
use manypath_tcp::{EcnMode, Keepalive, UserTimeoutLimits};
use manypath_wire::{Checksum, Datagram};

/// Packets that may be under way; more are lost.
const ON_THE_WIRE: usize = 200;
/// Half of what the clock can count to, in nanoseconds.
const FAR: u64 = 1 << 62;
static BYTES: [u8; 20_000] = [b'x'; 20_000];

struct Host {
    endpoint: Endpoint,
    conns: Vec<ConnId>,
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
            Host { endpoint, conns: vec![], listeners: vec![listener] }
        });
        Self { reached: Reached::default(), rng, now, latest: now, hosts, wire: vec![] }
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
        let Host { endpoint, conns, .. } = &mut self.hosts[n];
        match rng.below(24) {
            0..2 => {
                let options = ConnectOptions {
                    plain_tcp: rng.chance(1, 4),
                    remotes: if chance(rng) { [somewhere(rng)].into() } else { [].into() },
                    early_data: chance(rng).then(|| Bytes::from_static(&BYTES[..1_000])),
                    local: rng.chance(1, 8).then(|| somewhere(rng).ip()),
                    ..ConnectOptions::default()
                };
                let to = match rng.chance(1, 8) {
                    true => somewhere(rng),
                    false => SocketAddr::new(addr(rng.below(2) as usize, 2 - n as u8), 80),
                };
                conns.extend(endpoint.connect(now, to, &options));
            }
            2..10 => {
                let mut chunk = Bytes::from_static(&BYTES[..rng.below(20_000) as usize]);
                let _not_open = match chance(rng) {
                    true => endpoint.write(now, id, &mut chunk),
                    false => endpoint.write_more(now, id, &mut chunk),
                };
            }
            10..15 => {
                let chunk = endpoint.read(now, id).ok().flatten().unwrap_or_default();
                self.reached.bytes += chunk.len() as u64;
            }
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

    /// Interfaces and listeners come and go.
    fn change_host(&mut self, n: usize) {
        let (rng, now) = (&mut self.rng, self.now);
        let Host { endpoint, listeners, .. } = &mut self.hosts[n];
        match rng.below(4) {
            0 => endpoint.add_interface(now, interface(rng, n)),
            1 => endpoint.remove_interface(now, IfaceId(rng.below(4) as u32)),
            2 => {
                let options = ListenOptions {
                    plain_tcp: rng.chance(1, 4),
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
        let Self { rng, wire, .. } = self;
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

/// Seeds from `FUZZ_FROM` on, as many as `FUZZ_COUNT` says.
#[test]
fn no_host_comes_to_harm() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let (from, count) = (number("FUZZ_FROM", 0), number("FUZZ_COUNT", 1_000));
    let mut all = Reached::default();
    for seed in from..from + count {
        let Ok(reached) = std::panic::catch_unwind(|| run(seed)) else {
            panic!("seed {seed} fails")
        };
        all.established += reached.established;
        all.joined += reached.joined;
        all.fell_back += reached.fell_back;
        all.bytes += reached.bytes;
    }
    println!("{all:?}");
    let enough = all.established > count && all.joined > count / 4 && all.bytes > count * 1_000;
    assert!(enough && all.fell_back > count / 100, "{all:?}");
}
