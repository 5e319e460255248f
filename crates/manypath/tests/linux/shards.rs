//! An endpoint of several shards: whichever of them a packet of Linux comes to.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::machine;
use crate::setup::{Opener, Setup};
use crate::task::{MIB, Peer, Task};
use crate::wait::within;

const CONNECTIONS: usize = 16;

/// Linux chooses the ports of the subflows that it opens, so that half of them and more begin in
/// another shard than that of their connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_connections_of_two_subflows_in_both_roles() {
    let Ok(_turn) = machine::shared().await else { return };
    for (opener, shards) in [(Opener::Manypath, 2), (Opener::Linux, 2), (Opener::Linux, 3)] {
        let world = Arc::new(Setup::new(opener).shards(shards).build());
        let listener = (opener == Opener::Linux).then(|| world.listen());
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(match &listener {
                None => world.connect(Task::Both, MIB).await,
                Some(listener) => {
                    let client =
                        world.linux_client(listener.local_addr(), Task::Both.of_linux(MIB));
                    let (stream, _) = within(listener.accept()).await.expect("Linux connects");
                    (stream, Peer::Client(client))
                }
            });
        }
        let mut used: Vec<_> = connections.iter().map(|(stream, _)| stream.shard()).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), shards as usize, "every shard has some");
        let mut finished = JoinSet::new();
        for ends in connections {
            let world = Arc::clone(&world);
            finished.spawn(async move { world.finish_over(2, ends, Task::Both, MIB).await });
        }
        for moved in finished.join_all().await {
            moved.assert_multipath("sharded");
        }
        // A path that was silent for long, as it may be where the host has other work, is withdrawn
        // and joins again.
        let (least, withdrawn) = (CONNECTIONS as u64, world.counted().get("MPTcpExtRmAddr"));
        let joined = world.joined();
        assert!((least..=least + withdrawn).contains(&joined), "{joined}: {}", world.counted());
        world.assert_clean("sharded");
    }
}
