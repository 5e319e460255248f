//! Two endpoints that are used in every way over a hostile network: no byte is lost or changed,
//! everything comes to its end, and nothing is left behind.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use std::net::SocketAddr;

use common::{PORT, World, addr, ms, simple_interface};
use manypath_base::{IfaceId, Rng};
use manypath_link::{LinkConfig, Loss};
use manypath_mptcp::{ConnectOptions, ConnectionMode, EndpointConfig, Event, SynCookies};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// One side writes so many bytes.
    Write(usize, u64),
    /// One side stops reading, or begins again.
    Read(usize, bool),
    /// One side closes its half.
    Shutdown(usize),
    Cut(usize),
    Restore(usize),
    /// The client's address on a path goes.
    Remove(usize),
    Add(usize),
    Advance(u64),
}

fn op(rng: &mut Rng, paths: usize) -> Op {
    let side = usize::from(rng.chance(1, 2));
    let path = rng.below(paths as u64) as usize;
    match rng.below(16) {
        0..5 => Op::Write(side, 1 + rng.below(60_000)),
        5 => Op::Read(side, false),
        6 => Op::Read(side, true),
        7 => Op::Shutdown(side),
        8 => Op::Cut(path),
        9 => Op::Restore(path),
        10 => Op::Remove(path),
        11 => Op::Add(path),
        _ => Op::Advance(1 + rng.below(1_200)),
    }
}

/// A path that loses, reorders and repeats.
fn hostile(rng: &mut Rng) -> LinkConfig {
    LinkConfig {
        loss: Loss::ppm(rng.below(50_000) as u32),
        reorder_ppm: rng.below(100_000) as u32,
        reorder_delay: ms(rng.below(40)),
        duplicate_ppm: rng.below(50_000) as u32,
        ..common::link(1 + rng.below(50), ms(1 + rng.below(60)))
    }
}

fn run(seed: u64) {
    let mut rng = Rng::seeded(seed);
    let paths = 2 + rng.below(2) as usize;
    let links: Vec<LinkConfig> = (0..paths).map(|_| hostile(&mut rng)).collect();
    let mut config = EndpointConfig { checksum: rng.chance(1, 4), ..EndpointConfig::default() };
    if rng.chance(1, 2) {
        (config.tcp.recv_buffer, config.tcp.recv_buffer_max) = (20_000, 20_000);
        config.send_buffer_max = 30_000;
    }
    let syn_cookies =
        if seed.is_multiple_of(3) { SynCookies::Always } else { SynCookies::default() };
    let server = EndpointConfig { syn_cookies, ..EndpointConfig::default() };
    let mut world = World::with(seed, &links, &config, &server);
    let mode = match rng.chance(1, 8) {
        true => ConnectionMode::PlainTcp,
        false => ConnectionMode::Automatic,
    };
    let options = ConnectOptions { mode, ..ConnectOptions::default() };
    world.open(&options);
    (0..2).for_each(|side| world.write(side, 1));
    let end = world.now + ms(60_000);
    assert!(world.run_until(end, |w| w.client.into.read == 1 && w.server.into.read == 1));
    for _ in 0..40 {
        match op(&mut rng, paths) {
            // A connection that never had a second path does not outlive its only one.
            Op::Remove(_) if ups(&world) < 2 => {}
            op => apply(&mut world, op),
        }
    }
    (0..paths).for_each(|path| apply(&mut world, Op::Add(path)));
    (0..paths).for_each(|path| apply(&mut world, Op::Restore(path)));
    (0..2).for_each(|side| apply(&mut world, Op::Read(side, true)));
    (0..2).for_each(|side| apply(&mut world, Op::Shutdown(side)));
    assert!(world.run(ms(400_000)), "{}", world.describe());
    world.run_for(ms(1));
    world.release();
    world.run_for(ms(400_000));
    for host in [&world.client, &world.server] {
        assert_eq!((host.endpoint.len(), host.endpoint.poll_timeout()), (0, None));
    }
}

/// Subflows that came up at the server so far.
fn ups(world: &World) -> usize {
    world.server.events.iter().filter(|(_, e)| matches!(e, Event::PathUp { .. })).count()
}

fn apply(world: &mut World, op: Op) {
    let now = world.now;
    match op {
        Op::Write(side, bytes) => world.write(side, bytes),
        Op::Read(side, on) => world.host(side).reads = on,
        Op::Shutdown(side) => world.close(side),
        Op::Cut(path) => world.cut(path),
        Op::Restore(path) => world.restore(path),
        Op::Remove(path) => world.client.endpoint.remove_interface(now, IfaceId(path as u32)),
        Op::Add(path) => {
            let interface = simple_interface(path as u32, addr(path, 1));
            world.client.endpoint.add_interface(now, interface);
        }
        Op::Advance(millis) => world.run_for(ms(millis)),
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_left() {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(1_000),
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "SEED={seed} fails");
    }
}

#[test]
fn two_hundred_connections_share_an_endpoint() {
    let links = [common::link(100, ms(5)), common::link(100, ms(20))];
    let config = EndpointConfig::default();
    let mut world = World::with(9, &links, &config, &config);
    world.server.reads = false;
    let to = SocketAddr::new(addr(0, 2), PORT);
    let ids: Vec<_> = (0..200)
        .map(|_| world.client.endpoint.connect(world.now, to, &ConnectOptions::default()).unwrap())
        .collect();
    world.run_for(ms(3_000));
    for &id in &ids {
        let mut chunk = bytes::Bytes::from(id.0.to_be_bytes().to_vec());
        world.client.endpoint.write(world.now, id, &mut chunk).unwrap();
        world.client.endpoint.shutdown(world.now, id);
        assert_eq!(world.client.endpoint.info(id).unwrap().subflows.len(), 2);
    }
    world.run_for(ms(3_000));
    let accepted = world.server.accepted.clone();
    assert_eq!(accepted.len(), 200);
    let mut read: Vec<u64> = accepted
        .iter()
        .map(|&id| {
            let chunk = world.server.endpoint.read(world.now, id).unwrap().unwrap();
            world.server.endpoint.release(world.now, id);
            u64::from_be_bytes(chunk[..].try_into().unwrap())
        })
        .collect();
    read.sort_unstable();
    assert_eq!(read, ids.iter().map(|id| id.0).collect::<Vec<_>>());
    ids.iter().for_each(|&id| world.client.endpoint.release(world.now, id));
    world.run_for(ms(130_000));
    assert_eq!((world.client.endpoint.len(), world.server.endpoint.len()), (0, 0));
}
