//! Two hosts that hand each other packets as bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use manypath_base::{IfaceId, Instant, Rng};
use manypath_mptcp::{
    AddressFlags, ConnId, Endpoint, EndpointConfig, Event, Interface, ListenOptions, ListenerId,
    LocalAddress,
};

const PORT: u16 = 80;
const HALF_TRIP: Duration = Duration::from_micros(50);
const BLOCK: usize = 64 << 10;

struct Pair {
    now: Instant,
    hosts: [Endpoint; 2],
    listener: ListenerId,
    subflows: usize,
}

fn addr(net: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, net, host).into()
}

/// A host with an address on each of so many networks.
fn host(number: u8, nets: u8) -> Endpoint {
    let mut config = EndpointConfig::default();
    config.tcp.nagle = false;
    let mut host = Endpoint::new(config, Rng::seeded(number.into()));
    for net in 0..nets {
        let address =
            LocalAddress { addr: addr(net, number), flags: AddressFlags::default(), port: None };
        let interface = Interface { id: IfaceId(net.into()), mtu: 1_500, addresses: vec![address] };
        host.add_interface(Instant::from_millis(1_000), interface);
    }
    host
}

impl Pair {
    fn new(subflows: u8) -> Self {
        let mut hosts = [host(1, subflows), host(2, 2)];
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT);
        let listener = hosts[1].listen(any, ListenOptions::default()).expect("the port is free");
        let now = Instant::from_millis(1_000);
        Self { now, hosts, listener, subflows: subflows.into() }
    }

    /// Both send in turns until neither does.
    fn run(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            idle += 1;
            for side in [0, 1] {
                self.now += HALF_TRIP;
                let now = self.now;
                self.hosts[side].handle_timeout(now);
                while let Some(sent) = self.hosts[side].poll_transmit(now) {
                    self.hosts[1 - side].handle_datagram(now, sent.iface, &sent.datagram);
                    idle = 0;
                }
                while let Some(event) = self.hosts[side].poll_event() {
                    assert!(!matches!(event, Event::Closed(_, Some(_))), "{event:?}");
                }
            }
        }
    }

    /// A connection with all of its subflows, at either end. That it has them the peer learns with the
    /// first byte.
    fn connect(&mut self) -> [ConnId; 2] {
        let to = SocketAddr::new(addr(0, 2), PORT);
        let here = self.hosts[0].connect(self.now, to, &Default::default()).expect("begins");
        self.run();
        self.write(0, here, 1);
        self.run();
        let there = self.hosts[1].accept(self.listener).expect("it was opened");
        assert_eq!(self.read(1, there), 1);
        self.run();
        let up = self.hosts[0].info(here).expect("it lives").subflows.len();
        assert_eq!(up, self.subflows);
        [here, there]
    }

    fn write(&mut self, side: usize, id: ConnId, bytes: usize) {
        let mut chunk = Bytes::from_static(&[7; BLOCK]).slice(..bytes);
        self.hosts[side].write(self.now, id, &mut chunk).expect("it is open");
        assert!(chunk.is_empty(), "there is room");
    }

    fn read(&mut self, side: usize, id: ConnId) -> usize {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = self.hosts[side].read(self.now, id) {
            bytes += chunk.len();
        }
        bytes
    }

    fn answer(&mut self, [here, there]: [ConnId; 2]) {
        self.write(1, there, 1);
        self.run();
        assert_eq!(self.read(0, here), 1);
    }

    /// Until so many bytes have come to the other end, of what the first has sent.
    fn receive(&mut self, id: ConnId, bytes: usize) {
        let mut got = 0;
        while got < bytes {
            self.run();
            got += self.read(1, id);
        }
        assert_eq!(got, bytes);
    }
}

/// Blocks from one end to the other, each read before the next is written.
pub(crate) fn bulk(subflows: u8, times: u32) {
    let mut pair = Pair::new(subflows);
    let [here, there] = pair.connect();
    for _ in 0..times {
        pair.write(0, here, BLOCK);
        pair.receive(there, BLOCK);
    }
}

/// Requests and answers.
pub(crate) fn ask(subflows: u8, times: u32) {
    let mut pair = Pair::new(subflows);
    let conn = pair.connect();
    for _ in 0..times {
        pair.write(0, conn[0], 1);
        pair.receive(conn[1], 1);
        pair.answer(conn);
    }
}

/// Connections that ask once.
pub(crate) fn knock(subflows: u8, times: u32) {
    let mut pair = Pair::new(subflows);
    for _ in 0..times {
        let conn = pair.connect();
        pair.answer(conn);
        for (host, id) in [0, 1].into_iter().zip(conn) {
            pair.hosts[host].release(pair.now, id);
            pair.run();
        }
    }
}
