//! Hosts beside each other: what several subflows may have outstanding.

mod common;

use std::time::Duration;

use common::{addr, pattern, simple_interface};
use manypath_base::{Instant, Rng};
use manypath_mptcp::{ConnId, ConnectOptions, Endpoint, EndpointConfig, ListenOptions};

const PORT: u16 = 80;
/// Receive buffer of the server: its window is as large.
const BUFFER: u32 = 2 << 20;

struct Pair {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    half_trip: Duration,
}

fn host(number: u8, config: EndpointConfig) -> Endpoint {
    let mut endpoint = Endpoint::new(config, Rng::seeded(number.into()));
    for link in 0..2u8 {
        let interface = simple_interface(link.into(), addr(link.into(), number));
        endpoint.add_interface(Instant::ZERO, interface);
    }
    endpoint
}

impl Pair {
    fn new(half_trip: Duration) -> Self {
        let mut config = EndpointConfig::default();
        (config.tcp.recv_buffer, config.tcp.recv_buffer_max) = (BUFFER, BUFFER);
        config.tcp.pacing = false;
        let now = Instant::from_millis(1);
        Self { now, client: host(1, config.clone()), server: host(2, config), half_trip }
    }

    /// A round trip; returns what the client has outstanding when it has sent all that it may.
    fn round(&mut self, id: ConnId) -> u64 {
        let Self { now, client, server, half_trip } = self;
        let mut outstanding = 0;
        for to_server in [true, false] {
            let (from, to) =
                if to_server { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
            from.handle_timeout(*now);
            let packets: Vec<_> = std::iter::from_fn(|| from.poll_transmit(*now)).collect();
            if let Some(info) = from.info(id).filter(|_| to_server) {
                let sent: u64 = info.subflows.iter().map(|subflow| subflow.bytes_sent).sum();
                outstanding = sent - info.bytes_acknowledged;
            }
            *now += *half_trip;
            for packet in packets {
                to.handle_datagram(*now, packet.iface, &packet.datagram);
            }
        }
        outstanding
    }
}

/// The most that is outstanding where nothing is lost and the application reads at once.
fn outstanding(half_trip: Duration) -> u64 {
    let mut pair = Pair::new(half_trip);
    let to = (addr(0, 2), PORT).into();
    let listener = pair.server.listen(to, ListenOptions::default()).expect("nobody listens there");
    let options = ConnectOptions::default();
    let id = pair.client.connect(pair.now, to, &options).expect("there is a port");
    let (block, mut accepted, mut most) = (pattern(1, 0, 8 << 20), None, 0);
    for n in 0..100 {
        let mut chunk = block.clone();
        let _full = pair.client.write(pair.now, id, &mut chunk);
        let outstanding = pair.round(id);
        // The second subflow is there by then.
        most = most.max(if n < 8 { 0 } else { outstanding });
        accepted = accepted.or_else(|| pair.server.accept(listener));
        if let Some(there) = accepted {
            while pair.server.read(pair.now, there).is_ok_and(|chunk| chunk.is_some()) {}
        }
    }
    assert_eq!(pair.client.info(id).expect("it lives").subflows.len(), 2);
    most
}

/// Linux cannot read any more where all of its buffer waits behind a hole.
#[test]
fn half_a_window_is_outstanding_at_most_over_several_subflows_to_a_peer_beside() {
    let near = outstanding(Duration::from_micros(100));
    assert!(near > 0 && near <= u64::from(BUFFER / 2), "{near} bytes");
    let far = outstanding(Duration::from_millis(5));
    assert!(far > u64::from(BUFFER / 2), "{far} bytes: a long path needs its window");
}
