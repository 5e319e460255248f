//! Ends that do not read, do not speak, or are not there any more.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use manypath::{Event, Keepalive, PathDownReason};
use manypath_lab::Role;

use crate::machine;
use crate::setup::{Opener, Setup};
use crate::task::{MIB, Task};
use crate::wait::{event, within};
use crate::world::World;

/// More than both ends' buffers.
const BYTES: u64 = 24 * MIB;
/// Long enough for a window to close and to be probed several times.
const PAUSE: Duration = Duration::from_secs(4);

/// With multipath and without, whoever opens.
fn worlds() -> impl Iterator<Item = (String, World)> {
    Opener::BOTH.into_iter().flat_map(|opener| {
        [false, true].map(|plain| {
            let setup = Setup::new(opener);
            let setup = if plain { setup.linux_plain().plain() } else { setup };
            (format!("{opener:?}, plain: {plain}"), setup.build())
        })
    })
}

/// RFC 9293 §3.8.6.1: a closed window is probed until it opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_linux_closes_is_probed_until_it_opens() {
    let Ok(_turn) = machine::shared().await else { return };
    for (what, world) in worlds() {
        let ends = world.open(Role::Late { after: MIB, pause: PAUSE }).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            tokio::time::sleep(PAUSE / 2).await;
            let info = world.info(id);
            assert!(info.bytes_acknowledged < BYTES, "{what}: it never closed");
        };
        world.finish(ends, Task::Up, BYTES, meanwhile).await;
        world.assert_clean(&what);
    }
}

/// The other way round: Linux probes, and is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_is_closed_here_opens_for_linux() {
    let Ok(_turn) = machine::shared().await else { return };
    for (what, world) in worlds() {
        let ends = world.connect(Task::Down, BYTES).await;
        let id = ends.0.conn_id();
        tokio::time::sleep(PAUSE).await;
        assert!(world.info(id).bytes_received < BYTES, "{what}: it never closed");
        world.finish(ends, Task::Down, BYTES, async {}).await;
        world.assert_clean(&what);
    }
}

/// RFC 9293 §3.8.4: a peer that answers is left alone; where nobody does, every subflow ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keepalives_tell_a_quiet_linux_from_one_that_is_gone() {
    let Ok(_turn) = machine::shared().await else { return };
    let second = Duration::from_secs(1);
    let keepalive = Keepalive { idle: second, interval: second, count: 3 };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).endpoint(move |b| b.keepalive(keepalive)).build();
        let mut events = world.endpoint.events().expect("it runs");
        let (mut stream, _peer) = world.open(Role::Sink).await;
        within(stream.write_owned(Bytes::from_static(b"hello"))).await.expect("it is open");
        world.until_subflows(stream.conn_id(), 2).await;
        tokio::time::sleep(second * 6).await;
        assert_eq!(world.subflows(stream.conn_id()), 2, "{opener:?}");
        world.topology.links().iter().for_each(manypath_lab::LinkHandle::cut);
        let mut down = Vec::new();
        while down.len() < 2 {
            let gone = event(&mut events, |event| match event {
                Event::PathDown(_, subflow, reason) => Some((subflow, reason)),
                _ => None,
            });
            down.push(gone.await);
        }
        let timed_out = down.iter().all(|(_, reason)| *reason == PathDownReason::TimedOut);
        assert!(timed_out, "{opener:?}: {down:?}");
    }
}

/// RFC 9293 §3.8.3: data that nobody acknowledges ends the connection when the application says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_that_is_gone_ends_the_connection_at_the_user_timeout() {
    let Ok(_turn) = machine::shared().await else { return };
    for (what, world) in worlds() {
        let (mut stream, _peer) = world.open(Role::Sink).await;
        stream.set_user_timeout(Duration::from_secs(2)).expect("it runs");
        world.topology.links().iter().for_each(manypath_lab::LinkHandle::cut);
        within(stream.write_owned(Bytes::from_static(b"hello"))).await.expect("it is open");
        let error = within(stream.read_chunk()).await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{what}");
    }
}
