//! Several subflows: how many, which are backups, and what happens when one is reset.

use std::time::Duration;

use manypath::{Event, PathDownReason, SubflowId};
use manypath_lab::{Direction, LinkConfig, middlebox};
use manypath_wire::Segment;

use crate::machine;
use crate::setup::{Opener, Setup};
use crate::task::{KIB, MIB, Peer, Task};
use crate::wait::{event, reach};
use crate::world::World;

/// Links of which a connection needs several.
fn narrow(count: usize) -> Vec<LinkConfig> {
    vec![LinkConfig::mbps(20, Duration::from_millis(5)); count]
}

/// One, two, four and eight subflows, each of which carries data both ways.
async fn counts(opener: Opener) {
    let Ok(_turn) = machine::shared().await else { return };
    for count in [1, 2, 4, 8] {
        let world = Setup::new(opener).links(narrow(count)).build();
        let bytes = 2 * MIB * count as u64;
        let ends = world.connect(Task::Both, bytes).await;
        let moved = world.finish_over(count, ends, Task::Both, bytes).await;
        moved.assert_multipath("counted");
        assert_eq!(world.joined() + 1, count as u64, "{}", world.counted());
        world.assert_clean("counted");
        for link in world.topology.links() {
            for direction in Direction::BOTH {
                let carried = link.stats(direction).delivered.bytes;
                assert!(carried > MIB / 2, "{} of {count}: {carried} bytes", link.name());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_up_to_eight() {
    counts(Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_up_to_eight() {
    counts(Opener::Linux).await;
}

/// The way that the data of a task goes.
fn way(task: Task) -> Direction {
    if task == Task::Down { Direction::Down } else { Direction::Up }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_idle_until_it_is_the_last() {
    let Ok(_turn) = machine::shared().await else { return };
    for task in [Task::Up, Task::Down] {
        let setup = Setup::new(Opener::Manypath);
        let world = setup.paths(|link, path| if link == 1 { path.backup() } else { path }).build();
        let bytes = 16 * MIB;
        let ends = world.connect(task, bytes).await;
        let id = ends.0.conn_id();
        let carried = |link| world.link(link).stats(way(task)).delivered.bytes;
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            reach(|| carried(0) > 8 * MIB, || "half of it".to_owned()).await;
            assert!(carried(1) < 64 * KIB, "{task:?}: the backup carried {} bytes", carried(1));
            world.link(0).cut();
        };
        world.finish(ends, task, bytes, meanwhile).await.assert_multipath("backup");
        assert!(carried(1) > 4 * MIB, "{task:?}: the backup carried {} bytes", carried(1));
        world.assert_clean("backup");
    }
}

/// The B flag in a join of Linux (RFC 8684 §3.2). Both subflows end at one address here, so it is
/// a box that stops the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_linux_opens_is_idle_until_it_is_the_last() {
    let Ok(_turn) = machine::shared().await else { return };
    for task in [Task::Up, Task::Down] {
        let quiet = manypath::AddressFlags::default();
        let world = Setup::new(Opener::Linux).paths(move |_, path| path.flags(quiet)).build();
        world.linux_endpoint(1, &["subflow", "backup"]);
        let bytes = 16 * MIB;
        let ends = world.connect(task, bytes).await;
        let id = ends.0.conn_id();
        let carried = |n| {
            let subflows = world.info(id).subflows;
            let found = subflows.iter().find(|s| s.id == n);
            found.map_or(0, |s| s.bytes_sent + s.bytes_received)
        };
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            assert!(world.info(id).subflows.iter().any(|s| s.id == 1 && s.backup));
            reach(|| carried(0) > 8 * MIB, || "half of it".to_owned()).await;
            assert!(carried(1) < 64 * KIB, "{task:?}: the backup carried {} bytes", carried(1));
            let first = world.info(id).remote.port();
            let of_first =
                move |segment: &Segment| [segment.src_port, segment.dst_port].contains(&first);
            world.middlebox(0, middlebox::discard(move |_, segment| of_first(segment)));
            let what = || format!("{task:?}: the backup carried {} bytes", carried(1));
            reach(|| carried(1) > 4 * MIB, what).await;
        };
        world.finish(ends, task, bytes, meanwhile).await.assert_multipath("backup");
        world.assert_clean("backup");
    }
}

/// What the peer may still have sent on a subflow when it hears that it became a backup.
const GRACE: u64 = 4 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_heeds_a_subflow_made_a_backup_here() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).build();
        let bytes = 24 * MIB;
        let (stream, peer) = world.connect(Task::Down, bytes).await;
        world.until_subflows(stream.conn_id(), 2).await;
        stream.set_backup(SubflowId(1), true).expect("the subflow is there");
        let carried = |link| world.link(link).stats(Direction::Down).delivered.bytes;
        let mut at_grace = 0;
        let meanwhile = async {
            reach(|| carried(0) + carried(1) > GRACE, || "the beginning".to_owned()).await;
            at_grace = carried(1);
        };
        world.finish((stream, peer), Task::Down, bytes, meanwhile).await;
        let since = carried(1) - at_grace;
        assert!(since < MIB, "{opener:?}: the backup carried {since} more bytes");
        assert!(world.counted().get("MPTcpExtMPPrioRx") >= 1, "{}", world.counted());
        world.assert_clean("priority");
    }
}

/// A connection whose second subflow ends at an endpoint of Linux with identifier 5.
async fn at_an_endpoint_of_linux(opener: Opener, bytes: u64) -> (World, (manypath::Stream, Peer)) {
    let quiet = manypath::AddressFlags::default();
    let (setup, flag) = match opener {
        Opener::Linux => (Setup::new(opener).paths(move |_, path| path.flags(quiet)), "subflow"),
        Opener::Manypath => (Setup::new(opener).spare(1), "signal"),
    };
    let world = setup.build();
    world.linux_endpoint(1, &[flag, "id", "5"]);
    let ends = world.connect(Task::Up, bytes).await;
    (world, ends)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subflow_made_a_backup_by_linux_is_heeded_here() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let bytes = 24 * MIB;
        let (world, ends) = at_an_endpoint_of_linux(opener, bytes).await;
        let (id, mut events) = (ends.0.conn_id(), world.endpoint.events().expect("it runs"));
        let sent =
            || world.info(id).subflows.iter().find(|s| s.id == 1).map_or(0, |s| s.bytes_sent);
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            reach(|| sent() > MIB, || "the beginning".to_owned()).await;
            let change = ["mptcp", "endpoint", "change", "id", "5", "backup"];
            world.topology.server().ip(&change).expect("the kernel takes it");
            let changed = event(&mut events, |event| match event {
                Event::PrioChanged { subflow, backup, .. } => Some((subflow, backup)),
                _ => None,
            });
            assert_eq!(changed.await, (SubflowId(1), true));
            let at_change = sent();
            reach(|| world.info(id).bytes_acknowledged > 20 * MIB, || "most of it".to_owned())
                .await;
            // What was given to the subflow before is still sent on it.
            let since = sent() - at_change;
            assert!(since < 2 * MIB, "the backup sent {since} more bytes");
        };
        world.finish(ends, Task::Up, bytes, meanwhile).await.assert_multipath("priority");
        assert!(world.counted().get("MPTcpExtMPPrioTx") >= 1, "{}", world.counted());
        world.assert_clean("priority");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subflow_that_is_reset_loses_nothing() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            let world = Setup::new(opener).build();
            let mut events = world.endpoint.events().expect("it runs");
            let ends = world.connect(task, 16 * MIB).await;
            world.middlebox(1, middlebox::reset_after(way(task), 256 * KIB));
            world.finish_over(2, ends, task, 16 * MIB).await.assert_multipath("reset");
            let down = event(&mut events, |event| match event {
                Event::PathDown(_, subflow, reason) => Some((subflow, reason)),
                _ => None,
            });
            assert_eq!(down.await, (SubflowId(1), PathDownReason::Reset(None)), "{opener:?}");
            world.assert_clean("reset");
        }
    }
}
