//! Every controller with every scheduler over two unequal lossy paths: nothing is lost, and the
//! paths are used as the scheduler means it.

mod common;

use common::{World, link, ms};
use manypath_cc::Algorithm as CongestionControl;
use manypath_link::{LinkConfig, Loss};
use manypath_mptcp::EndpointConfig;
use manypath_sched::Algorithm as Scheduler;

const BYTES: u64 = 2 << 20;

/// 20 Mb/s in 10 ms and 10 Mb/s in 40 ms, each losing two packets in a thousand.
fn lossy() -> [LinkConfig; 2] {
    [link(20, ms(10)), link(10, ms(40))].map(|link| LinkConfig { loss: Loss::ppm(2_000), ..link })
}

/// Runs a transfer to its end; bytes sent on each path.
fn transfer(cc: CongestionControl, scheduler: Scheduler, seed: u64) -> [u64; 2] {
    let config = EndpointConfig { congestion_control: cc, scheduler, ..EndpointConfig::default() };
    let mut world = World::with(seed, &lossy(), &config, &EndpointConfig::default());
    world.start(BYTES, 0);
    let mut sent = [0, 0];
    let end = world.now + ms(60_000);
    while !world.server.into.finished {
        world.run_for(ms(20));
        for (&id, &bytes) in &world.client.sent_by_subflow() {
            sent[usize::from(id > 0)] = bytes;
        }
        assert!(world.now < end, "{cc} {scheduler} seed {seed}: {}", world.describe());
    }
    sent
}

#[test]
fn every_controller_works_with_every_scheduler() {
    for cc in CongestionControl::ALL {
        for scheduler in Scheduler::ALL {
            let [first, second] = transfer(cc, scheduler, 1);
            let both = first.min(second);
            let name = format!("{cc} {scheduler}: {first} and {second}");
            match scheduler {
                Scheduler::Handover => assert!(first >= BYTES && second == 0, "{name}"),
                Scheduler::Redundant => assert!(first + second > BYTES * 9 / 8, "{name}"),
                Scheduler::LowestRtt
                | Scheduler::RoundRobin
                | Scheduler::Blest
                | Scheduler::Ecf
                | Scheduler::Sttf
                | Scheduler::LeastLinger
                | Scheduler::Weighted => {
                    assert!(both > 20_000 && first + second < BYTES * 5 / 4, "{name}");
                }
            }
        }
    }
}

/// COUPLED is a baseline, known not to: a loss on either path takes half of both windows from it.
#[test]
fn every_controller_pools_two_clean_paths() {
    for cc in CongestionControl::ALL {
        let config = EndpointConfig { congestion_control: cc, ..EndpointConfig::default() };
        let links = [link(20, ms(10)), link(10, ms(40))];
        let mut world = World::with(1, &links, &config, &EndpointConfig::default());
        world.start(100 << 20, 0);
        world.run_for(ms(6_000));
        let megabits = world.server.rate(world.now - ms(4_000), world.now) / 1e6;
        let least = if cc == CongestionControl::Coupled { 8.0 } else { 24.0 };
        assert!(megabits > least, "{cc}: {megabits:.1} Mb/s of 28.5");
    }
}

/// What a full window holds back waits at the connection, and the subflow has nothing to send: that is
/// no pause of the application, and BBR takes the rate for what the path carries.
#[test]
fn bbr_ends_startup_behind_a_window_that_is_always_full() {
    let cc = CongestionControl::Bbr;
    let client = EndpointConfig { congestion_control: cc, ..EndpointConfig::default() };
    let mut server = EndpointConfig::default();
    (server.tcp.recv_buffer, server.tcp.recv_buffer_max) = (300_000, 300_000);
    let mut world = World::with(1, &[link(100, ms(50))], &client, &server);
    world.start(100 << 20, 0);
    world.run_for(ms(3_000));
    let info = world.client.conn.and_then(|conn| world.client.endpoint.info(conn));
    let ssthresh = info.expect("it is there").subflows[0].path.ssthresh;
    assert_ne!(ssthresh, u32::MAX, "Startup goes on");
}

/// What was on the dead path goes over the other, under every scheduler: also where the other has
/// carried some of it already.
#[test]
fn every_scheduler_survives_the_death_of_either_path() {
    for scheduler in Scheduler::ALL {
        for dead in [0, 1] {
            let config = EndpointConfig { scheduler, ..EndpointConfig::default() };
            let mut world = World::with(2, &lossy(), &config, &EndpointConfig::default());
            world.start(BYTES, 0);
            world.run_for(ms(400));
            world.cut(dead);
            assert!(world.run(ms(60_000)), "{scheduler}, {dead} dead: {}", world.describe());
        }
    }
}
