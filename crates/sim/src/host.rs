//! A host of the simulation: an endpoint, its interfaces, and its timer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use manypath_base::{IfaceId, Instant, Rng, usize64};
use manypath_mptcp::{
    AddressFlags, ConnId, Endpoint, Interface, ListenOptions, ListenerId, LocalAddress,
};
use smallvec::SmallVec;

use crate::frame::Port;
use crate::graph::{HostConfig, Way};

/// The port that every host listens on.
const LISTENING: u16 = 80;

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) listener: ListenerId,
    /// Where it listens, as seen from others.
    pub(crate) listening_at: SocketAddr,
    /// By interface.
    pub(crate) ways: Vec<Way>,
    /// By number of the connection.
    sessions: Vec<Option<u32>>,
    /// Timer events that are on their way.
    pending: SmallVec<[Instant; 4]>,
}

/// The address of a port.
fn addr(port: Port, ipv6: bool) -> IpAddr {
    if ipv6 { port.addr6().into() } else { Ipv4Addr::from(port.addr()).into() }
}

impl Host {
    pub(crate) fn new(
        now: Instant,
        number: u32,
        config: &HostConfig,
        ways: Vec<Way>,
        rng: Rng,
    ) -> Self {
        let mut endpoint = Endpoint::new(config.endpoint.clone(), rng);
        for (iface, &way) in (0u8..).zip(&ways) {
            let flags = AddressFlags {
                subflow: true,
                signal: config.announces,
                backup: config.backups.contains(&(way / 2)),
                fullmesh: false,
            };
            // One address for all of them is what one-ended multipath needs.
            let port = Port::new(number, if config.one_address { 0 } else { iface });
            let addresses = vec![LocalAddress { addr: addr(port, config.ipv6), flags, port: None }];
            let interface = Interface { id: IfaceId(iface.into()), mtu: 1_500, addresses };
            endpoint.add_interface(now, interface);
        }
        let any: IpAddr = match config.ipv6 {
            true => Ipv6Addr::UNSPECIFIED.into(),
            false => Ipv4Addr::UNSPECIFIED.into(),
        };
        let listener = endpoint.listen(SocketAddr::new(any, LISTENING), ListenOptions::default());
        let listener = listener.expect("nothing listens on a new endpoint");
        let pending = SmallVec::new();
        let listening_at = SocketAddr::new(addr(Port::new(number, 0), config.ipv6), LISTENING);
        Self { endpoint, listener, listening_at, ways, sessions: Vec::new(), pending }
    }

    /// The interface that a way ends at: that whose way out is this way's other direction.
    pub(crate) fn iface(&self, way: Way) -> Option<IfaceId> {
        let iface = self.ways.iter().position(|&out| out ^ 1 == way)?;
        u32::try_from(iface).ok().map(IfaceId)
    }

    pub(crate) fn session(&self, conn: ConnId) -> Option<u32> {
        self.sessions.get(usize64(conn.0)).copied().flatten()
    }

    pub(crate) fn set_session(&mut self, conn: ConnId, session: u32) {
        let i = usize64(conn.0);
        if self.sessions.len() <= i {
            self.sessions.resize(i + 1, None);
        }
        self.sessions[i] = Some(session);
    }

    /// The timer event to be planned, if none that comes early enough is on its way.
    pub(crate) fn arm(&mut self, now: Instant) -> Option<Instant> {
        let at = self.endpoint.poll_timeout()?.max(now);
        if self.pending.iter().any(|&pending| pending <= at) {
            return None;
        }
        self.pending.push(at);
        Some(at)
    }

    /// A timer event has come; whether the endpoint is to be told.
    pub(crate) fn on_timer(&mut self, now: Instant) -> bool {
        self.pending.retain(|pending| *pending > now);
        self.endpoint.poll_timeout().is_some_and(|at| at <= now)
    }
}
