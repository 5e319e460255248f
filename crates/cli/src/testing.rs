//! Two hosts in one process, joined by two cables, for tests without root.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use manypath::device::{Offload, memory};
use manypath::{Endpoint, Path};

/// The port that the second host listens on in tests.
pub(crate) const PORT: u16 = 80;

/// A client and a server with two paths between them.
pub(crate) fn hosts() -> (Endpoint, Endpoint) {
    let (mut client, mut server) = (Endpoint::builder(), Endpoint::builder());
    for cable in 0..2 {
        let (near, far) = memory::pair(1500, Offload::FULL).expect("descriptors are left");
        let path = |host| Path::new(format!("cable{cable}"), IpAddr::from([10, cable, 0, host]));
        client = client.path(near, path(1));
        server = server.path(far, path(2).announced());
    }
    let build = "threads and descriptors are left";
    (client.build().expect(build), server.build().expect(build))
}

/// The server's first address.
pub(crate) fn server_addr() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], PORT))
}

/// The result of `work`; a test that waits for ever fails after a minute instead.
pub(crate) async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it ends")
}
