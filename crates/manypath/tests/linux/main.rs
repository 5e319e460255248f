//! An endpoint and Linux, over two emulated links, in both roles and with both IP versions.
//!
//! Here and not in the lab's tests, because the lab knows nothing of the stack under test: arrows
//! point down, and only a development dependency may cross.

mod world;

use std::io::ErrorKind;

use manypath::{ConnectError, ConnectionError, Event, Events, FallbackReason, Notice};
use manypath_lab::{Counters, Direction, Family, MPTCP_LAB, Role, Transport, skip_unless};
use tokio::task::block_in_place;

use world::{Moved, Opener, PATIENCE, Task, World, play, within};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SIZES: [u64; 4] = [0, 1, 64 * KIB, 16 * MIB];

/// Nothing fell back, failed to authenticate or did not match, by the kernel's counters.
fn assert_clean(counted: &Counters, what: (Task, u64)) {
    let wrong = ["Fallback", "InfiniteMap", "HMacFailure", "MPFail", "DSS", "DataCsumErr"];
    for (name, value) in counted.iter("MPTcpExt") {
        assert!(
            !wrong.iter().any(|part| name.contains(part)),
            "{what:?}: {name}={value}: {counted}"
        );
    }
}

/// Every task with every size, one after the other.
async fn every_size(family: Family, opener: Opener, joined: &str) {
    let world = World::new(family, opener, Transport::Mptcp);
    for task in [Task::Up, Task::Down, Task::Echo] {
        for bytes in SIZES {
            let Moved { linux, .. } = world.transfer(task, bytes).await;
            assert_eq!(linux.mptcp.map(|info| info.fallback), Some(false), "{task:?} {bytes}");
            assert_clean(&world.counted(), (task, bytes));
        }
    }
    let counted = world.counted();
    assert!(counted.get(joined) >= 3, "{joined}: {counted}");
    for link in [0, 1] {
        for direction in Direction::BOTH {
            let carried = world.link(link).stats(direction).delivered.bytes;
            assert!(carried > 2 * MIB, "link {link} carried {carried} bytes {direction:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_ipv4() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    every_size(Family::V4, Opener::Manypath, "MPTcpExtMPJoinAckRx").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_ipv6() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    every_size(Family::V6, Opener::Manypath, "MPTcpExtMPJoinAckRx").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_ipv4() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    every_size(Family::V4, Opener::Linux, "MPTcpExtMPJoinSynAckRx").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_ipv6() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    every_size(Family::V6, Opener::Linux, "MPTcpExtMPJoinSynAckRx").await;
}

/// The reasons for falling back that were told so far.
fn fallbacks(events: &mut Events) -> Vec<FallbackReason> {
    std::iter::from_fn(|| events.try_next())
        .filter_map(|notice| match notice {
            Notice::Event(Event::FellBack(_, reason)) => Some(reason),
            Notice::Event(_) => None,
            Notice::Lagged(n) => panic!("missed {n} events"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_multipath_gets_plain_tcp_and_everybody_is_told() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    let cases = [
        // Multipath was asked for and is not there; that it was not asked for is no event.
        (Family::V4, Opener::Manypath, "fell-back", &[FallbackReason::NotSupported][..]),
        (Family::V6, Opener::Linux, "plain-tcp", &[]),
    ];
    for (family, opener, protocol, told) in cases {
        let world = World::new(family, opener, Transport::Tcp);
        let mut events = world.endpoint.events().expect("it runs");
        let ends = within(world.connect(Task::Echo, MIB)).await;
        let info = ends.0.info().expect("it runs");
        let moved = play(&world.endpoint, ends, (Task::Echo, MIB), async {}).await;
        moved.assert_intact(Task::Echo, MIB);
        assert_eq!((info.protocol.as_str(), moved.linux.mptcp), (protocol, None));
        assert_eq!(fallbacks(&mut events), told, "{opener:?}");
    }
}

/// The first link dies in the middle and comes back, and carries data again before the end.
async fn cut_and_restored(task: Task, opener: Opener) {
    let direction = if task == Task::Up { Direction::Up } else { Direction::Down };
    let world = World::new(Family::V4, opener, Transport::Mptcp);
    let bytes = 64 * MIB;
    let ends = within(world.connect(task, bytes)).await;
    let delivered = || {
        let carried = |link| world.link(link).stats(direction).delivered.bytes;
        [carried(0), carried(1)]
    };
    let mut at_restore = [0; 2];
    let meanwhile = async {
        reach(|| delivered().iter().sum::<u64>() > 4 * MIB).await;
        world.link(0).cut();
        let at_cut = delivered();
        reach(|| delivered()[1] > at_cut[1] + 4 * MIB).await;
        world.link(0).restore();
        at_restore = delivered();
    };
    play(&world.endpoint, ends, (task, bytes), meanwhile).await.assert_intact(task, bytes);
    let since = delivered()[0] - at_restore[0];
    assert!(since > MIB, "{since} bytes on the link that was restored");
    assert_clean(&world.counted(), (task, bytes));
}

/// Waits until `condition` holds.
async fn reach(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_outlives_its_first_link_and_takes_it_back() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    cut_and_restored(Task::Up, Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_outlives_its_first_link_and_takes_it_back() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    cut_and_restored(Task::Down, Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_listens_connections_are_refused() {
    let Ok(()) = skip_unless(MPTCP_LAB) else { return };
    for family in [Family::V4, Family::V6] {
        let world = World::new(family, Opener::Manypath, Transport::Mptcp);
        let refused = within(world.endpoint.connect(world.closed_port(Opener::Linux))).await;
        let error = refused.expect_err("nobody listens");
        assert_eq!(error, ConnectError::Failed(ConnectionError::Refused));

        let client = world.linux_client(world.closed_port(Opener::Manypath), Role::Sink);
        let report = block_in_place(|| client.report(PATIENCE));
        let kind = report.expect_err("nobody listens").kind();
        assert_eq!(kind, ErrorKind::ConnectionRefused);
    }
}
