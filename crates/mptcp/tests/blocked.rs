//! Where a slow path holds up a fast one behind a small window (RFC 8684 §3.3.6; Raiciu et al.,
//! NSDI 2012, §4.2).

mod common;

use common::{World, link, ms};
use manypath_link::LinkConfig;
use manypath_mptcp::EndpointConfig;

const FAST: u64 = 8;

fn paths() -> [LinkConfig; 2] {
    [link(FAST, ms(10)), link(2, ms(75))]
}

/// Payload bits per second with a receive buffer of so many bytes, from one second to another.
fn rate(links: &[LinkConfig], buffer: u32, (from, to): (u64, u64)) -> f64 {
    let mut config = EndpointConfig::default();
    (config.tcp.recv_buffer, config.tcp.recv_buffer_max) = (buffer, buffer);
    let mut world = World::with(1, links, &EndpointConfig::default(), &config);
    let start = world.now;
    world.start(100 << 20, 0);
    world.run_for(ms(to * 1_000));
    world.server.rate(start + ms(from * 1_000), start + ms(to * 1_000))
}

/// Without either, 50,000 bytes of window give 45 % of the fast path, 100,000 give 76 %.
#[test]
fn a_slow_path_beside_a_small_window_costs_little() {
    let best = rate(&paths()[..1], 100_000, (2, 20));
    for (buffer, least) in [(50_000, 0.75), (100_000, 0.95), (200_000, 1.1), (375_000, 1.15)] {
        let both = rate(&paths(), buffer, (2, 20));
        assert!(both >= least * best, "{buffer}: {both:.0} of {best:.0}");
    }
}

/// The far path is the one with the capacity, and holds up the near one while slow start fills its
/// queue: halved for that, it takes seconds to come back, and both carry 1.02 times what it does alone.
#[test]
fn a_far_path_keeps_its_window_where_the_near_one_is_no_better() {
    let links = [link(10, ms(25)), link(3, ms(1))];
    for buffer in [150_000, 200_000, 300_000] {
        let (alone, both) = (rate(&links[..1], buffer, (0, 5)), rate(&links, buffer, (0, 5)));
        assert!(both >= 1.2 * alone, "{buffer}: {both:.0} of {alone:.0}");
    }
}
