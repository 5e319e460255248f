//! A proxy in the way: Linux connects to somebody else, and the endpoint answers.

use std::net::SocketAddr;

use manypath::ListenOptions;

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{MIB, Peer, Task};
use crate::wait::within;
use crate::world::PORT;

/// The whole prefix of a link is routed to the endpoint, which has one address of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_reaches_the_endpoint_at_addresses_that_it_does_not_have() {
    let Ok(_turn) = machine::shared().await else { return };
    let cases = [(Families::V4, "100.64.1.99", "0.0.0.0"), (Families::V6, "fd00:64:1::99", "::")];
    for (families, wanted, any) in cases {
        let world = Setup::new(Opener::Linux).families(families).build();
        let options = ListenOptions { transparent: true, ..ListenOptions::default() };
        let at = SocketAddr::new(any.parse().expect("an address"), PORT);
        let listener = world.endpoint.listen_with(at, options).expect("the port is free");
        let wanted = SocketAddr::new(wanted.parse().expect("an address"), PORT);
        let client = world.linux_client(wanted, Task::Both.of_linux(32 * MIB));
        let (stream, _) = within(listener.accept()).await.expect("Linux connects");
        assert_eq!(stream.local_addr(), wanted);
        let ends = (stream, Peer::Client(client));
        // Linux joins at both addresses of the endpoint, which are announced.
        let moved = world.finish_over(3, ends, Task::Both, 32 * MIB).await;
        moved.assert_multipath("transparent");
        world.assert_clean("transparent");
    }
}
