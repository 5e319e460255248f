//! Many connections: at once, and one after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use manypath::Stream;
use manypath_lab::{Amount, Limit, LinkConfig, Role};
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinSet, block_in_place};

use crate::machine;
use crate::setup::{Opener, Setup};
use crate::task::{KIB, receive};
use crate::wait::{PATIENCE, within};
use crate::world::World;

const AT_ONCE: u8 = 200;
const IN_A_ROW: u32 = 1_000;
const BYTES: u64 = 64 * KIB;

type Hash = [u8; 32];

/// What `n` says, which nobody else does.
fn speech(n: u8) -> Vec<u8> {
    (0..BYTES).map(|at| (at % 251) as u8 ^ n).collect()
}

/// Says what `n` says to one who echoes; what came back.
async fn hear_the_echo(stream: Stream, n: u8) -> Hash {
    let (mut read, mut write) = stream.into_split();
    let said = async {
        write.write_owned(Bytes::from(speech(n))).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut write).await
    };
    let (said, heard) = tokio::join!(said, receive(&mut read));
    said.expect("it sends");
    heard.expect("it receives").1
}

async fn all<T: 'static>(mut set: JoinSet<T>) -> Vec<T> {
    let mut out = Vec::new();
    while let Some(done) = within(set.join_next()).await {
        out.push(done.expect("no panic"));
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_answers_two_hundred_at_once() {
    let Ok(_turn) = machine::shared().await else { return };
    // Room for every first window: where the third ACK and the first data are both lost, Linux
    // takes what follows them, without MP_CAPABLE, for TCP.
    let limit = Limit::Bytes(200 * 16 * KIB);
    let link = LinkConfig { limit, ..LinkConfig::mbps(50, Duration::from_millis(5)) };
    let world = Setup::new(Opener::Manypath).links(vec![link; 2]).build();
    let server = world.linux_server(Role::Echo);
    let to = world.linux_addr(0, server.addr().port());
    let mut set = JoinSet::new();
    for n in 0..AT_ONCE {
        let endpoint = world.endpoint.clone();
        set.spawn(async move {
            let stream = endpoint.connect(to).await.expect("Linux accepts");
            assert_eq!(hear_the_echo(stream, n).await, Hash::from(Sha256::digest(speech(n))));
        });
    }
    assert_eq!(all(set).await.len(), usize::from(AT_ONCE));
    for _ in 0..AT_ONCE {
        let report = block_in_place(|| server.next_report(PATIENCE)).expect("it ends");
        assert!(report.error.is_none(), "{:?}", report.error);
        assert_eq!(report.mptcp.map(|info| info.fallback), Some(false));
    }
    world.assert_clean("at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_of_linux_are_answered_at_once() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = Setup::new(Opener::Linux).build();
    let listener = world.listen();
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let role = Role::Source { amount: Amount::Bytes(BYTES), seed: n.into() };
            world.linux_client(listener.local_addr(), role)
        })
        .collect();
    let mut set = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (stream, _) = within(listener.accept()).await.expect("Linux connects");
        set.spawn(async move {
            let (mut read, _write) = stream.into_split();
            receive(&mut read).await.expect("it receives").1
        });
    }
    let received: BTreeSet<Hash> = all(set).await.into_iter().collect();
    let reports = clients.iter().map(|client| block_in_place(|| client.report(PATIENCE)));
    let reports: Vec<_> = reports.map(|report| report.expect("it connects")).collect();
    for report in &reports {
        assert!(report.error.is_none(), "{:?}", report.error);
        assert_eq!(report.mptcp.map(|info| info.fallback), Some(false));
    }
    let sent: BTreeSet<Hash> = reports.iter().map(|report| report.sent.sha256).collect();
    assert_eq!((received.len(), received == sent), (usize::from(AT_ONCE), true));
    world.assert_clean("at once");
}

/// Links on which a round trip takes no time.
fn short(opener: Opener) -> World {
    Setup::new(opener).links(vec![LinkConfig::default(); 2]).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_to_linux_in_a_row() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = short(Opener::Manypath);
    let server = world.linux_server(Role::Echo);
    for n in 0..IN_A_ROW {
        let mut stream = world.dial(server.addr().port()).await;
        let word = n.to_be_bytes();
        within(stream.write_owned(Bytes::copy_from_slice(&word))).await.expect("it is open");
        let heard = within(stream.read_chunk()).await.expect("it is open");
        assert_eq!(heard.as_deref(), Some(&word[..]));
        within(stream.close()).await.expect("it ends in good order");
        let report = block_in_place(|| server.next_report(PATIENCE)).expect("it ends");
        assert!(report.error.is_none(), "{n}: {:?}", report.error);
    }
    world.assert_clean("in a row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_of_linux_in_a_row() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = short(Opener::Linux);
    let listener = world.listen();
    for n in 0..IN_A_ROW {
        let role = Role::Source { amount: Amount::Bytes(4), seed: n.into() };
        let client = world.linux_client(listener.local_addr(), role);
        let (mut stream, _) = within(listener.accept()).await.expect("Linux connects");
        let heard = within(stream.read_chunk()).await.expect("it is open").expect("four bytes");
        within(stream.close()).await.expect("it ends in good order");
        let report = block_in_place(|| client.report(PATIENCE)).expect("it connects");
        assert!(report.error.is_none(), "{n}: {:?}", report.error);
        assert_eq!(report.sent.sha256, Hash::from(Sha256::digest(&heard)));
    }
    world.assert_clean("in a row");
}
