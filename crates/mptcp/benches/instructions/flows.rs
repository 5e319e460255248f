//! Two flows of TCP that hand each other segments.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, Mss, PathId, SeqNum};
use manypath_cc::Algorithm;
use manypath_tcp::{Config, FastOpen, Flow, Opening, PathConfig, Plain, Received, Transmit};
use manypath_wire::Ecn;

const MSS: Mss = Mss(1_448);
const HALF_TRIP: Duration = Duration::from_micros(500);
/// Packets of a window, and bytes of it.
const PACKETS: usize = 2_000;
/// Payload of a packet, timestamps taken off.
const PACKET: usize = 1_436;

struct Pair {
    now: Instant,
    flows: [Flow; 2],
    received: usize,
}

fn opening(side: u8, window: u32) -> Opening {
    let config = Config {
        recv_buffer: 8 << 20,
        pacing: false,
        nagle: false,
        max_burst: 0,
        ..Config::default()
    };
    let addr = |side: u8| SocketAddr::from(([10, 0, 0, side], 1_000));
    let cc = manypath_cc::Config { mss: MSS, initial_window: window };
    Opening {
        local: addr(side),
        remote: addr(3 - side),
        isn: SeqNum(1_000),
        timestamp_offset: 0,
        config: Arc::new(config),
        path: PathConfig { id: PathId(0), mss: MSS, controller: Algorithm::NewReno.build(cc) },
        fast_open: FastOpen::Off,
    }
}

impl Pair {
    /// The first flow has a window of so many bytes.
    fn established(window: u32) -> Self {
        let mut now = Instant::from_millis(1_000);
        let mut client = Flow::connect(now, opening(1, window));
        let syn = client.poll_transmit(now, &mut Plain).expect("a SYN");
        now += HALF_TRIP;
        let server = Flow::accept(now, opening(2, window), &syn.segment);
        let mut pair = Self { now, flows: [client, server], received: 0 };
        pair.run(|_| false);
        pair
    }

    fn sent_by(&mut self, side: usize) -> Vec<Transmit> {
        let now = self.now;
        std::iter::from_fn(|| self.flows[side].poll_transmit(now, &mut Plain)).collect()
    }

    fn deliver(&mut self, side: usize, packets: Vec<Transmit>) {
        for Transmit { path, segment, .. } in packets {
            let received = Received { path, segment, ecn: Ecn::NotEct };
            self.flows[side].handle_segment(self.now, received, &mut Plain);
            while let Some((_, payload)) = self.flows[side].read() {
                self.received += payload.len();
            }
            // Each is answered, as one that comes alone.
            if side == 1 {
                let answers = self.sent_by(1);
                self.deliver(0, answers);
            }
        }
        while self.flows[side].poll_event().is_some() {}
    }

    /// Both send in turns until neither does; `lost` says which packets of the first are.
    fn run(&mut self, mut lost: impl FnMut(usize) -> bool) {
        let mut number = 0;
        loop {
            let mut idle = true;
            for side in [0, 1] {
                let mut packets = self.sent_by(side);
                idle &= packets.is_empty();
                packets.retain(|_| {
                    number += usize::from(side == 0);
                    side == 1 || !lost(number)
                });
                self.now += HALF_TRIP;
                self.deliver(1 - side, packets);
            }
            if idle {
                return;
            }
        }
    }

    fn write(&mut self, bytes: usize) {
        self.flows[0].write(Bytes::from(vec![0; bytes]));
    }
}

pub(crate) fn segment_and_ack(times: u32) {
    let mut pair = Pair::established(14_480);
    for n in 1..=usize::try_from(times).expect("it is small") {
        // Two, the second of which is acknowledged at once.
        pair.write(2 * PACKET);
        pair.run(|_| false);
        assert_eq!(pair.received, 2 * PACKET * n);
    }
}

/// Every second packet of a window is lost once.
pub(crate) fn half_lost(times: u32) {
    for _ in 0..times {
        let mut pair = Pair::established(4 << 20);
        let all = PACKETS * PACKET;
        pair.write(all);
        pair.run(|n| n <= PACKETS && n % 2 == 1);
        while pair.received < all {
            let timer = pair.flows.iter().filter_map(Flow::poll_timeout).min();
            pair.now = pair.now.max(timer.expect("something is missing"));
            for flow in &mut pair.flows {
                flow.handle_timeout(pair.now, &mut Plain);
            }
            pair.run(|_| false);
        }
        assert_eq!(pair.received, all);
    }
}
