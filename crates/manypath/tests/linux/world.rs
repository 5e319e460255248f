//! An endpoint on a TUN in one host, Linux in the other, and the links between them.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{
    ConnId, ConnectOptions, ConnectionInfo, Endpoint, EndpointBuilder, Event, Events, IfaceId,
    ListenOptions, Listener, Notice, Path, Stream,
};
use manypath_lab::{
    Client, Counters, EndpointKind, Family, Host, LinkConfig, LinkHandle, Middlebox, PeerConfig,
    Role, Server, Topology, Transport,
};
use tokio::task::block_in_place;

use crate::task::{Moved, Peer, Task, play};

/// The port that the endpoint listens on.
pub(crate) const PORT: u16 = 5000;
/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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

    fn mixed(self) -> bool {
        matches!(self, Self::V4ThenV6 | Self::V6ThenV4)
    }
}

/// Describes a [`World`].
pub(crate) struct Setup {
    opener: Opener,
    families: Families,
    transport: Transport,
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
        let Self { opener, families, transport, plain, fast_open, links, spare, .. } = self;
        let (tun, sysctls, path, endpoint) = (self.tun, self.sysctls, self.path, self.endpoint);
        let builder = links.iter().enumerate();
        let builder = builder.fold(Topology::builder().seed(1), |builder, (link, config)| {
            builder.link(&name(link), *config)
        });
        let topology = builder.build().expect("the machine can build a lab");
        topology.kernel_mptcp(Host::Server, EndpointKind::Signal, []).expect("kernel MPTCP");
        for (key, value) in sysctls {
            topology.server().sysctl(key, value).expect("the kernel has it");
        }
        let used = 0..links.len() - spare;
        let tun = open_tun(&topology, &tun, families, used.clone());
        let paths = used.map(|link| {
            let plain = Path::new(name(link), addr(families, link));
            path(link, if opener == Opener::Linux { plain.announced() } else { plain })
        });
        let endpoint = endpoint(Endpoint::builder()).build().expect("it starts");
        let ifaces = endpoint.add_paths(tun, paths.collect::<Vec<_>>()).expect("it runs");
        let before = topology.server().counters().expect("the kernel counts");
        let world = World {
            endpoint,
            ifaces,
            topology,
            families,
            opener,
            transport,
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

/// Two hosts joined by links.
pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    /// The endpoint's paths, by link.
    pub(crate) ifaces: Vec<IfaceId>,
    pub(crate) topology: Topology,
    families: Families,
    pub(crate) opener: Opener,
    transport: Transport,
    plain: bool,
    fast_open: bool,
    before: Counters,
}

impl World {
    pub(crate) fn link(&self, link: usize) -> &LinkHandle {
        self.topology.link(link)
    }

    /// Puts a box in front of a link.
    pub(crate) fn middlebox(&self, link: usize, middlebox: Middlebox) {
        self.link(link).set_middlebox(Some(middlebox));
    }

    /// The kernel's counters that moved.
    pub(crate) fn counted(&self) -> Counters {
        self.topology.server().counters().expect("the kernel counts").since(&self.before)
    }

    /// Subflows beside first ones that Linux has had, whoever opened them.
    pub(crate) fn joined(&self) -> u64 {
        let counted = self.counted();
        ["MPTcpExtMPJoinAckRx", "MPTcpExtMPJoinSynAckRx"].map(|n| counted.get(n)).iter().sum()
    }

    /// Nothing fell back, failed to authenticate or did not match, by the kernel's counters.
    ///
    /// `NoDSSInWindow` is not among them: it counts data beyond the edge that Linux remembers, and
    /// that lags at times behind what its subflows advertised. Captures of such runs show no byte
    /// of ours beyond an advertised edge.
    pub(crate) fn assert_clean(&self, what: &str) {
        let wrong =
            ["Fallback", "InfiniteMap", "HMacFailure", "MPFail", "DSSNo", "Corrupt", "Csum"];
        let counted = self.counted();
        for (name, value) in counted.iter("MPTcpExt") {
            let bad = wrong.iter().any(|part| name.contains(part));
            assert!(!bad, "{what}: {name}={value}: {counted}");
        }
    }

    /// The endpoint's address on a link.
    pub(crate) fn addr(&self, link: usize) -> IpAddr {
        addr(self.families, link)
    }

    /// Where nobody listens: at Linux, or at the endpoint.
    pub(crate) fn closed_port(&self, host: Opener) -> SocketAddr {
        match host {
            Opener::Linux => self.linux_addr(0, 7),
            Opener::Manypath => SocketAddr::new(self.addr(0), 7),
        }
    }

    /// Linux's address on a link.
    pub(crate) fn linux_addr(&self, link: usize, port: u16) -> SocketAddr {
        let family = self.families.of_link(link);
        SocketAddr::new(self.topology.addr(Host::Server, link, family), port)
    }

    /// Tells the kernel's path manager about its address on a link, in the words of
    /// `ip mptcp endpoint add`.
    pub(crate) fn linux_endpoint(&self, link: usize, flags: &[&str]) {
        let addr = self.linux_addr(link, 0).ip().to_string();
        let add = ["mptcp", "endpoint", "add", &addr];
        self.topology.server().ip(&[&add[..], flags].concat()).expect("the kernel takes it");
    }

    /// Linux listens on all its addresses.
    pub(crate) fn linux_server(&self, role: Role) -> Server {
        let any = match self.families {
            Families::V4 => IpAddr::from([0, 0, 0, 0]),
            Families::V6 | Families::V4ThenV6 | Families::V6ThenV4 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let config = PeerConfig::new(self.transport);
        Server::start(self.topology.server(), &config, (any, 0).into(), role)
            .expect("a server listens")
    }

    /// Linux connects.
    pub(crate) fn linux_client(&self, to: SocketAddr, role: Role) -> Client {
        let to = match to {
            // A socket of IPv4 has no subflows of IPv6.
            SocketAddr::V4(v4) if self.families.mixed() => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => to,
        };
        let config = PeerConfig::new(self.transport);
        let config = if self.fast_open { config.fast_open() } else { config };
        Client::start(self.topology.server(), &config, to, role).expect("a thread starts")
    }

    /// The endpoint connects to a server of Linux, with data for the SYN.
    pub(crate) async fn dial_early(&self, port: u16, data: Bytes) -> Stream {
        let options = ConnectOptions {
            plain_tcp: self.plain,
            early_data: Some(data),
            ..ConnectOptions::default()
        };
        let to = self.linux_addr(0, port);
        within(self.endpoint.connect_with(to, options)).await.expect("Linux accepts")
    }

    /// The endpoint connects to a server of Linux.
    pub(crate) async fn dial(&self, port: u16) -> Stream {
        let options = ConnectOptions { plain_tcp: self.plain, ..ConnectOptions::default() };
        let to = self.linux_addr(0, port);
        within(self.endpoint.connect_with(to, options)).await.expect("Linux accepts")
    }

    /// The endpoint listens on its first address.
    pub(crate) fn listen(&self) -> Listener {
        let fast_open = if self.fast_open { 16 } else { 0 };
        let plain_tcp = self.plain;
        let options = ListenOptions { plain_tcp, fast_open, ..ListenOptions::default() };
        let at = SocketAddr::new(self.addr(0), PORT);
        self.endpoint.listen_with(at, options).expect("the port is free")
    }

    /// Opens a connection on which Linux plays `role`, from the side that opens here.
    pub(crate) async fn open(&self, role: Role) -> (Stream, Peer) {
        match self.opener {
            Opener::Manypath => {
                let server = self.linux_server(role);
                let stream = self.dial(server.addr().port()).await;
                (stream, Peer::Server(server))
            }
            Opener::Linux => {
                let listener = self.listen();
                let client = self.linux_client(listener.local_addr(), role);
                let (stream, _) = within(listener.accept()).await.expect("Linux connects");
                (stream, Peer::Client(client))
            }
        }
    }

    /// As [`World::finish`], once the connection has so many subflows. They come while data flows:
    /// who opened the connection opens no subflow before the peer has acknowledged something.
    pub(crate) async fn finish_over(
        &self,
        subflows: usize,
        ends: (Stream, Peer),
        task: Task,
        bytes: u64,
    ) -> Moved {
        let id = ends.0.conn_id();
        self.finish(ends, task, bytes, self.until_subflows(id, subflows)).await
    }

    /// Opens a connection for a task with so many bytes.
    pub(crate) async fn connect(&self, task: Task, bytes: u64) -> (Stream, Peer) {
        self.open(task.of_linux(bytes)).await
    }

    /// A connection from its beginning to its end.
    pub(crate) async fn transfer(&self, task: Task, bytes: u64) -> Moved {
        let ends = self.connect(task, bytes).await;
        self.finish(ends, task, bytes, async {}).await
    }

    /// What is to be done on a connection, while `meanwhile` goes on.
    pub(crate) async fn finish(
        &self,
        ends: (Stream, Peer),
        task: Task,
        bytes: u64,
        meanwhile: impl Future<Output = ()>,
    ) -> Moved {
        let moved = play(&self.endpoint, ends, (task, bytes), meanwhile).await;
        moved.assert_intact(task, bytes);
        moved
    }

    /// A snapshot of a connection.
    pub(crate) fn info(&self, id: ConnId) -> ConnectionInfo {
        let info = self.endpoint.connection_info(id).expect("the endpoint runs");
        info.expect("the connection is there")
    }

    /// Subflows of a connection that may carry data.
    pub(crate) fn subflows(&self, id: ConnId) -> usize {
        self.info(id).subflows.iter().filter(|subflow| subflow.established).count()
    }

    /// Waits until a connection has so many subflows, at both ends.
    pub(crate) async fn until_subflows(&self, id: ConnId, count: usize) {
        let both = || self.subflows(id) == count && self.joined() + 1 >= count as u64;
        let what = || format!("{count} subflows: {:?}; {}", self.info(id), self.counted());
        reach(both, what).await;
    }

    /// A further interface for the endpoint, with an address behind a link that has none yet.
    pub(crate) fn tun_for(&self, link: usize) -> Tun {
        open_tun(&self.topology, &TunConfig::default(), self.families, link..link + 1)
    }
}

/// An interface in the client, and routes to the endpoint's addresses behind `links`.
fn open_tun(
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

fn addr(families: Families, link: usize) -> IpAddr {
    let family = families.of_link(link);
    let prefix = prefix(family, link);
    let (network, _) = prefix.split_once('/').expect("it has a length");
    let text = match family {
        Family::V4 => network.replacen(".0", ".7", 1),
        Family::V6 => format!("{network}7"),
    };
    text.parse().expect("an address")
}

/// Lets nothing hang.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing hangs")
}

/// Waits until `condition` holds; says `what` did not come.
pub(crate) async fn reach(condition: impl Fn() -> bool, what: impl FnOnce() -> String) {
    let holds = async {
        while !block_in_place(&condition) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, holds).await.is_err() {
        panic!("not reached: {}", what());
    }
}

/// Waits for an event that `pick` makes something of.
pub(crate) async fn event<T>(events: &mut Events, pick: impl Fn(Event) -> Option<T>) -> T {
    let wanted = async {
        loop {
            match events.next().await.expect("the endpoint is there") {
                Notice::Event(event) => {
                    if let Some(picked) = pick(event) {
                        return picked;
                    }
                }
                Notice::Lagged(n) => panic!("missed {n} events"),
            }
        }
    };
    within(wanted).await
}
