//! A receiver that gives up a path which is silent while it owes data, and no other.

mod common;

use std::time::Duration;

use common::raw::{Raw, Sub};
use common::{World, ms};
use manypath_link::LinkConfig;
use manypath_mptcp::{Event, PathDownReason};
use manypath_wire::{Flags, MptcpOptions};

/// The first path has brought bytes 1 to 4, and owes 5 to 8.
fn owing() -> (Raw, Sub, Sub) {
    let mut raw = Raw::new();
    let (mut first, second) = raw.connected_twice();
    raw.data(&mut first, 1, b"some");
    raw.pass(45);
    raw.said();
    (raw, first, second)
}

/// The second path brings one byte every 5 ms, behind what the first one owes.
fn go_on(raw: &mut Raw, second: &mut Sub, millis: u64) {
    for _ in 0..millis / 5 {
        let at = 8 + u64::from(second.seq);
        raw.data(second, at, b"x");
        raw.pass(5);
    }
}

fn gave_up(raw: &Raw) -> bool {
    raw.events.iter().any(|e| matches!(e, Event::PathDown(_, _, PathDownReason::Silent)))
}

#[test]
fn a_silent_path_is_asked_then_given_up_and_withdrawn() {
    let (mut raw, _, mut second) = owing();
    go_on(&mut raw, &mut second, 45);
    assert!(!raw.said().iter().any(|s| s.starts_with("#0")), "50 ms are no silence");
    go_on(&mut raw, &mut second, 50);
    let said = raw.said();
    let first: Vec<_> = said.iter().filter(|s| s.starts_with("#0")).collect();
    assert_eq!(first, ["#0 ack 5"], "asked once, by a keep-alive");
    assert!(!gave_up(&raw));
    go_on(&mut raw, &mut second, 15);
    let said = raw.said();
    assert!(gave_up(&raw) && said.iter().any(|s| s.starts_with("#0 R ack 5")), "{said:?}");
    assert!(said.iter().any(|s| s.starts_with("#1") && s.ends_with("remove [0]")), "{said:?}");
}

#[test]
fn a_path_that_answers_is_kept() {
    let (mut raw, first, mut second) = owing();
    for _ in 0..5 {
        go_on(&mut raw, &mut second, 60);
        assert!(raw.said().iter().any(|s| s == "#0 ack 5"), "it is asked");
        raw.send(first, Flags::ACK, MptcpOptions::default(), b"");
    }
    assert!(!gave_up(&raw));
}

/// Where the peer is gone there is nothing to look at, and no reason to wake up.
#[test]
fn nobody_looks_while_nobody_speaks() {
    let (mut raw, _, mut second) = owing();
    go_on(&mut raw, &mut second, 60);
    raw.pass(500);
    let mut wakes = 0;
    let end = raw.now + ms(60_000);
    while let Some(at) = raw.endpoint.poll_timeout().filter(|&at| at < end) {
        raw.pass(u64::try_from(at.since(raw.now).as_millis()).unwrap() + 1);
        wakes += 1;
    }
    assert!(wakes < 10, "{wakes}");
    assert!(!gave_up(&raw));
}

#[test]
fn a_pause_of_this_host_costs_no_path() {
    let (mut raw, mut first, mut second) = owing();
    raw.data(&mut second, 9, b"x");
    for _ in 0..4 {
        // Nothing was read or timed for half a second; the timers come first, then the packets.
        raw.now += ms(500);
        raw.pass(0);
        let at = 9 + u64::from(second.seq);
        raw.data(&mut second, at, b"x");
        raw.send(first, Flags::ACK, MptcpOptions::default(), b"");
    }
    assert!(!gave_up(&raw));
    raw.data(&mut first, 5, b"more");
    assert!(raw.read().starts_with("somemore"));
}

#[test]
fn silence_of_all_paths_is_no_sign() {
    let (mut raw, _, mut second) = owing();
    raw.data(&mut second, 9, b"x");
    raw.pass(1_500);
    assert!(!gave_up(&raw));
}

/// Two short links; the first one stands still for a while, again and again.
#[test]
fn a_living_path_with_a_short_round_trip_outlasts_pauses() {
    let short = LinkConfig::mbps(100, Duration::from_micros(125));
    for pause in [40, 60, 80] {
        let mut world = World::new(pause, &[short.clone(), short.clone()]);
        world.start(0, 400 << 20);
        world.run_for(ms(500));
        for _ in 0..5 {
            let now = world.now;
            world.links[0].iter_mut().for_each(|l| {
                l.set_config(now, LinkConfig { delay: ms(pause), ..short.clone() });
            });
            world.run_for(ms(pause));
            let now = world.now;
            world.links[0].iter_mut().for_each(|l| l.set_config(now, short.clone()));
            world.run_for(ms(400));
        }
        let down = |e: &Event| matches!(e, Event::PathDown(..));
        assert!(!world.client.events.iter().any(|(_, e)| down(e)), "pause of {pause} ms");
    }
}
