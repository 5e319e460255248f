//! Paths that drop large packets silently (RFC 2923 §2.1, RFC 4821).

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, Mss, SeqNum};
use manypath_wire::{IcmpError, IcmpKind};

use crate::testing::{FixedWindow, Script, established, opening};
use crate::{Config, Flow, Plain};

/// RFC 4821 §7.7: after timeouts in a row a smaller packet is tried; when it gets through and a
/// large one does not, the size is lowered. Ten minutes later a larger one is tried again.
#[test]
fn packets_shrink_in_a_black_hole() {
    Script::established().mss(1460).run(
        "
        0ms    write 4000
        0ms    > 1:1461
        0ms    > 1461:2921
        80ms   > 2921:4001
        280ms  > 1:1461
        680ms  > 1:1241         // the second timeout: a trial
        720ms  < ack 1241
        720ms  check mss 1460
        720ms  > 1241:1461
        720ms  > 1461:2921      // lost again
        720ms  > 2921:4001
        760ms  < ack 1461 sack 2921:4001
        760ms  > 1461:2921      // and again
        960ms  > 1461:2701
        960ms  check mss 1240
        1000ms < ack 2701 sack 2921:4001
        1000ms > 2701:2921
        1040ms < ack 4001
        600s   write 1240
        600s   > 4001:5241
        600040ms < ack 5241
        601s   write 1460
        601s   check mss 1460
        601s   > 5241:6701
        ",
    );
}

/// A path that was dead for a while carries large packets again: nothing changes.
#[test]
fn a_path_that_was_dead_keeps_its_size() {
    Script::established().mss(1460).run(
        "
        0ms    write 2920
        0ms    > 1:1461
        0ms    > 1461:2921
        80ms   > 1461:2921
        280ms  > 1:1461
        680ms  > 1:1241
        1480ms > 1:985          // still nothing: smaller
        1520ms < ack 985
        1520ms > 985:1241
        1520ms > 1241:1461
        1520ms > 1461:2921
        1560ms < ack 2921
        1560ms check mss 1460
        1600ms write 1460
        1600ms > 2921:4381
        1800ms > 2921:4381      // not taken for a black hole at once
        1800ms check mss 1460
        ",
    );
}

/// Small packets prove nothing about large ones.
#[test]
fn small_packets_are_not_suspected() {
    Script::established().mss(1460).run(
        "
        0ms    write 400
        0ms    > 1:401
        120ms  > 1:401
        320ms  > 1:401
        720ms  > 1:401
        1520ms > 1:401
        1560ms < ack 401
        1560ms check mss 1460
        ",
    );
}

/// RFC 1191 §6.3, RFC 8201 §4: what an error lowered is raised after ten minutes too.
#[test]
fn an_error_does_not_last_for_ever() {
    Script::established().mss(1460).run(
        "
        0ms   write 1460
        0ms   > 1:1461
        5ms   icmp 1280 1
        5ms   > 1:1241
        5ms   > 1241:1461
        45ms  < ack 1461
        700s  write 1460
        700s  > 1461:2921
        ",
    );
}

/// What a flow tells of itself changes with its packets, and it says so, also while it has no room to
/// send any: who keeps what it told asks again.
#[test]
fn a_flow_without_room_says_that_its_packets_are_larger_again() {
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    let mss = Mss(1460);
    let config = Config { pacing: false, ..Config::default() };
    let opening = opening((1, 2), SeqNum(100), config, mss, Box::new(FixedWindow::new(2_920, mss)));
    let mut flow = established((at(1), at(2)), opening, SeqNum(500), u16::MAX);
    let drain = |flow: &mut Flow, now| while flow.poll_transmit(now, &mut Plain).is_some() {};
    flow.write(Bytes::from(vec![7; 10_000]));
    drain(&mut flow, at(2));
    let (local, remote) = (flow.local(), flow.remote());
    let kind = IcmpKind::PacketTooBig { mtu: 1_280 };
    flow.handle_icmp(at(2), &IcmpError { kind, local, remote, seq: SeqNum(101) });
    drain(&mut flow, at(2));
    let known = (flow.changes(), flow.scheduler_view().unwrap());
    assert_eq!(known.1.mss, Mss(1_240));
    drain(&mut flow, at(601));
    assert_eq!((flow.changes(), flow.scheduler_view().unwrap()), known);
    drain(&mut flow, at(602));
    assert_ne!(flow.changes(), known.0);
    assert_eq!(flow.scheduler_view().unwrap().mss, mss);
}
