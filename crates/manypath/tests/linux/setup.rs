//! How a world is described and built: who opens, IP versions, links, settings of both ends.

use std::net::IpAddr;
use std::time::Duration;

use manypath::device::{Tun, TunConfig};
use manypath::{Endpoint, EndpointBuilder, Path};
use manypath_lab::{EndpointKind, Family, Host, LinkConfig, Topology, Transport};

use crate::world::World;

/// Who opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Manypath,
    Linux,
}

impl Opener {
    pub(crate) const BOTH: [Self; 2] = [Self::Manypath, Self::Linux];
}

/// IP versions of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    V4,
    V6,
    /// The connection begins with IPv4, further subflows have IPv6.
    V4ThenV6,
    /// The other way round.
    V6ThenV4,
}

impl Families {
    pub(crate) fn of_link(self, link: usize) -> Family {
        match (self, link) {
            (Self::V4, _) | (Self::V4ThenV6, 0) | (Self::V6ThenV4, 1..) => Family::V4,
            (Self::V6, _) | (Self::V6ThenV4, 0) | (Self::V4ThenV6, 1..) => Family::V6,
        }
    }

    pub(crate) fn mixed(self) -> bool {
        matches!(self, Self::V4ThenV6 | Self::V6ThenV4)
    }
}

/// Describes a [`World`].
pub(crate) struct Setup {
    opener: Opener,
    families: Families,
    transport: Transport,
    congestion: Option<&'static str>,
    plain: bool,
    fast_open: bool,
    links: Vec<LinkConfig>,
    spare: usize,
    tun: TunConfig,
    sysctls: Vec<(&'static str, &'static str)>,
    path: Box<dyn Fn(usize, Path) -> Path>,
    endpoint: Box<dyn FnOnce(EndpointBuilder) -> EndpointBuilder>,
}

impl Setup {
    /// Two links, "wifi" and "lte", with IPv4 and multipath at both ends.
    pub(crate) fn new(opener: Opener) -> Self {
        let ms = Duration::from_millis;
        Self {
            opener,
            families: Families::V4,
            transport: Transport::Mptcp,
            congestion: None,
            plain: false,
            fast_open: false,
            links: vec![LinkConfig::mbps(100, ms(5)), LinkConfig::mbps(50, ms(10))],
            spare: 0,
            tun: TunConfig::default(),
            sysctls: Vec::new(),
            path: Box::new(|_, path| path),
            endpoint: Box::new(|builder| builder),
        }
    }

    pub(crate) fn families(self, families: Families) -> Self {
        Self { families, ..self }
    }

    /// Linux has a socket of plain TCP.
    pub(crate) fn linux_plain(self) -> Self {
        Self { transport: Transport::Tcp, ..self }
    }

    /// Linux has this congestion control in place of its default.
    pub(crate) fn linux_congestion(self, name: &'static str) -> Self {
        Self { congestion: Some(name), ..self }
    }

    /// The endpoint does not ask for multipath.
    pub(crate) fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    /// Both ends use TCP Fast Open (RFC 7413), as clients and as servers.
    pub(crate) fn fast_open(self) -> Self {
        // Client, server, and every listener.
        Self { fast_open: true, ..self.sysctl("net/ipv4/tcp_fastopen", "1027") }
    }

    pub(crate) fn links(self, links: impl IntoIterator<Item = LinkConfig>) -> Self {
        Self { links: links.into_iter().collect(), ..self }
    }

    /// The endpoint has no path yet on so many of the last links.
    pub(crate) fn spare(self, spare: usize) -> Self {
        Self { spare, ..self }
    }

    /// The MTU of the interface that the endpoint has.
    pub(crate) fn tun_mtu(mut self, mtu: u16) -> Self {
        self.tun.mtu = mtu;
        self
    }

    /// The endpoint has so many shards, and its interface as many queues.
    pub(crate) fn shards(mut self, shards: u32) -> Self {
        self.tun.queues = shards;
        self
    }

    /// A setting of the kernel.
    pub(crate) fn sysctl(mut self, key: &'static str, value: &'static str) -> Self {
        self.sysctls.push((key, value));
        self
    }

    /// Changes the path of each link.
    pub(crate) fn paths(self, path: impl Fn(usize, Path) -> Path + 'static) -> Self {
        Self { path: Box::new(path), ..self }
    }

    /// Changes the endpoint.
    pub(crate) fn endpoint(
        self,
        endpoint: impl FnOnce(EndpointBuilder) -> EndpointBuilder + 'static,
    ) -> Self {
        Self { endpoint: Box::new(endpoint), ..self }
    }

    /// The endpoint has an address behind each link, and announces them to those who connect.
    pub(crate) fn build(self) -> World {
        let Self { opener, families, transport, congestion, plain, fast_open, .. } = self;
        let Self { links, spare, tun, sysctls, path, endpoint, .. } = self;
        let builder = links.iter().enumerate();
        let builder = builder.fold(Topology::builder().seed(1), |builder, (link, config)| {
            builder.link(&name(link), config.clone())
        });
        let topology = builder.build().expect("the machine can build a lab");
        topology.kernel_mptcp(Host::Server, EndpointKind::Signal, []).expect("kernel MPTCP");
        for (key, value) in sysctls {
            topology.server().sysctl(key, value).expect("the kernel has it");
        }
        let used = 0..links.len() - spare;
        let builder = Endpoint::builder().shards(tun.queues);
        let tun = open_tun(&topology, &tun, families, used.clone());
        let paths = used.map(|link| {
            let plain = Path::new(name(link), addr(families, link));
            path(link, if opener == Opener::Linux { plain.announced() } else { plain })
        });
        let endpoint = endpoint(builder).build().expect("it starts");
        let ifaces = endpoint.add_paths(tun, paths.collect::<Vec<_>>()).expect("it runs");
        let before = topology.server().counters().expect("the kernel counts");
        let world = World {
            endpoint,
            ifaces,
            topology,
            families,
            opener,
            transport,
            congestion,
            plain,
            fast_open,
            before,
        };
        if families.mixed() && opener == Opener::Manypath {
            // Else nobody could know Linux's address of the other version.
            (1..links.len()).for_each(|link| world.linux_endpoint(link, &["signal"]));
        }
        world
    }
}

/// An interface in the client, and routes to the endpoint's addresses behind `links`.
pub(crate) fn open_tun(
    topology: &Topology,
    config: &TunConfig,
    families: Families,
    links: std::ops::Range<usize>,
) -> Tun {
    let tun = topology.client().run(|| Tun::open(config));
    let tun = tun.expect("the namespace is there").expect("a TUN can be made");
    for link in links {
        let family = families.of_link(link);
        let prefix = prefix(family, link);
        topology.route_to(&prefix, link).expect("a route");
        let route = format!("route replace {prefix} dev {}", tun.name());
        topology.client().ip_batch(family, &[route]).expect("a route to the TUN");
    }
    tun
}

fn name(link: usize) -> String {
    ["wifi", "lte"].get(link).map_or_else(|| format!("link{link}"), |name| (*name).to_owned())
}

fn prefix(family: Family, link: usize) -> String {
    match family {
        Family::V4 => format!("100.64.{}.0/24", link + 1),
        Family::V6 => format!("fd00:64:{}::/64", link + 1),
    }
}

pub(crate) fn addr(families: Families, link: usize) -> IpAddr {
    let family = families.of_link(link);
    let prefix = prefix(family, link);
    let (network, _) = prefix.split_once('/').expect("it has a length");
    let text = match family {
        Family::V4 => network.replacen(".0", ".7", 1),
        Family::V6 => format!("{network}7"),
    };
    text.parse().expect("an address")
}
