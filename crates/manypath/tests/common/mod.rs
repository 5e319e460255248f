//! Two hosts in one process, joined by cables in memory.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use manypath::device::{MemoryPort, Offload, memory};
use manypath::{Endpoint, EndpointBuilder, Event, Events, Listener, Notice, Path, Stream};
use manypath_base::Rng;
use sha2::{Digest, Sha256};

/// The port that servers listen on.
pub(crate) const PORT: u16 = 80;

/// Two hosts: `a` connects, `b` listens.
pub(crate) struct Hosts {
    pub(crate) a: Endpoint,
    pub(crate) b: Endpoint,
}

/// The address of host `a` (1) or `b` (2) on a cable.
pub(crate) fn addr(cable: u8, host: u8) -> IpAddr {
    IpAddr::from([10, 0, cable, host])
}

/// Where host `b` listens.
pub(crate) fn server() -> SocketAddr {
    SocketAddr::new(addr(0, 2), PORT)
}

pub(crate) fn cable() -> (MemoryPort, MemoryPort) {
    memory::pair(1500, Offload::FULL).expect("descriptors are left")
}

/// Two builders, joined by this many cables, named "0", "1" and so on.
pub(crate) fn builders(cables: u8) -> (EndpointBuilder, EndpointBuilder) {
    (0..cables).fold((Endpoint::builder(), Endpoint::builder()), |(a, b), n| {
        let (near, far) = cable();
        let path = |host| Path::new(n.to_string(), addr(n, host));
        (a.path(near, path(1)), b.path(far, path(2).announced()))
    })
}

pub(crate) fn hosts(cables: u8) -> Hosts {
    let (a, b) = builders(cables);
    Hosts { a: a.build().expect("starts"), b: b.build().expect("starts") }
}

impl Hosts {
    pub(crate) fn listen(&self) -> Listener {
        self.b.listen(SocketAddr::new(addr(0, 2), PORT)).expect("the port is free")
    }

    /// A connection, seen from both ends.
    pub(crate) async fn pair(&self) -> (Stream, Stream) {
        let listener = self.listen();
        let (near, far) = tokio::join!(self.a.connect(server()), listener.accept());
        (near.expect("connects"), far.expect("accepts").0)
    }
}

/// Lets nothing hang: far longer than anything here takes.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("nothing hangs")
}

/// Waits until host `a` has a subflow from its end of the second cable.
pub(crate) async fn second_path(events: &mut Events) {
    loop {
        match events.next().await.expect("the endpoint is there") {
            Notice::Event(Event::PathUp { local, .. }) if local.ip() == addr(1, 1) => return,
            Notice::Event(_) => {}
            Notice::Lagged(n) => panic!("missed {n} events"),
        }
    }
}

/// Bytes that look like nothing else.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::seeded(seed);
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        bytes.extend(rng.bytes::<64>());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
