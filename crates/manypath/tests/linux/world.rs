//! An endpoint on a TUN in one host, Linux in the other, and what passes between them.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{Endpoint, Path, Stream};
use manypath_lab::{
    Amount, Client, Counters, EndpointKind, Family, Host, LinkConfig, LinkHandle, Pattern,
    PeerConfig, Report, Role, Server, Topology, Transport,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

const PORT: u16 = 5000;
const SEED: u64 = 11;
const BLOCK: usize = 64 << 10;
/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Who opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Manypath,
    Linux,
}

/// What is done with a connection, as this side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// This side sends and closes its half; the peer only reads.
    Up,
    /// The peer sends; this side closes when the peer has.
    Down,
    /// The peer sends back what comes, also after this side has closed its half.
    Echo,
}

impl Task {
    fn of_linux(self, bytes: u64) -> Role {
        match self {
            Self::Up => Role::Sink,
            Self::Down => Role::Source { amount: Amount::Bytes(bytes), seed: SEED },
            Self::Echo => Role::Echo,
        }
    }

    fn sends(self, bytes: u64) -> u64 {
        match self {
            Self::Up | Self::Echo => bytes,
            Self::Down => 0,
        }
    }
}

/// Bytes and their hash.
type Sum = (u64, [u8; 32]);

/// What a connection moved, as this side has it, and as Linux has it.
pub(crate) struct Moved {
    sent: Sum,
    received: Sum,
    pub(crate) linux: Report,
}

impl Moved {
    /// That what one side sent is what the other received, and as much as was asked for.
    pub(crate) fn assert_intact(&self, task: Task, bytes: u64) {
        let linux = &self.linux;
        assert!(linux.error.is_none(), "{task:?} {bytes}: {:?}", linux.error);
        assert_eq!(self.sent, (linux.received.bytes, linux.received.sha256), "{task:?} {bytes}");
        assert_eq!(self.received, (linux.sent.bytes, linux.sent.sha256), "{task:?} {bytes}");
        let (up, down) = match task {
            Task::Up => (bytes, 0),
            Task::Down => (0, bytes),
            Task::Echo => (bytes, bytes),
        };
        assert_eq!((self.sent.0, self.received.0), (up, down), "{task:?}");
    }
}

/// Two hosts joined by "wifi" and "lte".
pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    topology: Topology,
    family: Family,
    opener: Opener,
    transport: Transport,
    before: Counters,
}

impl World {
    /// The endpoint has an address behind each link, and announces them to those who connect.
    pub(crate) fn new(family: Family, opener: Opener, transport: Transport) -> Self {
        let topology = Topology::builder()
            .link("wifi", LinkConfig::mbps(100, Duration::from_millis(5)))
            .link("lte", LinkConfig::mbps(50, Duration::from_millis(10)))
            .build()
            .expect("the machine can build a lab");
        topology.kernel_mptcp(Host::Server, EndpointKind::Signal, []).expect("kernel MPTCP");
        let tun = topology.client().run(|| Tun::open(&TunConfig::default()));
        let tun = tun.expect("the namespace is there").expect("a TUN can be made");
        let routes: Vec<_> = (0..2)
            .map(|link| {
                topology.route_to(&prefix(family, link), link).expect("a route");
                format!("route add {} dev {}", prefix(family, link), tun.name())
            })
            .collect();
        topology.client().ip_batch(family, &routes).expect("routes to the TUN");
        let paths = [("wifi", 0), ("lte", 1)].map(|(name, link)| {
            let path = Path::new(name, addr(family, link));
            match opener {
                Opener::Manypath => path,
                Opener::Linux => path.announced(),
            }
        });
        let endpoint = Endpoint::builder().paths(tun, paths).build().expect("it starts");
        let before = topology.server().counters().expect("the kernel counts");
        Self { endpoint, topology, family, opener, transport, before }
    }

    pub(crate) fn link(&self, link: usize) -> &LinkHandle {
        self.topology.link(link)
    }

    /// The kernel's counters that moved.
    pub(crate) fn counted(&self) -> Counters {
        self.topology.server().counters().expect("the kernel counts").since(&self.before)
    }

    /// Where nobody listens: at Linux, or at the endpoint.
    pub(crate) fn closed_port(&self, host: Opener) -> SocketAddr {
        match host {
            Opener::Linux => self.linux_addr(7),
            Opener::Manypath => SocketAddr::new(addr(self.family, 0), 7),
        }
    }

    fn linux_addr(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.topology.addr(Host::Server, 0, self.family), port)
    }

    /// Linux connects.
    pub(crate) fn linux_client(&self, to: SocketAddr, role: Role) -> Client {
        let config = PeerConfig::new(self.transport);
        Client::start(self.topology.server(), &config, to, role).expect("a thread starts")
    }

    /// Opens a connection for a task with so many bytes, from the side that opens here.
    pub(crate) async fn connect(&self, task: Task, bytes: u64) -> (Stream, Peer) {
        let role = task.of_linux(bytes);
        match self.opener {
            Opener::Manypath => {
                let config = PeerConfig::new(self.transport);
                let server =
                    Server::start(self.topology.server(), &config, self.linux_addr(0), role)
                        .expect("a server listens");
                let stream = self.endpoint.connect(server.addr()).await.expect("it accepts");
                (stream, Peer::Server(server))
            }
            Opener::Linux => {
                let at = SocketAddr::new(addr(self.family, 0), PORT);
                let listener = self.endpoint.listen(at).expect("the port is free");
                let client = self.linux_client(at, role);
                let (stream, _) = listener.accept().await.expect("it connects");
                (stream, Peer::Client(client))
            }
        }
    }

    /// A connection from its beginning to its end.
    pub(crate) async fn transfer(&self, task: Task, bytes: u64) -> Moved {
        let ends = self.connect(task, bytes).await;
        let moved = play(&self.endpoint, ends, (task, bytes), async {}).await;
        moved.assert_intact(task, bytes);
        moved
    }
}

fn prefix(family: Family, link: usize) -> String {
    match family {
        Family::V4 => format!("100.64.{}.0/24", link + 1),
        Family::V6 => format!("fd00:64:{}::/64", link + 1),
    }
}

fn addr(family: Family, link: usize) -> IpAddr {
    let prefix = prefix(family, link);
    let (network, _) = prefix.split_once('/').expect("it has a length");
    let text = match family {
        Family::V4 => network.replacen(".0", ".7", 1),
        Family::V6 => format!("{network}7"),
    };
    text.parse().expect("an address")
}

/// Linux at the other end of one connection.
pub(crate) enum Peer {
    Server(Server),
    Client(Client),
}

impl Peer {
    fn report(&self) -> Report {
        match self {
            Self::Server(server) => server.next_report(PATIENCE).expect("the connection ends"),
            Self::Client(client) => client.report(PATIENCE).expect("the connection ends"),
        }
    }
}

/// Does this side's part of a task while `meanwhile` goes on, and waits for both ends to finish.
pub(crate) async fn play(
    endpoint: &Endpoint,
    (stream, peer): (Stream, Peer),
    (task, bytes): (Task, u64),
    meanwhile: impl Future<Output = ()>,
) -> Moved {
    let id = stream.conn_id();
    let (mut read, mut write) = stream.into_split();
    let at_end = Notify::new();
    let sending = async {
        let (mut pattern, mut hash) = (Pattern::new(SEED), Sha256::new());
        let (all, mut sent) = (task.sends(bytes), 0);
        while sent < all {
            let mut block = vec![0; BLOCK];
            pattern.fill(&mut block);
            block.truncate(usize::try_from(all - sent).map_or(BLOCK, |left| left.min(BLOCK)));
            hash.update(&block);
            sent += block.len() as u64;
            write.write_owned(Bytes::from(block)).await?;
        }
        // Linux takes no further subflow once this side has closed its half, and one may be due.
        if task == Task::Down {
            at_end.notified().await;
        }
        tokio::io::AsyncWriteExt::shutdown(&mut write).await?;
        Ok::<_, io::Error>((sent, hash.finalize().into()))
    };
    let receiving = async {
        let (mut hash, mut received) = (Sha256::new(), 0);
        while let Some(chunk) = read.read_chunk().await? {
            hash.update(&chunk);
            received += chunk.len() as u64;
        }
        at_end.notify_one();
        Ok::<_, io::Error>((received, hash.finalize().into()))
    };
    let both = async { tokio::join!(sending, receiving, meanwhile) };
    let Ok((sent, received, ())) = tokio::time::timeout(PATIENCE, both).await else {
        panic!("{task:?} {bytes} does not end: {:?}", endpoint.connection_info(id));
    };
    let linux = tokio::task::block_in_place(|| peer.report());
    Moved { sent: sent.expect("it sends"), received: received.expect("it receives"), linux }
}

/// Lets nothing hang.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing hangs")
}
