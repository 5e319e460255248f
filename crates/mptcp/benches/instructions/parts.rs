//! Parts of the stack by themselves.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use manypath_base::{DataOffset, Instant, Mss, PathId, Payload, Rate, SeqNum, TimerQueue};
use manypath_cc::{AckSample, FlowView};
use manypath_sched::{Demand, PathView};
use manypath_tcp::Reassembly;
use manypath_wire::{
    Checksum, Dss, DssMapping, DssNumber, Ecn, Flags, IpHeader, Options, Packet, Segment,
    Timestamps,
};

const MSS: Mss = Mss(1_448);

pub(crate) fn segment(times: u32) {
    let timestamps = Some(Timestamps { value: 1_000, echo: 2_000 });
    let mut options = Options { timestamps, ..Options::default() };
    let mapping = DssMapping { dsn: DssNumber::Four(5), ssn: 9, len: 1_400, checksum: None };
    let data_ack = Some(DssNumber::Four(7));
    options.mptcp.dss = Some(Dss { data_fin: false, data_ack, mapping: Some(mapping) });
    let segment = Segment {
        src_port: 50_000,
        dst_port: 80,
        seq: SeqNum(1),
        ack: SeqNum(2),
        flags: Flags::ACK | Flags::PSH,
        window: 1_000,
        urgent: 0,
        options,
        payload: Bytes::from(vec![7; 1_400]).into(),
    };
    let ip = IpHeader {
        src: Ipv4Addr::new(10, 0, 0, 1).into(),
        dst: Ipv4Addr::new(10, 0, 0, 2).into(),
        ecn: Ecn::NotEct,
        dscp: 0,
        hop_limit: 64,
        flow_label: 0,
    };
    let packet = Packet { ip, transport: segment.into() };
    for _ in 0..times {
        let datagram = black_box(&packet).emit(None, Checksum::Offloaded);
        black_box(Packet::parse(&datagram)).expect("it was emitted here");
    }
}

fn path_views() -> Vec<PathView> {
    let view = |id: u32| PathView {
        id: PathId(id),
        alive: true,
        backup: false,
        srtt: Duration::from_millis(10 * u64::from(id + 1)),
        rtt_var: Duration::from_millis(2),
        cwnd: 100_000,
        in_flight: 90_000,
        room: 10_000,
        mss: MSS,
        rate: Rate::default(),
    };
    (0..4).map(view).collect()
}

pub(crate) fn pick(times: u32) {
    let mut views = path_views();
    // The fastest is full: whether the next would hold it up has to be reckoned.
    views[0].room = 0;
    let mut scheduler = manypath_sched::Algorithm::Blest.build();
    let demand = Demand { unsent: 1 << 20, window: 1 << 22 };
    for _ in 0..times {
        black_box(scheduler.pick(black_box(&demand), black_box(&views)));
    }
}

pub(crate) fn lia(times: u32) {
    let view = |v: PathView| FlowView {
        path: v.id,
        cwnd: v.cwnd,
        srtt: v.srtt,
        mss: v.mss,
        since_loss: 1 << 20,
        between_losses: 1 << 21,
    };
    let views: Vec<FlowView> = path_views().into_iter().map(view).collect();
    let mut controller = manypath_cc::Algorithm::Lia.build(manypath_cc::Config::new(MSS));
    let loss = manypath_cc::Signal::Loss;
    controller.on_signal(Instant::from_millis(1), loss, 50_000, &views);
    for n in 0..u64::from(times) {
        let sample = AckSample {
            now: Instant::from_millis(10 + n),
            path: PathId(0),
            acked: 2_896,
            delivered: 2_896 * n,
            lost: 0,
            lost_flight: None,
            prior_in_flight: 90_000,
            in_flight: 87_104,
            rtt: Some(Duration::from_millis(10)),
            srtt: Duration::from_millis(10),
            min_rtt: Duration::from_millis(9),
            round_start: n % 16 == 0,
            cwnd_limited: true,
            app_limited: false,
            delivery_rate: None,
            beside: false,
        };
        controller.on_ack(black_box(&sample), black_box(&views));
    }
    black_box(controller.cwnd());
}

pub(crate) fn timers(times: u32) {
    let mut queue = TimerQueue::default();
    for n in 0..u64::from(1_000 + times) {
        queue.set(n % 1_000, Some(Instant::from_nanos(1_000_000 + 1_000 * n)));
        black_box(queue.next());
    }
}

pub(crate) fn reassembly(times: u32) {
    for _ in 0..times {
        let mut buffer = Reassembly::new(DataOffset(0));
        let piece = Payload::from(Bytes::from_static(&[0; 1_000]));
        let (holes, rest) = ((0..1_000u64).map(|n| 2 * n), (0..1_000u64).map(|n| 2 * n + 1));
        let mut delivered = 0;
        for n in rest.chain(holes) {
            let start = DataOffset(1_000 * n);
            buffer.insert(start, piece.clone(), |_, payload| delivered += payload.len());
        }
        assert_eq!(black_box(delivered), 2_000_000);
    }
}
