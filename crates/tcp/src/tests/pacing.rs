//! Pacing of new data.

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, Mss, SeqNum};
use manypath_wire::{Flags, Options, Segment};

use crate::testing::{
    FixedWindow, LinkConfig, Pair, Script, Side, Sides, established, ms, opening, received,
};
use crate::{Config, Plain};

/// A window of 2,000 bytes and a round trip of 40 ms are 100 bytes a millisecond at twice the rate:
/// a segment each. The initial window of ten segments leaves at once (RFC 9002 §7.7), and what a
/// late timer missed is made good by one segment, no more.
#[test]
fn new_data_is_spread_over_the_round_trip() {
    Script::established().cwnd(2000).config(|c| c.pacing = true).run(
        "
        0ms   write 1300
        0ms   > 1:101
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        0ms   > 601:701
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        0ms   > 1001:1101       // one segment of credit after idling
        1ms   > 1101:1201
        2ms   > 1201:1301
        40ms  < ack 1301
        ",
    );
}

/// Recovery is metered by what is delivered, not by the pace.
#[test]
fn retransmissions_are_not_paced() {
    Script::established().cwnd(2000).config(|c| c.pacing = true).run(
        "
        0ms   write 1300
        0ms   > 1:101           // lost
        0ms   > 101:201         // lost
        0ms   > 201:301
        0ms   > 301:401
        0ms   > 401:501
        0ms   > 501:601
        0ms   > 601:701
        0ms   > 701:801
        0ms   > 801:901
        0ms   > 901:1001
        0ms   > 1001:1101
        1ms   > 1101:1201
        2ms   > 1201:1301
        50ms  < ack 1 sack 201:1301
        50ms  > 1:101
        50ms  > 101:201
        90ms  < ack 1301
        ",
    );
}

/// A window that acknowledgments opened step by step and that was empty for a while goes out no faster
/// than they let it out: twice what the path delivered, and a little more.
#[test]
fn a_window_that_was_empty_does_not_overflow_a_queue() {
    for first in (100..=200).step_by(25) {
        let mut pair = Pair::new(1, Sides::over(LinkConfig::clean(50, ms(10))));
        let all = first * 1_000;
        pair.write(Side::Client, all);
        assert!(pair.run_until(Duration::from_secs(1), |p| p.received(Side::Server) == all));
        pair.run_for(ms(60));
        let cwnd = pair.flow(Side::Client).paths().next().expect("there is one").cwnd;
        assert_eq!(pair.link(Side::Client).overflows, 0, "{cwnd} before");
        pair.write(Side::Client, cwnd.into());
        pair.run_for(ms(100));
        assert_eq!(pair.link(Side::Client).overflows, 0, "of {cwnd} bytes");
        assert_eq!(pair.received(Side::Server), all + u64::from(cwnd));
    }
}

/// A flow that saves room for whole bursts sleeps meanwhile. A clock that goes back wakes it.
#[test]
fn a_flow_that_saves_room_is_awake_before_it_fell_asleep() {
    let at = |millis: u64| Instant::from_millis(1_000 + millis);
    let (isn, peer_isn, mss) = (SeqNum(100), SeqNum(500), Mss(1460));
    let config = Config { pacing: false, timestamps: false, ..Config::default() };
    let window = Box::new(FixedWindow::new(40 * 1460, mss));
    let opening = opening((1, 2), isn, config, mss, window);
    let (local, remote) = (opening.local, opening.remote);
    let mut flow = established((at(0), at(4)), opening, peer_isn, 65_000);
    flow.write(Bytes::from(vec![7; 400_000]));
    while flow.poll_transmit(at(4), &mut Plain).is_some() {}
    let ack = Segment {
        src_port: remote.port(),
        dst_port: local.port(),
        seq: peer_isn.wrapping_add(1),
        ack: isn.wrapping_add(1 + 1460),
        flags: Flags::ACK,
        window: 65_000,
        urgent: 0,
        options: Options::default(),
        payload: Default::default(),
    };
    flow.handle_segment(at(8), received(ack), &mut Plain);
    assert!(flow.poll_transmit(at(8), &mut Plain).is_none(), "it saves room");
    let early = flow.poll_transmit(at(5), &mut Plain);
    assert!(early.is_some(), "no acknowledgment is due yet");
}
