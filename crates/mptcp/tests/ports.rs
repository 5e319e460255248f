//! Local ports: those asked for, and those of connections that wait in TIME-WAIT.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::World;
use manypath_link::LinkConfig;
use manypath_mptcp::{ConnectError, ConnectOptions, EndpointConfig};

fn from_port(port: u16) -> ConnectOptions {
    ConnectOptions { local_port: Some(port), ..ConnectOptions::default() }
}

fn world(timestamps: bool) -> World {
    let link = LinkConfig::mbps(10, Duration::from_millis(5));
    let mut config = EndpointConfig::default();
    config.tcp.timestamps = timestamps;
    World::with(1, &[link.clone(), link], &config, &config)
}

/// A connection from a port, which the client closes first.
fn one_from(world: &mut World, port: u16) {
    world.open(&from_port(port));
    world.run_for(Duration::from_secs(1));
    world.close(0);
    world.run_for(Duration::from_secs(1));
    world.close(1);
    assert!(world.run(Duration::from_secs(1)), "{}", world.describe());
}

fn connect(world: &mut World, port: u16) -> Result<(), ConnectError> {
    let to = SocketAddr::new(world.to, common::PORT);
    world.client.endpoint.connect(world.now, to, &from_port(port)).map(|_| ())
}

/// RFC 9293 §3.6.1 and RFC 7323 §5.8: once timestamps have ticked, old segments are known by them.
#[test]
fn a_port_in_time_wait_is_used_again_where_there_are_timestamps() {
    for (timestamps, after, expected) in
        [(true, 2_000, true), (true, 200, false), (false, 2_000, false)]
    {
        let mut world = world(timestamps);
        one_from(&mut world, 5_001);
        world.run_for(Duration::from_millis(after));
        let result = connect(&mut world, 5_001);
        assert_eq!(result.is_ok(), expected, "timestamps {timestamps}, {after} ms: {result:?}");
    }
}

#[test]
fn a_connection_lives_where_another_waited() {
    let mut world = world(true);
    one_from(&mut world, 5_001);
    world.run_for(Duration::from_secs(2));
    world.server.conn = None;
    world.start_with(100_000, 100_000, &from_port(5_001));
    assert!(world.run(Duration::from_secs(10)), "{}", world.describe());
    let info = world.client.endpoint.info(world.client.conn.unwrap()).unwrap();
    assert_eq!(info.local.port(), 5_001);
}

#[test]
fn a_port_in_use_is_refused() {
    let mut world = world(true);
    world.open(&from_port(5_001));
    world.run_for(Duration::from_secs(5));
    assert!(matches!(connect(&mut world, 5_001), Err(ConnectError::PortInUse(_))));
}
