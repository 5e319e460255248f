//! Segments that no sane peer sends: no panic, no endless output, no unbounded memory.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use bytes::Bytes;
use manypath_base::{Instant, Mss, PathId, Rng, SeqNum, len64, usize64};
use manypath_wire::{Ecn, Flags, Options, Segment, Timestamps, UserTimeout};

use crate::testing::{FixedWindow, established, ms, received};
use crate::{
    Config, Cookie, EcnMode, FastOpen, Flow, Keepalive, Opening, PathConfig, Plain, Received,
    State, UserTimeoutLimits,
};

const PATH: PathId = PathId(0);

fn opening(rng: &mut Rng) -> Opening {
    let mss = Mss(1460);
    Opening {
        local: ([10, 0, 0, 1], 1).into(),
        remote: ([10, 0, 0, 2], 2).into(),
        isn: SeqNum(rng.u32()),
        timestamp_offset: rng.u32(),
        config: Arc::new(Config {
            sack: rng.chance(1, 2),
            timestamps: rng.chance(1, 2),
            ecn: if rng.chance(1, 2) { EcnMode::Ask } else { EcnMode::Accept },
            user_timeout_option: rng.chance(1, 2).then(UserTimeoutLimits::default),
            keepalive: rng.chance(1, 2).then(|| Keepalive {
                idle: ms(50 + rng.below(500)),
                interval: ms(1 + rng.below(100)),
                count: 3,
            }),
            recv_buffer: 20_000,
            recv_buffer_max: 100_000,
            ..Config::default()
        }),
        path: PathConfig { id: PATH, mss, controller: Box::new(FixedWindow::new(50_000, mss)) },
        fast_open: Default::default(),
    }
}

/// A number near `base`, or anywhere.
fn near(rng: &mut Rng, base: SeqNum) -> SeqNum {
    match rng.below(4) {
        0 => SeqNum(rng.u32()),
        1 => base,
        2 => base.wrapping_add(u32::try_from(rng.below(30_000)).expect("it is small")),
        _ => SeqNum(base.0.wrapping_sub(u32::try_from(rng.below(30_000)).expect("small"))),
    }
}

fn flags(rng: &mut Rng) -> Flags {
    match rng.below(8) {
        0 => Flags(u8::try_from(rng.below(256)).expect("it is a byte")),
        1 => Flags::SYN | Flags::ACK,
        2 => Flags::ACK | Flags::FIN,
        _ => Flags::ACK,
    }
}

fn segment(rng: &mut Rng, flow: &Flow) -> Segment {
    let rcv_nxt = flow.rcv_nxt().seq(flow.recv.isn);
    let (una, nxt) = (flow.send.una.seq(flow.send.isn), flow.send.nxt.seq(flow.send.isn));
    let base = if rng.chance(1, 2) { una } else { nxt };
    let blocks = rng.below(5);
    let options = Options {
        mss: rng.chance(1, 4).then(|| u16::try_from(rng.below(65_536)).expect("16 bits")),
        window_scale: rng.chance(1, 4).then(|| u8::try_from(rng.below(256)).expect("a byte")),
        sack_permitted: rng.chance(1, 2),
        timestamps: rng.chance(1, 2).then(|| Timestamps { value: rng.u32() >> 8, echo: rng.u32() }),
        user_timeout: rng.chance(1, 8).then(|| UserTimeout {
            minutes: rng.chance(1, 2),
            value: u16::try_from(rng.below(32_768)).expect("15 bits"),
        }),
        fast_open: rng.chance(1, 8).then(|| Cookie::from_slice(&[3; 6])),
        sack: (0..blocks).map(|_| near(rng, una)..near(rng, una)).collect(),
        ..Options::default()
    };
    let len = if rng.chance(1, 2) { 0 } else { usize64(rng.below(3_000)) };
    Segment {
        src_port: 2,
        dst_port: 1,
        seq: near(rng, rcv_nxt),
        ack: near(rng, base),
        flags: flags(rng),
        window: u16::try_from(rng.below(65_536)).expect("16 bits"),
        urgent: u16::try_from(rng.below(65_536)).expect("16 bits"),
        options,
        payload: Bytes::from(vec![1; len]).into(),
    }
}

fn syn(rng: &mut Rng, now: Instant) -> Segment {
    let stranger = Flow::connect(now, opening(rng));
    Segment { flags: Flags::SYN, ..segment(rng, &stranger) }
}

fn drain(flow: &mut Flow, now: Instant) {
    let mut sent = 0;
    while let Some(transmit) = flow.poll_transmit(now, &mut Plain) {
        assert!(transmit.segment.options.len() <= Options::MAX_LEN);
        sent += 1;
        assert!(sent < 1_000, "it never stops: {flow:?}");
    }
    while flow.poll_event().is_some() {}
    flow.check_invariants();
}

fn step(rng: &mut Rng, flow: &mut Flow, now: Instant) {
    match rng.below(20) {
        0 => flow.write(Bytes::from(vec![2; usize64(rng.below(10_000))])),
        1 => while flow.read().is_some() {},
        2 if rng.chance(1, 10) => flow.close(),
        3 if rng.chance(1, 50) => flow.abort(None),
        4 => flow.set_cork(rng.chance(1, 2)),
        5 => flow.write_more(Bytes::from(vec![0; usize64(rng.below(3_000))])),
        6 => flow.set_nodelay(rng.chance(1, 2)),
        _ => {
            let segment = segment(rng, flow);
            let ecn = if rng.chance(1, 4) { Ecn::Ce } else { Ecn::NotEct };
            let received = Received { ecn, ..received(segment) };
            flow.handle_segment(now, received, &mut Plain);
        }
    }
    drain(flow, now);
    if flow.poll_timeout().is_some_and(|at| at <= now) {
        flow.handle_timeout(now, &mut Plain);
        drain(flow, now);
        assert!(
            flow.poll_timeout().is_none_or(|at| at > now),
            "a timer stays due: {:?} {:?} {:?}",
            flow.paths,
            flow.persist,
            flow.recv.acks
        );
    }
    let bound = 2 * u64::from(flow.config.recv_buffer_max);
    assert!(flow.held() + flow.readable() <= bound, "unread bytes pile up");
}

#[test]
fn random_segments_do_no_harm() {
    let mut reached = vec![];
    for seed in 0..2_000 {
        let rng = &mut Rng::seeded(seed);
        let mut now = Instant::from_millis(1_000);
        let mut opening = opening(rng);
        let mut flow = if rng.chance(1, 2) {
            let cookie = Cookie::from_slice(&[7; 8]);
            opening.fast_open = match rng.below(3) {
                0 => FastOpen::Off,
                1 => FastOpen::Ask,
                _ => FastOpen::Use { cookie, peer_mss: None },
            };
            let mut flow = Flow::connect(now, opening);
            flow.write(Bytes::from(vec![1; usize64(rng.below(3_000))]));
            flow
        } else if rng.chance(1, 2) {
            Flow::accept_early(now, opening, syn(rng, now))
        } else {
            Flow::accept(now, opening, &syn(rng, now))
        };
        drain(&mut flow, now);
        for _ in 0..150 {
            step(rng, &mut flow, now);
            now += core::time::Duration::from_micros(rng.below(100_000));
            let state = core::mem::discriminant(&flow.state());
            if !reached.contains(&state) {
                reached.push(state);
            }
            if flow.state() == State::Closed {
                break;
            }
        }
    }
    assert_eq!(reached.len(), 10, "every state was tried");
}

/// Single bytes out of order, as far as the window goes: the store neither grows without bound
/// nor becomes slow.
#[test]
fn crumbs_are_bounded() {
    let rng = &mut Rng::seeded(1);
    let now = Instant::from_millis(1_000);
    let mut opening = opening(rng);
    opening.config =
        Config { recv_buffer: 1 << 20, recv_buffer_max: 1 << 20, ..Config::default() }.into();
    let syn = syn(rng, now);
    let mut flow = Flow::accept(now, opening, &syn);
    drain(&mut flow, now);
    let ack = flow.send.nxt.seq(flow.send.isn);
    for n in 0..60_000u32 {
        let crumb = Segment {
            seq: syn.seq.wrapping_add(3 + 2 * n),
            ack,
            flags: Flags::ACK,
            options: Options { timestamps: syn.options.timestamps, ..Options::default() },
            payload: Bytes::from_static(&[1]).into(),
            ..syn.clone()
        };
        flow.handle_segment(now + ms(1), received(crumb), &mut Plain);
        while flow.poll_transmit(now, &mut Plain).is_some() {}
        while flow.poll_event().is_some() {}
    }
    assert!(flow.held() > 1_000 && flow.held() < 10_000, "{} crumbs", flow.held());
    assert!(len64(flow.recv.data.ranges().count()) == flow.held());
}

/// Blocks of single bytes cannot tear what is in flight to shreds: memory and work stay bounded.
#[test]
fn shreds_are_bounded() {
    let mss = Mss(1460);
    let now = Instant::from_millis(1_000);
    let mut opening = opening(&mut Rng::seeded(1));
    opening.config =
        Config { timestamps: false, sack: true, pacing: false, ..Config::default() }.into();
    opening.path.controller = Box::new(FixedWindow::new(1 << 20, mss));
    let (isn, peer) = (opening.isn, SeqNum(7));
    let mut flow = established((now, now + ms(40)), opening, peer, 60_000);
    flow.send.window = 1 << 20;
    flow.write(Bytes::from(vec![1; 60_000]));
    while flow.poll_transmit(now + ms(40), &mut Plain).is_some() {}
    for n in 0..20_000u32 {
        let at = isn.wrapping_add(2 + 3 * n);
        let block = Segment {
            src_port: 2,
            dst_port: 1,
            seq: peer.wrapping_add(1),
            ack: isn.wrapping_add(1),
            flags: Flags::ACK,
            window: 60_000,
            urgent: 0,
            options: Options {
                sack: [at..at.wrapping_add(1)].into_iter().collect(),
                ..Options::default()
            },
            payload: Default::default(),
        };
        flow.handle_segment(now + ms(50), received(block), &mut Plain);
        flow.check_invariants();
    }
    assert!(flow.board.len() <= 16_386, "{} pieces", flow.board.len());
}
