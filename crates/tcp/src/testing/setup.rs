//! Flows to begin a test with.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;

use manypath_base::{Instant, Mss, PathId, SeqNum};
use manypath_cc::Controller;
use manypath_wire::{Ecn, Flags, Options, Segment, Timestamps};

use crate::{Config, EcnMode, FastOpen, Flow, Opening, PathConfig, Plain, Received};

/// The only path of a test's flow.
pub(super) const PATH: PathId = PathId(0);

/// Addresses of the two sides.
pub(super) fn address(side: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, side], 1000 + u16::from(side)))
}

/// What a flow of side 1 to side 2 begins with.
pub(crate) fn opening(
    (from, to): (u8, u8),
    isn: SeqNum,
    config: Config,
    mss: Mss,
    controller: Box<dyn Controller>,
) -> Opening {
    Opening {
        local: address(from),
        remote: address(to),
        isn,
        timestamp_offset: 0,
        config: config.into(),
        path: PathConfig { id: PATH, mss, controller },
        fast_open: FastOpen::Off,
    }
}

/// The SYN/ACK of a peer that agrees to what the flow offered.
pub(super) fn syn_ack(
    opening: (SeqNum, SeqNum),
    window: u16,
    config: &Config,
    mss: Mss,
) -> Segment {
    let (isn, peer_isn) = opening;
    let options = Options {
        mss: Some(mss.0),
        sack_permitted: config.sack,
        window_scale: config.window_scale.then_some(0),
        timestamps: config.timestamps.then_some(Timestamps { value: 0, echo: 0 }),
        ..Options::default()
    };
    Segment {
        src_port: address(2).port(),
        dst_port: address(1).port(),
        seq: peer_isn,
        ack: isn.wrapping_add(1),
        flags: match config.ecn {
            EcnMode::Ask => Flags::SYN | Flags::ACK | Flags::ECE,
            EcnMode::Off | EcnMode::Accept => Flags::SYN | Flags::ACK,
        },
        window,
        urgent: 0,
        options,
        payload: Default::default(),
    }
}

/// A segment that came unmarked on the only path.
pub(crate) fn received(segment: Segment) -> Received {
    Received { path: PATH, segment: Box::new(segment), ecn: Ecn::NotEct }
}

/// An established flow whose handshake took from `began` to `now`; the acknowledgment of the
/// SYN/ACK is out already.
pub(crate) fn established(
    (began, now): (Instant, Instant),
    opening: Opening,
    peer_isn: SeqNum,
    window: u16,
) -> Flow {
    let (isn, config, mss) = (opening.isn, Arc::clone(&opening.config), opening.path.mss);
    let mut flow = Flow::connect(began, opening);
    while flow.poll_transmit(began, &mut Plain).is_some() {}
    let answer = syn_ack((isn, peer_isn), window, &config, mss);
    flow.handle_segment(now, received(answer), &mut Plain);
    while flow.poll_transmit(now, &mut Plain).is_some() {}
    while flow.poll_event().is_some() {}
    flow.recv.acks.end_quick_start();
    flow
}
