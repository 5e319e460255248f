//! Where the two ends of a measurement are.
//!
//! **Owns** the choice of addresses, by stack and by link. **Invariant**: the kernel's MPTCP, when it
//! is at both ends, always speaks over veth, or over the same emulated links as manypath. **Leaves
//! out** making hosts (`manypath_lab`) and what emulated links do (`network`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use manypath_lab::{Host, LabError, Namespace, Packets, Topology, Veths};

use super::end::{Side, Stack, TunSpec};
use super::network::Network;
use crate::failure::Failure;

const PORT: u16 = 5201;

/// What is between manypath and the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Link {
    /// Its TUN, which is in the other end's host, as one end of a veth pair is in each host
    Tun,
    /// Its TUN, then a host that forwards to a veth pair
    Veth,
    /// Packet sockets on the very veth pairs that the kernel is measured over
    Packet,
}

impl Link {
    /// As options and reports name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tun => "tun",
            Self::Veth => "veth",
            Self::Packet => "packet",
        }
    }
}

/// What hosts there are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) packets: Packets,
    pub(super) subflows: usize,
    /// Emulated links and the seed of their chance, in place of the fastest links there are.
    pub(super) network: Option<(Network, u64)>,
}

/// Hosts that are there.
pub(super) struct Hosts {
    link: Link,
    kind: Kind,
    packets: Packets,
    subflows: usize,
}

enum Kind {
    Veths(Veths),
    One(Namespace),
    Emulated(Box<Topology>),
}

impl Hosts {
    /// Makes hosts for these stacks, client first.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn build(link: Link, stacks: [Stack; 2], wanted: Wanted) -> Result<Self, Failure> {
        let failed = |error: LabError| Failure::failed("setting up hosts", &error);
        let Wanted { packets, subflows, network } = wanted;
        if link == Link::Packet && stacks[1] == Stack::Manypath {
            let what = "--link packet: the listening end must be the kernel's";
            return Err(Failure::Usage(what.to_owned()));
        }
        let kind = if let Some((network, seed)) = network {
            network.build(seed).map(Box::new).map(Kind::Emulated)
        } else if link != Link::Tun || stacks == [Stack::Linux; 2] {
            Self::veths(subflows, packets).map(Kind::Veths)
        } else {
            Self::one().map(Kind::One)
        };
        Ok(Self { link, kind: kind.map_err(failed)?, packets, subflows })
    }

    fn veths(links: usize, packets: Packets) -> Result<Veths, LabError> {
        let veths = Veths::build(links, packets)?;
        veths.kernel_mptcp()?;
        for host in [Host::Client, Host::Server] {
            many_connections(veths.host(host))?;
        }
        Ok(veths)
    }

    fn one() -> Result<Namespace, LabError> {
        let host = Namespace::create("bench")?;
        host.mptcp_limits(8, 8)?;
        host.sysctl("net/ipv4/ip_forward", "1")?;
        many_connections(&host)?;
        Ok(host)
    }

    /// Where an end runs.
    pub(super) fn host(&self, side: Side) -> &Namespace {
        match &self.kind {
            Kind::One(host) => host,
            Kind::Veths(veths) => veths.host(side.host()),
            Kind::Emulated(topology) => topology.host(side.host()),
        }
    }

    /// The most that an emulated link was late with a packet.
    pub(super) fn late(&self) -> Option<Duration> {
        match &self.kind {
            Kind::One(_) | Kind::Veths(_) => None,
            Kind::Emulated(topology) => Some(topology.emulator_stats().late_max),
        }
    }

    /// The address at which the listening end is reached.
    pub(super) fn server_addr(&self, server: Stack) -> SocketAddr {
        let addr = match (server, &self.kind) {
            (Stack::Manypath, _) => Ipv4Addr::new(100, 65, 1, 1).into(),
            (Stack::Linux, Kind::Veths(veths)) => veths.addr(Host::Server, 0),
            (Stack::Linux, Kind::Emulated(topology)) => {
                return topology.socket_addr(Host::Server, 0, PORT);
            }
            (Stack::Linux, Kind::One(_)) => kernel_addr(Side::Connect),
        };
        SocketAddr::new(addr, PORT)
    }

    /// The device of an end that is manypath.
    pub(super) fn tun(&self, side: Side) -> TunSpec {
        let beside = self.link == Link::Packet;
        let paths = match side {
            Side::Connect if beside => (1..=self.subflows).map(beside_the_kernel).collect(),
            Side::Connect => (1..=self.subflows).map(client_path).collect(),
            Side::Listen => vec![Ipv4Addr::new(100, 65, 1, 1).into()],
        };
        let name = match side {
            Side::Connect => "mpclient",
            Side::Listen => "mpserver",
        };
        TunSpec {
            name: name.to_owned(),
            kernel: (kernel_addr(side), 16),
            paths,
            offload: self.packets == Packets::SuperSegments,
            sockets: if beside {
                (0..self.subflows).map(Veths::interface).collect()
            } else {
                vec![]
            },
        }
    }
}

impl Side {
    fn host(self) -> Host {
        match self {
            Self::Connect => Host::Client,
            Self::Listen => Host::Server,
        }
    }
}

/// The kernel's own address on the TUN of an end.
fn kernel_addr(side: Side) -> IpAddr {
    match side {
        Side::Connect => Ipv4Addr::new(100, 64, 0, 254).into(),
        Side::Listen => Ipv4Addr::new(100, 65, 0, 254).into(),
    }
}

/// An address of a veth pair's network that neither kernel has.
fn beside_the_kernel(number: usize) -> IpAddr {
    let number = u8::try_from(number).expect("there are at most 8 subflows");
    Ipv4Addr::new(10, number, 1, 3).into()
}

fn client_path(number: usize) -> IpAddr {
    let number = u8::try_from(number).expect("there are at most 8 subflows");
    Ipv4Addr::new(100, 64, number, 1).into()
}

/// The kernel may use every port, and one that waits out its last connection for a new one.
fn many_connections(host: &Namespace) -> Result<(), LabError> {
    host.sysctl("net/ipv4/ip_local_port_range", "1024 65535")?;
    host.sysctl("net/ipv4/tcp_tw_reuse", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_inside_the_network_of_their_interface() {
        for number in 1..=8 {
            let IpAddr::V4(addr) = client_path(number) else { panic!("IPv4") };
            assert_eq!(addr.octets()[..2], [100, 64]);
            assert_ne!(IpAddr::V4(addr), kernel_addr(Side::Connect));
        }
    }
}
