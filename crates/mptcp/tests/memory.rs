//! What a connection keeps of the heap while it does nothing, and in TIME-WAIT. An allocator that counts is of the
//! whole process, so that this file has one test.

mod common;

use std::alloc::System;
use std::net::SocketAddr;

use bytes::Bytes;
use common::{PORT, addr, ms, simple_interface};
use manypath_base::{Instant, Rng};
use manypath_mptcp::{ConnId, Endpoint, EndpointConfig, Event, ListenOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections of a measurement; their tables are as full as they are with 100,000.
const CONNECTIONS: u32 = 200;
/// Bytes that each may take, by its number of subflows.
const MOST: [(usize, usize); 2] = [(1, 2_900), (2, 4_600)];
/// Bytes that each subflow in TIME-WAIT may take, with tables that had place for connections.
const MOST_WAITING: usize = 450;

fn in_use() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Two hosts, joined by as many wires as a connection is to have subflows.
struct Pair {
    now: Instant,
    hosts: [Endpoint; 2],
    conns: Vec<ConnId>,
    accepted: Vec<ConnId>,
}

impl Pair {
    fn new(wires: usize) -> Self {
        let now = Instant::from_millis(1_000);
        let config = EndpointConfig { max_half_open: 4_096, ..EndpointConfig::default() };
        let host = |number: u8, count: usize| {
            let mut endpoint = Endpoint::new(config.clone(), Rng::seeded(number.into()));
            for wire in 0..count {
                let interface = simple_interface(u32::try_from(wire).unwrap(), addr(wire, number));
                endpoint.add_interface(now, interface);
            }
            endpoint
        };
        Self { now, hosts: [host(1, wires), host(2, 2)], conns: vec![], accepted: vec![] }
    }

    /// Opens the connections, and sends a byte each way on every one.
    fn talk(&mut self) {
        let any = SocketAddr::new([0, 0, 0, 0].into(), PORT);
        let options = ListenOptions { backlog: 4_096, ..ListenOptions::default() };
        let listener = self.hosts[1].listen(any, options).unwrap();
        let to = SocketAddr::new(addr(0, 2), PORT);
        for _ in 0..CONNECTIONS {
            let id = self.hosts[0].connect(self.now, to, &Default::default()).unwrap();
            self.run(3);
            let mut byte = Bytes::from_static(b"?");
            self.hosts[0].write(self.now, id, &mut byte).unwrap();
            self.run(3);
            let server = &mut self.hosts[1];
            let there = server.accept(listener).unwrap();
            assert_eq!(server.read(self.now, there), Ok(Some(Bytes::from_static(b"?"))));
            let mut byte = Bytes::from_static(b"!");
            server.write(self.now, there, &mut byte).unwrap();
            self.run(3);
            assert_eq!(self.hosts[0].read(self.now, id), Ok(Some(Bytes::from_static(b"!"))));
            self.conns.push(id);
            self.accepted.push(there);
        }
    }

    /// The first host closes and lets go of all, then the second.
    fn close(&mut self) {
        for (host, conns) in self.hosts.iter_mut().zip([&self.conns, &self.accepted]) {
            conns.iter().for_each(|&id| host.release(self.now, id));
        }
        self.run(1_000);
    }

    /// Milliseconds pass; every packet takes one.
    fn run(&mut self, millis: u32) {
        for _ in 0..millis {
            self.now += ms(1);
            let out = self.hosts.each_mut().map(|host| {
                host.handle_timeout(self.now);
                while let Some(event) = host.poll_event() {
                    assert!(!matches!(event, Event::Closed(..)), "{event:?}");
                }
                std::iter::from_fn(|| host.poll_transmit(self.now)).collect::<Vec<_>>()
            });
            for (from, packets) in out.into_iter().enumerate() {
                for packet in packets {
                    self.hosts[1 - from].handle_datagram(self.now, packet.iface, &packet.datagram);
                }
            }
        }
    }
}

#[test]
fn a_connection_keeps_little() {
    idle();
    waiting();
}

fn idle() {
    for (subflows, most) in MOST {
        let mut pair = Pair::new(subflows);
        pair.talk();
        pair.run(5_000);
        for id in &pair.conns {
            assert_eq!(pair.hosts[0].info(*id).unwrap().subflows.len(), subflows);
        }
        for (side, host) in pair.hosts.into_iter().enumerate() {
            let before = in_use();
            drop(host);
            let each = (before - in_use()) / CONNECTIONS as usize;
            assert!(each <= most, "{subflows} subflows, side {side}: {each} bytes");
        }
    }
}

fn waiting() {
    for (subflows, _) in MOST {
        let mut pair = Pair::new(subflows);
        pair.talk();
        pair.close();
        let [host, _] = pair.hosts;
        assert_eq!(host.len(), subflows * CONNECTIONS as usize);
        let (before, waits) = (in_use(), host.len());
        drop(host);
        let each = (before - in_use()) / waits;
        assert!(each <= MOST_WAITING, "{subflows} subflows: {each} bytes");
    }
}
