//! A pair of hosts over simulated links: nothing is lost, both paths are used, failures are moved
//! away from.

mod common;

use common::{World, link, ms};
use manypath_mptcp::{ConnectOptions, Protocol};

#[test]
fn a_small_exchange_over_one_path_ends_in_good_order() {
    let mut world = World::new(1, &[link(10, ms(10))]);
    world.start(1, 1);
    assert!(world.run(ms(2_000)), "client {:?}", world.client.events);
    world.run_for(ms(1_000));
    assert!(world.client.closed && world.server.closed);
}

/// The path that this side would close on has died, and nothing was sent on it that could tell.
#[test]
fn a_half_is_closed_although_the_path_that_only_received_is_dead() {
    let mut world = World::new(3, &[link(20, ms(5)), link(10, ms(20))]);
    world.open(&ConnectOptions::default());
    world.write(1, 1 << 20);
    let end = world.now + ms(5_000);
    assert!(world.run_until(end, |w| w.client.into.read == 1 << 20), "{}", world.describe());
    world.run_for(ms(1_000));
    world.cut(0);
    world.close(0);
    let end = world.now + ms(5_000);
    assert!(world.run_until(end, |w| w.server.into.finished), "{}", world.describe());
}

#[test]
fn two_paths_carry_one_stream() {
    let mut world = World::new(2, &[link(20, ms(10)), link(10, ms(40))]);
    world.start(4 << 20, 0);
    assert!(
        world.run(ms(10_000)),
        "read {} of {}",
        world.server.into.read,
        world.server.into.total
    );
    let info = world.client.endpoint.info(world.client.conn.unwrap()).unwrap();
    assert_eq!(info.protocol, Protocol::Multipath);
    let sent = world.client.sent_by_subflow();
    assert!(sent.len() == 2 && sent.values().all(|&n| n > 400_000), "{sent:?}");
}

/// The two links of the demo: "wifi" and "lte".
const WIFI: usize = 0;

fn demo_world(seed: u64) -> World {
    World::new(seed, &[link(20, ms(10)), link(10, ms(40))])
}

/// Payload bits per second that both links of the demo can carry: 1,428 bytes of each 1,500-byte
/// packet are payload beside IP, TCP, timestamps and a DSS option of 20 bytes.
const CEILING: f64 = 30e6 * 1428.0 / 1500.0;

#[test]
fn both_paths_are_pooled() {
    let mut efficiencies = vec![];
    for seed in 0..3 {
        let mut world = demo_world(seed);
        let start = world.now;
        world.start(100 << 20, 0);
        world.run_for(ms(8_000));
        let rate = world.server.rate(start, start + ms(8_000));
        efficiencies.push(rate / CEILING);
    }
    eprintln!("efficiency {efficiencies:.3?}");
    assert!(efficiencies.iter().all(|&e| e >= 0.95), "{efficiencies:.3?}");
}

#[test]
fn a_dead_path_stalls_the_stream_only_briefly() {
    let mut stalls = vec![];
    for seed in 0..6 {
        let mut world = demo_world(seed);
        world.start(100 << 20, 0);
        world.run_for(ms(2_500 + 43 * seed));
        let cut = world.now;
        world.cut(WIFI);
        world.run_for(ms(3_000));
        stalls.push(world.server.longest_stall(cut).as_millis());
        let restored = world.now;
        let before = world.server.rate(cut + ms(2_000), restored);
        world.restore(WIFI);
        world.run_for(ms(4_000));
        let after = world.server.rate(restored + ms(2_000), world.now);
        assert!(after > 0.9 * CEILING, "seed {seed}: {before} then {after}");
    }
    eprintln!("stalls {stalls:?}");
    assert!(stalls.iter().all(|&s| s <= 250), "{stalls:?}");
}

#[test]
fn a_path_that_dies_under_a_receiver_is_given_up_by_it() {
    let mut stalls = vec![];
    for seed in 0..6 {
        let mut world = demo_world(seed);
        world.start(0, 100 << 20);
        world.run_for(ms(2_500 + 43 * seed));
        let cut = world.now;
        world.cut(WIFI);
        world.run_for(ms(3_000));
        stalls.push(world.client.longest_stall(cut).as_millis());
        let restored = world.now;
        world.restore(WIFI);
        world.run_for(ms(4_000));
        let after = world.client.rate(restored + ms(2_000), world.now);
        assert!(after > 0.9 * CEILING, "seed {seed}: {after}");
    }
    eprintln!("stalls {stalls:?}");
    assert!(stalls.iter().all(|&s| s <= 250), "{stalls:?}");
}
