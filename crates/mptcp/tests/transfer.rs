//! A pair of hosts over simulated links: nothing is lost, both paths are used, failures are moved
//! away from.

mod common;

use common::{World, link, ms};
use manypath_mptcp::Protocol;

#[test]
fn a_small_exchange_over_one_path_ends_in_good_order() {
    let mut world = World::new(1, &[link(10, ms(10))]);
    world.start(1, 1);
    assert!(world.run(ms(2_000)), "client {:?}", world.client.events);
    world.run_for(ms(1_000));
    assert!(world.client.closed && world.server.closed);
}

#[test]
fn two_paths_carry_one_stream() {
    let mut world = World::new(2, &[link(20, ms(10)), link(10, ms(40))]);
    world.start(4 << 20, 0);
    assert!(world.run(ms(10_000)), "read {} of {}", world.server.into.read, world.server.into.total);
    let info = world.client.endpoint.info(world.client.conn.unwrap()).unwrap();
    assert_eq!(info.protocol, Protocol::Multipath);
    let sent = world.client.sent_by_subflow();
    assert!(sent.len() == 2 && sent.values().all(|&n| n > 400_000), "{sent:?}");
}
