//! Boxes on the path that remove options, change numbers or payload, and cut and join segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use manypath_base::Payload;
use manypath_lab::{Direction, LinkConfig, Loss, Middlebox, middlebox};
use manypath_wire::{Flags, Segment};

use crate::machine;
use crate::setup::{Opener, Setup};
use crate::task::{MIB, Moved, Task, play, receive_of_linux, send, sum_of_ours};
use crate::wait::{reach, within};
use crate::world::World;

/// A part of a connection in which options may vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Syn,
    SynAck,
    /// Every segment without payload that follows.
    Acks,
    /// Every segment with payload.
    Data,
    /// Everything after the SYNs.
    AfterSyns,
    Everything,
}

impl Phase {
    fn has(self, segment: &Segment) -> bool {
        let (syn, ack) = (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK));
        match self {
            Self::Syn => syn && !ack,
            Self::SynAck => syn && ack,
            Self::Acks => !syn && segment.payload.is_empty(),
            Self::Data => !syn && !segment.payload.is_empty(),
            Self::AfterSyns => !syn,
            Self::Everything => true,
        }
    }
}

type MakeBox = fn() -> Middlebox;

fn stripper(phase: Phase) -> Middlebox {
    middlebox::strip_mptcp(move |_, segment| phase.has(segment))
}

/// Both links strip options in `phase` from the first packet on.
fn stripping(opener: Opener, phase: Phase) -> World {
    let world = Setup::new(opener).build();
    (0..2).for_each(|link| world.middlebox(link, stripper(phase)));
    world
}

/// Options vanish in a phase, on all links: both ends go on with TCP, and nothing is lost.
async fn stripped(opener: Opener, phase: Phase, protocol: &str, tasks: &[Task]) {
    let Ok(_turn) = machine::shared().await else { return };
    for &task in tasks {
        let world = stripping(opener, phase);
        let what = format!("{opener:?} {phase:?} {task:?}");
        let moved = world.transfer(task, 2 * MIB).await;
        moved.assert_single_path(protocol, &what);
    }
}

const ALL: &[Task] = &[Task::Up, Task::Down, Task::Both];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_without_options_on_syns() {
    stripped(Opener::Manypath, Phase::Syn, "fell-back", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_without_options_on_syn_acks() {
    stripped(Opener::Manypath, Phase::SynAck, "fell-back", ALL).await;
}

/// Not downwards, and not where Linux opens: Linux, once the handshake is complete, goes on with
/// multipath although its data is acknowledged without DATA_ACK, and sends all of it again at the
/// data level; RFC 8684 §3.7 says that it MUST fall back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_without_options_on_data() {
    stripped(Opener::Manypath, Phase::Data, "fell-back", &[Task::Up]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_without_options_on_all_but_syns() {
    stripped(Opener::Manypath, Phase::AfterSyns, "fell-back", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_without_options_on_everything() {
    stripped(Opener::Manypath, Phase::Everything, "fell-back", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_without_options_on_syns() {
    stripped(Opener::Linux, Phase::Syn, "plain-tcp", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_without_options_on_syn_acks() {
    stripped(Opener::Linux, Phase::SynAck, "fell-back", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_without_options_on_all_but_syns() {
    stripped(Opener::Linux, Phase::AfterSyns, "fell-back", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_without_options_on_everything() {
    stripped(Opener::Linux, Phase::Everything, "plain-tcp", ALL).await;
}

/// Removes options from the third segment of handshakes, once for each connection.
fn third_ack_stripper() -> Middlebox {
    let mut due = false;
    middlebox::strip_mptcp(move |_, segment| {
        let (syn, ack) = (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK));
        let third = due && ack && !syn;
        due = syn && ack || due && !third;
        third
    })
}

/// RFC 8684 §3.1: where the third segment has no MP_CAPABLE, the session MUST fall back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_third_ack_alone_loses_its_options_it_is_tcp() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for &task in ALL {
            let world = Setup::new(opener).build();
            world.middlebox(0, third_ack_stripper());
            let moved = world.transfer(task, 2 * MIB).await;
            moved.assert_single_path("fell-back", &format!("{opener:?} {task:?}"));
        }
    }
}

/// The third segment of a join proves who sent it; without its option the join is refused or its
/// repetition taken, and the connection does not suffer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_third_ack_of_a_join_loses_its_options_the_connection_goes_on() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for &task in ALL {
            let world = Setup::new(opener).build();
            world.middlebox(1, third_ack_stripper());
            let what = format!("{opener:?} {task:?}");
            world.transfer(task, 4 * MIB).await.assert_multipath(&what);
        }
    }
}

/// Only ACKs without payload lose their options: those with data still say all that is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_options_vanish_from_acks_nothing_is_lost() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down, Task::Both] {
            stripping(opener, Phase::Acks).transfer(task, 2 * MIB).await;
        }
    }
}

/// Options vanish on the second link only: the connection stays multipath, with one path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_options_vanish_from_joins_the_first_path_goes_on() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for phase in [Phase::Syn, Phase::SynAck, Phase::AfterSyns, Phase::Everything] {
            let world = Setup::new(opener).build();
            world.middlebox(1, stripper(phase));
            for task in [Task::Up, Task::Down, Task::Both] {
                let what = format!("{opener:?} {phase:?} {task:?}");
                world.transfer(task, 4 * MIB).await.assert_multipath(&what);
            }
            let carried = Direction::BOTH.map(|d| world.link(1).stats(d).delivered.bytes);
            assert!(carried.iter().all(|&n| n < MIB), "{opener:?} {phase:?}: {carried:?}");
            world.assert_clean("joins stripped");
        }
    }
}

/// Options vanish from data of the second link in the middle of a transfer: what comes there cannot
/// be told where it belongs, so it comes again on the first link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_options_vanish_from_a_running_subflow_the_other_takes_over() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            let world = Setup::new(opener).build();
            let ends = world.connect(task, 16 * MIB).await;
            let id = ends.0.conn_id();
            let meanwhile = async {
                world.until_subflows(id, 2).await;
                world.middlebox(1, stripper(Phase::AfterSyns));
            };
            world.finish(ends, task, 16 * MIB, meanwhile).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequence_numbers_that_a_firewall_changes_do_not_matter() {
    let Ok(_turn) = machine::shared().await else { return };
    let lossy = LinkConfig { loss: Loss::ppm(2_000), ..LinkConfig::default() };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).links(vec![lossy.clone(); 2]).build();
        (0..2).for_each(|link| world.middlebox(link, middlebox::shift_sequence_numbers(7)));
        for task in [Task::Up, Task::Down, Task::Both] {
            let ends = world.connect(task, 32 * MIB).await;
            world.finish_over(2, ends, task, 32 * MIB).await.assert_multipath("shifted");
        }
        world.assert_clean("shifted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_are_cut_or_joined_on_the_way_keep_their_mappings() {
    let Ok(_turn) = machine::shared().await else { return };
    let wide = LinkConfig { mtu: 65_000, ..LinkConfig::default() };
    // Small pieces that wait behind a hole at the data level can fill Linux's receive buffer, by
    // what the kernel adds to each, and then it drops the hole's filling for ever: one link.
    let boxes: [(&str, usize, MakeBox); 2] =
        [("cut", 1, || middlebox::split(500)), ("joined", 2, middlebox::coalesce)];
    for opener in Opener::BOTH {
        for (what, links, middlebox) in boxes {
            let setup = Setup::new(opener).links(std::iter::repeat_n(wide.clone(), links));
            let world = setup.tun_mtu(65_000).paths(|_, path| path.mtu(1500)).build();
            (0..links).for_each(|link| world.middlebox(link, middlebox()));
            for task in [Task::Up, Task::Down, Task::Both] {
                let ends = world.connect(task, 8 * MIB).await;
                world.finish_over(links, ends, task, 8 * MIB).await.assert_multipath(what);
            }
            world.assert_clean(what);
        }
    }
}

/// Changes one byte of one payload in `direction`, once `armed`.
fn corrupter(direction: Direction, armed: &Arc<AtomicBool>) -> Middlebox {
    let armed = Arc::clone(armed);
    middlebox::edit(move |way, segment| {
        let data = way == direction && segment.payload.len() > 100;
        if data && armed.swap(false, Ordering::Relaxed) {
            let mut bytes = segment.payload.to_vec();
            bytes[50] ^= 1;
            segment.payload = Payload::from(Bytes::from(bytes));
        }
    })
}

fn way(task: Task) -> Direction {
    if task == Task::Up { Direction::Up } else { Direction::Down }
}

/// With several subflows the one whose checksum fails is closed with MP_FAIL, and what it carried
/// comes again on another (RFC 8684 §3.7).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_payload_costs_a_subflow_and_not_the_data() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            let world = Setup::new(opener).endpoint(|builder| builder.checksum(true)).build();
            let ends = world.connect(task, 8 * MIB).await;
            let armed = Arc::new(AtomicBool::new(true));
            let id = ends.0.conn_id();
            let meanwhile = async {
                world.until_subflows(id, 2).await;
                world.middlebox(1, corrupter(way(task), &armed));
            };
            let moved = world.finish(ends, task, 8 * MIB, meanwhile).await;
            moved.assert_multipath("changed");
            assert!(!armed.load(Ordering::Relaxed), "nothing was changed");
            let counted = world.counted();
            let (csum, fail) = match task {
                Task::Up => (1, counted.get("MPTcpExtMPFailTx")),
                _ => (0, counted.get("MPTcpExtMPFailRx")),
            };
            assert_eq!(counted.get("MPTcpExtDataCsumErr"), csum, "{opener:?} {task:?}: {counted}");
            assert_eq!(fail, 1, "{opener:?} {task:?}: {counted}");
        }
    }
}

/// With one subflow the connection goes on as plain TCP, with what the box made of the data: it may
/// be one that does so on purpose (RFC 8684 §3.7).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_payload_on_the_only_subflow_ends_multipath_and_not_the_connection() {
    let Ok(_turn) = machine::shared().await else { return };
    for (opener, task) in Opener::BOTH.into_iter().flat_map(|o| [(o, Task::Up), (o, Task::Down)]) {
        let links = [LinkConfig::mbps(50, Duration::from_millis(5))];
        let setup = Setup::new(opener).links(links).endpoint(|builder| builder.checksum(true));
        // Linux fills its packets as if the infinite mapping took no room: on a link that is no
        // wider than they are, it drops that packet itself, again and again.
        let world = setup.paths(|_, path| path.mtu(1_460)).build();
        let bytes = 4 * MIB;
        let ends = world.connect(task, bytes).await;
        let armed = Arc::new(AtomicBool::new(true));
        let meanwhile = async {
            let carried = || world.link(0).stats(way(task)).delivered.bytes;
            reach(|| carried() > MIB, || "the beginning".to_owned()).await;
            world.middlebox(0, corrupter(way(task), &armed));
        };
        let moved = play(&world.endpoint, ends, (task, bytes), meanwhile).await;
        let what = format!("{opener:?} {task:?}: {}", world.counted());
        moved.assert_single_path("fell-back", &what);
        assert_changed(&moved, &what);
    }
}

/// All bytes came, and not all as they were.
fn assert_changed(moved: &Moved, what: &str) {
    let linux = &moved.linux;
    assert!(linux.error.is_none(), "{what}: {:?}", linux.error);
    let lengths = [(moved.sent.0, linux.received.bytes), (moved.received.0, linux.sent.bytes)];
    assert!(lengths.iter().all(|(a, b)| a == b), "{what}: {lengths:?}");
    let up = moved.sent.1 == linux.received.sha256;
    let down = moved.received.1 == linux.sent.sha256;
    assert!(up != down, "{what}: one way is changed");
}

/// Options vanish in the middle of a transfer, and there is no other subflow. Where the receiver
/// cannot tell any more where data belongs, that is an error; where it goes on as TCP, all comes; and
/// nothing else is read in any case (RFC 8684 §3.7).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_options_vanish_from_the_only_subflow_nothing_wrong_is_read() {
    let Ok(_turn) = machine::shared().await else { return };
    for (opener, task) in Opener::BOTH.into_iter().flat_map(|o| [(o, Task::Up), (o, Task::Down)]) {
        let what = format!("{opener:?} {task:?}");
        let links = [LinkConfig::mbps(50, Duration::from_millis(5))];
        let world = Setup::new(opener).links(links).build();
        let bytes = 16 * MIB;
        let (stream, peer) = world.connect(task, bytes).await;
        let (mut read, mut write) = stream.into_split();
        let ours = async {
            match task {
                Task::Up => send(&mut write, bytes).await.map(|(sent, _)| sent),
                _ => receive_of_linux(&mut read).await,
            }
        };
        let meanwhile = async {
            let carried = || world.link(0).stats(way(task)).delivered.bytes;
            reach(|| carried() > MIB, || "the beginning".to_owned()).await;
            world.middlebox(0, stripper(Phase::AfterSyns));
        };
        let (ours, ()) = within(async { tokio::join!(ours, meanwhile) }).await;
        if task == Task::Down {
            // Linux gives a connection without subflows a minute to get another.
            assert!(ours.is_err() || ours.is_ok_and(|all| all == bytes), "{what}: it is cut short");
            continue;
        }
        drop((read, write));
        let linux = peer.report().await;
        let all_came = ours.is_ok() && linux.received.bytes == bytes;
        assert!(all_came || linux.error.is_some(), "{what}: Linux takes it for the end");
        let sum = sum_of_ours(linux.received.bytes);
        assert_eq!(linux.received.sha256, sum, "{what}: Linux read something else");
    }
}
