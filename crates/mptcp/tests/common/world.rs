//! Two hosts in virtual time, joined by links that lose, delay, reorder, and can be cut.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use manypath_base::{IfaceId, Instant, Rng};
use manypath_link::{Link, LinkConfig};
use manypath_mptcp::{ConnectOptions, Endpoint, EndpointConfig, ListenOptions, ListenerId};
use manypath_wire::{Datagram, Packet, segment};

use super::{Host, PORT, Stream, addr, addr6, simple_interface};

/// What a middlebox does to a packet of the client (0) or the server (1); false drops it.
type Middlebox = Box<dyn FnMut(usize, &mut Packet) -> bool>;

/// Two hosts and the links between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) client: Host,
    pub(crate) server: Host,
    pub(crate) listener: ListenerId,
    pub(crate) links: Vec<[Link<Datagram>; 2]>,
    /// Changes a packet on its way, or drops it.
    pub(crate) middlebox: Option<Middlebox>,
    pub(crate) packets: u64,
    /// Where the client connects to.
    pub(crate) to: IpAddr,
    /// The server's interfaces share an address: what it sends takes the link of the interface.
    pub(crate) server_shares: bool,
}

/// The link of an address, counted from 0.
fn link_of(addr: IpAddr) -> usize {
    match addr {
        IpAddr::V4(v4) => usize::from(v4.octets()[2]) - 1,
        IpAddr::V6(v6) => usize::from(v6.segments()[3]) - 1,
    }
}

impl World {
    /// Links whose addresses are IPv6 where `six` says so.
    pub(crate) fn mixed(seed: u64, links: &[LinkConfig], six: &[bool]) -> Self {
        let config = EndpointConfig::default();
        let mut world = Self::with(seed, links, &config, &config);
        let now = world.now;
        for (link, _) in six.iter().enumerate().filter(|(_, six)| **six) {
            for (host, n) in [(&mut world.client, 1), (&mut world.server, 2)] {
                let interface = simple_interface(link as u32, addr6(link, n));
                host.endpoint.add_interface(now, interface);
            }
        }
        if six[0] {
            world.to = addr6(0, 2);
        }
        world
    }

    pub(crate) fn new(seed: u64, links: &[LinkConfig]) -> Self {
        Self::with(seed, links, &EndpointConfig::default(), &EndpointConfig::default())
    }

    pub(crate) fn with(
        seed: u64,
        links: &[LinkConfig],
        client: &EndpointConfig,
        server: &EndpointConfig,
    ) -> Self {
        let mut rng = Rng::seeded(seed);
        let now = Instant::from_millis(1_000);
        let host = |config: &EndpointConfig, number: u8, rng: &mut Rng, count: usize| {
            let mut endpoint = Endpoint::new(config.clone(), rng.fork());
            for link in 0..count {
                endpoint.add_interface(now, simple_interface(link as u32, addr(link, number)));
            }
            Host {
                endpoint,
                conn: None,
                out: Stream::default(),
                into: Stream::default(),
                events: vec![],
                closed: false,
                accepted: vec![],
                reads: true,
                blocked: false,
            }
        };
        let client = host(client, 1, &mut rng, links.len());
        let mut server = host(server, 2, &mut rng, links.len());
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
        let listener = server.endpoint.listen(any, ListenOptions::default()).unwrap();
        let links =
            links.iter().map(|c| [(); 2].map(|()| Link::new(c.clone(), rng.fork()))).collect();
        Self {
            now,
            client,
            server,
            listener,
            links,
            middlebox: None,
            packets: 0,
            to: addr(0, 2),
            server_shares: false,
        }
    }

    /// Connects and plans a transfer of so many bytes each way.
    pub(crate) fn start(&mut self, up: u64, down: u64) {
        self.start_with(up, down, &ConnectOptions::default());
    }

    pub(crate) fn start_with(&mut self, up: u64, down: u64, options: &ConnectOptions) {
        let to = SocketAddr::new(self.to, PORT);
        let conn = self.client.endpoint.connect(self.now, to, options).unwrap();
        self.client.conn = Some(conn);
        for (seed, total, from, to) in [
            (1, up, &mut self.client.out, &mut self.server.into),
            (2, down, &mut self.server.out, &mut self.client.into),
        ] {
            *from = Stream { seed, total, ..Stream::default() };
            *to = Stream { seed, total, ..Stream::default() };
        }
    }

    /// Connects, with nothing to send yet and both halves open.
    pub(crate) fn open(&mut self, options: &ConnectOptions) {
        self.start_with(0, 0, options);
        let Self { client, server, .. } = self;
        for stream in [&mut client.out, &mut client.into, &mut server.out, &mut server.into] {
            stream.open = true;
        }
    }

    /// The client (0) or the server (1).
    pub(crate) fn host(&mut self, side: usize) -> &mut Host {
        if side == 0 { &mut self.client } else { &mut self.server }
    }

    /// Plans to write more, unless that side was closed.
    pub(crate) fn write(&mut self, side: usize, bytes: u64) {
        if self.host(side).out.open {
            self.host(side).out.total += bytes;
            self.host(1 - side).into.total += bytes;
        }
    }

    /// Plans to close one half, once everything is written.
    pub(crate) fn close(&mut self, side: usize) {
        self.host(side).out.open = false;
        self.host(1 - side).into.open = false;
    }

    /// Both applications let go.
    pub(crate) fn release(&mut self) {
        let now = self.now;
        for host in [&mut self.client, &mut self.server] {
            host.reads = false;
            if let Some(conn) = host.conn.take() {
                host.endpoint.release(now, conn);
            }
        }
    }

    /// Where both sides stand.
    pub(crate) fn describe(&self) -> String {
        let host = |h: &Host| {
            format!(
                "out {:?} into {:?} {:?}\n{:?}\n",
                (h.out.written, h.out.total, h.out.shut),
                (h.into.read, h.into.total, h.into.finished),
                h.events,
                h.conn.and_then(|c| h.endpoint.info(c)),
            )
        };
        format!("client {}server {}", host(&self.client), host(&self.server))
    }

    pub(crate) fn cut(&mut self, link: usize) {
        self.links[link].iter_mut().for_each(Link::cut);
    }

    pub(crate) fn restore(&mut self, link: usize) {
        self.links[link].iter_mut().for_each(Link::restore);
    }

    /// Runs until both transfers are complete, or `limit` has passed. True if complete.
    pub(crate) fn run(&mut self, limit: Duration) -> bool {
        let end = self.now + limit;
        self.run_until(end, |w| w.client.into.finished && w.server.into.finished)
    }

    /// Runs for a time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
    }

    pub(crate) fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.exchange();
            if done(self) {
                return true;
            }
            let links = self.links.iter().flatten().filter_map(Link::next_event);
            let hosts = [self.client.endpoint.poll_timeout(), self.server.endpoint.poll_timeout()];
            let next = links.chain(hosts.into_iter().flatten()).min();
            match next.filter(|&at| at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = end;
                    return false;
                }
            }
        }
    }

    /// Everything that happens at this moment.
    fn exchange(&mut self) {
        loop {
            let mut moved = false;
            for k in 0..self.links.len() {
                for direction in 0..2 {
                    while let Some(datagram) = self.links[k][direction].pop(self.now) {
                        moved = true;
                        let host = if direction == 0 { &mut self.server } else { &mut self.client };
                        host.endpoint.handle_datagram(self.now, IfaceId(k as u32), &datagram);
                    }
                }
            }
            self.client.endpoint.handle_timeout(self.now);
            self.server.endpoint.handle_timeout(self.now);
            moved |= self.client.act(self.now, None);
            moved |= self.server.act(self.now, Some(self.listener));
            moved |= self.transmit(0);
            moved |= self.transmit(1);
            if !moved {
                return;
            }
        }
    }

    fn transmit(&mut self, direction: usize) -> bool {
        let mut any = false;
        loop {
            let host = if direction == 0 { &mut self.client } else { &mut self.server };
            let Some(out) = host.endpoint.poll_transmit(self.now) else { return any };
            any = true;
            for datagram in segment(out.datagram) {
                self.packets += 1;
                let mut packet = Packet::parse(&datagram).expect("what we send is well-formed");
                assert!(datagram.len() <= 1500, "{packet}");
                // The client's interface, or its address, decides.
                let link = match direction {
                    0 => out.iface.0 as usize,
                    _ if self.server_shares => out.iface.0 as usize,
                    _ => link_of(packet.ip.dst),
                };
                if std::env::var_os("TRACE").is_some() {
                    eprintln!("{:>10.3} link {link} {packet}", self.now.as_nanos() as f64 / 1e6);
                }
                let datagram = match self.middlebox.as_mut() {
                    Some(change) => {
                        if !change(direction, &mut packet) {
                            continue;
                        }
                        packet.emit(None, manypath_wire::Checksum::Offloaded)
                    }
                    None => datagram,
                };
                let _dropped_or_queued =
                    self.links[link][direction].push(self.now, datagram.len(), datagram);
            }
        }
    }
}
