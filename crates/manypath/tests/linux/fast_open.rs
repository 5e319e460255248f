//! TCP Fast Open (RFC 7413), with multipath (RFC 8684 appendix B) and without.

use bytes::Bytes;
use manypath::Stream;
use manypath_lab::{Pattern, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{KIB, MIB, Task};
use crate::wait::within;
use crate::world::World;

/// Bytes that a server is to send back.
fn bytes(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("it fits memory")];
    Pattern::new(3).fill(&mut bytes);
    bytes
}

/// The server sends back what began early, and what followed.
async fn echoed(stream: Stream, early: usize, all: &[u8]) {
    let (mut read, mut write) = stream.into_split();
    let writing = async {
        write.write_all(&all[early..]).await?;
        write.shutdown().await
    };
    let mut back = Vec::new();
    let (wrote, got) = within(async { tokio::join!(writing, read.read_to_end(&mut back)) }).await;
    wrote.expect("Linux reads");
    got.expect("Linux writes");
    assert!(back == all, "{} bytes came back of {}", back.len(), all.len());
}

/// Connections one after the other, each with `early` bytes for the SYN. Returns how many began
/// with them.
async fn opened_early(world: &World, early: usize, count: u64) -> u64 {
    let server = world.linux_server(Role::Echo);
    let all = bytes(256 * KIB);
    for _ in 0..count {
        let data = Bytes::copy_from_slice(&all[..early]);
        let stream = world.dial_early(server.addr().port(), data).await;
        echoed(stream, early, &all).await;
    }
    world.counted().get("TcpExtTCPFastOpenPassive")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_takes_data_with_our_syns() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        for plain in [false, true] {
            let setup = Setup::new(Opener::Manypath).families(families).fast_open();
            let setup = if plain { setup.plain().linux_plain() } else { setup };
            let world = setup.build();
            // Less than a packet, and more than one.
            for (round, early) in [(1, 100), (2, 20_000)] {
                let taken = opened_early(&world, early, 2).await;
                // The very first connection asks for the cookie.
                assert_eq!(taken, 2 * round - 1, "{families:?} {plain}: {}", world.counted());
            }
            let counted = world.counted();
            let capable = counted.get("MPTcpExtMPCapableACKRX");
            assert_eq!(capable, if plain { 0 } else { 4 }, "{counted}");
            world.assert_clean("Fast Open");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_with_a_syn_of_linux_is_taken() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        for plain in [false, true] {
            let setup = Setup::new(Opener::Linux).families(families).fast_open();
            let setup = if plain { setup.linux_plain() } else { setup };
            let world = setup.build();
            for (n, task) in [Task::Down, Task::Both, Task::Down].into_iter().enumerate() {
                let moved = world.transfer(task, MIB).await;
                if !plain {
                    moved.assert_multipath("Fast Open");
                }
                let active = world.counted().get("TcpExtTCPFastOpenActive");
                let what = format!("{families:?} {plain} {task:?}: {}", world.counted());
                assert_eq!(active, n as u64, "all but the first: {what}");
            }
            world.assert_clean("Fast Open");
        }
    }
}

/// A server without Fast Open, and one whose cookie has changed: nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_that_does_not_take_it_gets_the_data_afterwards() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = Setup::new(Opener::Manypath).sysctl("net/ipv4/tcp_fastopen", "1").build();
    assert_eq!(opened_early(&world, 1_000, 2).await, 0);
    let world = Setup::new(Opener::Manypath).fast_open().build();
    assert_eq!(opened_early(&world, 1_000, 2).await, 1);
    let key = "01234567-01234567-01234567-01234567";
    world.topology.server().sysctl("net/ipv4/tcp_fastopen_key", key).expect("it has a key");
    assert_eq!(opened_early(&world, 1_000, 3).await, 3, "a new cookie comes with the refusal");
    world.assert_clean("Fast Open");
}
