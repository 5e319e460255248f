//! How connections end: in halves, at once, or before they begin.

use std::io::ErrorKind;

use bytes::Bytes;
use manypath::{ConnectError, ConnectionError};
use manypath_lab::Role;

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{KIB, MIB, Task};
use crate::wait::within;
use crate::world::World;

/// One side closes its half, then the other sends, over the half that is open.
async fn half_closed(world: &World) {
    for task in [Task::Answered, Task::Answers] {
        for bytes in [1, 64 * KIB, 4 * MIB] {
            world.transfer(task, bytes).await;
        }
    }
}

/// This side ends everything while data is under way.
async fn aborted_here(world: &World, subflows: usize) {
    let (mut stream, peer) = world.open(Role::Sink).await;
    within(stream.write_owned(Bytes::from(vec![7; 64 << 10]))).await.expect("it is open");
    world.until_subflows(stream.conn_id(), subflows).await;
    crate::wait::reach(|| peer.received() > 0, || "data".to_owned()).await;
    stream.abort();
    let error = peer.report().await.error.map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::ConnectionReset), "{}", world.counted());
}

/// Linux goes while data waits for it.
async fn aborted_there(world: &World, subflows: usize) {
    let (mut stream, peer) = world.open(Role::Abort { after: 1 << 20 }).await;
    within(stream.write_owned(Bytes::from(vec![7; 64 << 10]))).await.expect("it is open");
    world.until_subflows(stream.conn_id(), subflows).await;
    let writing = async {
        loop {
            if let Err(error) = stream.write_owned(Bytes::from(vec![7; 64 << 10])).await {
                return error.kind();
            }
        }
    };
    assert_eq!(within(writing).await, ErrorKind::ConnectionReset, "{}", world.counted());
    assert!(peer.report().await.error.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_that_is_open_carries_data_after_the_other_closed() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).build();
        half_closed(&world).await;
        world.assert_clean("half-closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_here_is_a_fastclose_for_linux() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).build();
        aborted_here(&world, 2).await;
        let counted = world.counted();
        assert!(counted.get("MPTcpExtMPFastcloseRx") >= 1, "{opener:?}: {counted}");
        world.assert_clean("aborted here");
    }
}

/// RFC 8684 §3.5, option A: MP_FASTCLOSE in an acknowledgment, which Linux answers with RST.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fastclose_in_an_acknowledgment_ends_the_connection_at_linux() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).endpoint(|b| b.fastclose_by_ack(true)).build();
        aborted_here(&world, 2).await;
        within(world.endpoint.at_rest()).await.expect("it runs");
        let counted = world.counted();
        assert!(counted.get("MPTcpExtMPFastcloseRx") >= 1, "{opener:?}: {counted}");
        world.assert_clean("aborted by acknowledgment");
    }
}

/// What a program does that reuses its socket: the connection is thrown away, and the next begins
/// at once (`connect` to `AF_UNSPEC`, then anew).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_thrown_away_and_begun_anew() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).build();
        for _ in 0..5 {
            aborted_here(&world, 2).await;
            aborted_there(&world, 2).await;
            world.transfer(Task::Both, MIB).await.assert_multipath("anew");
        }
        world.assert_clean("anew");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fastclose_of_linux_is_a_reset_here() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).build();
        aborted_there(&world, 2).await;
        let counted = world.counted();
        assert!(counted.get("MPTcpExtMPFastcloseTx") >= 1, "{opener:?}: {counted}");
        world.assert_clean("aborted there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_connections_end_in_the_same_ways() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).linux_plain().plain().build();
        half_closed(&world).await;
        aborted_here(&world, 1).await;
        aborted_there(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_listens_connections_are_refused() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        let world = Setup::new(Opener::Manypath).families(families).build();
        let refused = within(world.endpoint.connect(world.closed_port(Opener::Linux))).await;
        let error = refused.expect_err("nobody listens");
        assert_eq!(error, ConnectError::Failed(ConnectionError::Refused));

        let client = world.linux_client(world.closed_port(Opener::Manypath), Role::Sink);
        let report = tokio::task::block_in_place(|| client.report(crate::wait::PATIENCE));
        let kind = report.expect_err("nobody listens").kind();
        assert_eq!(kind, ErrorKind::ConnectionRefused);
    }
}
