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

/// Payload bits per second with a receive buffer of so many bytes.
fn rate(links: &[LinkConfig], buffer: u32) -> f64 {
    let mut config = EndpointConfig::default();
    (config.tcp.recv_buffer, config.tcp.recv_buffer_max) = (buffer, buffer);
    let mut world = World::with(1, links, &EndpointConfig::default(), &config);
    let start = world.now;
    world.start(100 << 20, 0);
    world.run_for(ms(20_000));
    world.server.rate(start + ms(2_000), start + ms(20_000))
}

/// Without either, 50,000 bytes of window give 45 % of the fast path, 100,000 give 76 %.
#[test]
fn a_slow_path_beside_a_small_window_costs_little() {
    let best = rate(&paths()[..1], 100_000);
    for (buffer, least) in [(50_000, 0.75), (100_000, 0.95), (200_000, 1.1), (375_000, 1.15)] {
        let both = rate(&paths(), buffer);
        assert!(both >= least * best, "{buffer}: {both:.0} of {best:.0}");
    }
}
