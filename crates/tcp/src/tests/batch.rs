//! A driver hands in a batch of packets before it asks for output.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use manypath_base::{Instant, Mss, SeqNum, len64};
use manypath_wire::{Flags, Segment};

use crate::testing::{FixedWindow, opening, received};
use crate::{Config, Flow, Plain};

/// As many as the unscaled window of a SYN/ACK admits.
const PACKETS: usize = 45;

/// Everything that `flow` has to send.
fn drain(flow: &mut Flow, now: Instant) -> Vec<Segment> {
    let mut out = vec![];
    while let Some(sent) = flow.poll_transmit(now, &mut Plain) {
        out.push(*sent.segment);
    }
    out
}

fn side(addresses: (u8, u8), sack: bool) -> crate::Opening {
    let mss = Mss(1460);
    let config = Config { sack, max_burst: 1, pacing: false, ..Config::default() };
    opening(addresses, SeqNum(100), config, mss, Box::new(FixedWindow::new(1 << 20, mss)))
}

/// Every third packet is lost and the others arrive in one batch. The answers report each
/// hole, so what was lost goes again and nothing else (RFC 2018 §4, RFC 5681 §4.2).
#[test]
fn a_batch_with_many_holes_repeats_what_was_lost_alone() {
    let at = |millis: u64| Instant::from_millis(1_000 + millis);
    let mut client = Flow::connect(at(0), side((1, 2), true));
    let syn = drain(&mut client, at(0)).remove(0);
    let mut server = Flow::accept(at(20), side((2, 1), true), &syn);
    for answer in drain(&mut server, at(20)) {
        client.handle_segment(at(40), received(answer), &mut Plain);
    }
    client.write(Bytes::from(vec![7; PACKETS * 1448]));
    let packets = drain(&mut client, at(40));
    let data = packets.iter().filter(|p| !p.payload.is_empty());
    assert_eq!(data.count(), PACKETS);
    let arriving = packets.iter().enumerate().filter(|(n, _)| n % 3 != 1);
    for (_, packet) in arriving {
        server.handle_segment(at(60), received(packet.clone()), &mut Plain);
    }
    let answers = drain(&mut server, at(60));
    assert!(answers.len() < PACKETS, "{} answers", answers.len());
    let mut again = vec![];
    for answer in answers {
        assert_eq!(answer.flags, Flags::ACK);
        client.handle_segment(at(80), received(answer), &mut Plain);
        again.extend(drain(&mut client, at(80)));
    }
    while let Some(due) = client.poll_timeout().filter(|due| *due < at(100)) {
        client.handle_timeout(due, &mut Plain);
        again.extend(drain(&mut client, due));
    }
    let lost = packets.iter().enumerate().filter(|(n, _)| n % 3 == 1);
    let lost: u64 = lost.map(|(_, p)| len64(p.payload.len())).sum();
    assert_eq!(client.counters().bytes_retransmitted, lost, "what was lost, and all of it");
    for packet in again {
        server.handle_segment(at(120), received(packet), &mut Plain);
    }
    assert_eq!(server.readable(), len64(PACKETS * 1448));
}
