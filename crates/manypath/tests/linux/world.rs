//! An endpoint on a TUN in one host, Linux in the other, and the links between them.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{
    ConnId, ConnectOptions, ConnectionInfo, ConnectionMode, Endpoint, IfaceId, ListenOptions,
    Listener, Stream,
};
use manypath_lab::{
    Client, Counters, Host, LinkHandle, Middlebox, PeerConfig, Role, Server, Topology, Transport,
};

use crate::setup::{Families, Opener, addr, open_tun};
use crate::task::{Moved, Peer, Task, play};
use crate::wait::{reach, within};

/// The port that the endpoint listens on.
pub(crate) const PORT: u16 = 5000;

/// Two hosts joined by links.
pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    /// The endpoint's paths, by link.
    pub(crate) ifaces: Vec<IfaceId>,
    pub(crate) topology: Topology,
    pub(crate) families: Families,
    pub(crate) opener: Opener,
    pub(crate) transport: Transport,
    pub(crate) congestion: Option<&'static str>,
    pub(crate) plain: bool,
    pub(crate) fast_open: bool,
    pub(crate) before: Counters,
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

    fn linux_config(&self) -> PeerConfig {
        let config = PeerConfig::new(self.transport);
        self.congestion.iter().fold(config, |config, name| config.congestion(name))
    }

    /// Linux listens on all its addresses.
    pub(crate) fn linux_server(&self, role: Role) -> Server {
        let any = match self.families {
            Families::V4 => IpAddr::from([0, 0, 0, 0]),
            Families::V6 | Families::V4ThenV6 | Families::V6ThenV4 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let config = self.linux_config();
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
        let config = self.linux_config();
        let config = if self.fast_open { config.fast_open() } else { config };
        Client::start(self.topology.server(), &config, to, role).expect("a thread starts")
    }

    /// The endpoint connects to a server of Linux, with data for the SYN.
    pub(crate) async fn dial_early(&self, port: u16, data: Bytes) -> Stream {
        let options = ConnectOptions {
            mode: self.mode(),
            early_data: Some(data),
            ..ConnectOptions::default()
        };
        let to = self.linux_addr(0, port);
        within(self.endpoint.connect_with(to, options)).await.expect("Linux accepts")
    }

    /// The endpoint connects to a server of Linux.
    pub(crate) async fn dial(&self, port: u16) -> Stream {
        let options = ConnectOptions { mode: self.mode(), ..ConnectOptions::default() };
        let to = self.linux_addr(0, port);
        within(self.endpoint.connect_with(to, options)).await.expect("Linux accepts")
    }

    fn mode(&self) -> ConnectionMode {
        if self.plain { ConnectionMode::PlainTcp } else { ConnectionMode::Automatic }
    }

    /// The endpoint listens on its first address.
    pub(crate) fn listen(&self) -> Listener {
        let fast_open = if self.fast_open { 16 } else { 0 };
        let mode = self.mode();
        let options = ListenOptions { mode, fast_open, ..ListenOptions::default() };
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
