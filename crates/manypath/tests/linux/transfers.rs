//! Bytes of every number, in every direction, over every IP version.

use manypath_lab::{Direction, LinkConfig};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{KIB, MIB, Task};
use crate::wait::within;

const SIZES: [u64; 4] = [0, 1, 64 * KIB, 16 * MIB];

/// Every task with every size, one after the other.
async fn every_size(families: Families, opener: Opener) {
    let Ok(_turn) = machine::shared().await else { return };
    let world = Setup::new(opener).families(families).build();
    for task in [Task::Up, Task::Down, Task::Echo, Task::Both] {
        for bytes in SIZES {
            let what = format!("{task:?} {bytes}");
            world.transfer(task, bytes).await.assert_multipath(&what);
            world.assert_clean(&what);
        }
    }
    assert!(world.joined() >= 4, "{}", world.counted());
    for link in [0, 1] {
        for direction in Direction::BOTH {
            let carried = world.link(link).stats(direction).delivered.bytes;
            assert!(carried > 2 * MIB, "link {link} carried {carried} bytes {direction:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_ipv4() {
    every_size(Families::V4, Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_ipv6() {
    every_size(Families::V6, Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_ipv4_and_joins_over_ipv6() {
    every_size(Families::V4ThenV6, Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_ipv6_and_joins_over_ipv4() {
    every_size(Families::V6ThenV4, Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_ipv4() {
    every_size(Families::V4, Opener::Linux).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_ipv6() {
    every_size(Families::V6, Opener::Linux).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_ipv4_and_joins_over_ipv6() {
    every_size(Families::V4ThenV6, Opener::Linux).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_ipv6_and_joins_over_ipv4() {
    every_size(Families::V6ThenV4, Opener::Linux).await;
}

/// 256 MiB each way and both ways at once, as fast as it goes.
async fn a_quarter_of_a_gibibyte(opener: Opener) {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        let setup = Setup::new(opener).families(families);
        let world = setup.links(vec![LinkConfig::default(); 2]).build();
        for task in [Task::Up, Task::Down, Task::Both] {
            let what = format!("{families:?} {task:?}");
            world.transfer(task, 256 * MIB).await.assert_multipath(&what);
            world.assert_clean(&what);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_for_a_quarter_of_a_gibibyte() {
    a_quarter_of_a_gibibyte(Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_for_a_quarter_of_a_gibibyte() {
    a_quarter_of_a_gibibyte(Opener::Linux).await;
}

/// Bytes are looked at before they are taken (`MSG_PEEK`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_peeked_at_is_what_is_read() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).build();
        let (mut stream, peer) = world.connect(Task::Down, 4 * MIB).await;
        let (mut seen, mut read, mut hash) = (vec![0; 30_000], Vec::new(), Sha256::new());
        loop {
            let n = within(stream.peek(&mut seen)).await.expect("Linux sends");
            if n == 0 {
                break;
            }
            read.resize(n, 0);
            within(stream.read_exact(&mut read)).await.expect("it is there");
            assert!(read == seen[..n], "{opener:?}: not what was seen");
            hash.update(&read);
        }
        stream.shutdown().await.expect("it is open");
        let sent = peer.report().await.sent;
        assert_eq!((sent.bytes, sent.sha256), (4 * MIB, hash.finalize().into()), "{opener:?}");
    }
}
