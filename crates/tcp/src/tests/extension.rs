//! The seam for a protocol above.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use manypath_base::{Instant, Mss, PathId, SeqNum, SubflowOffset};
use manypath_wire::{Flags, MpTcpRst, MptcpOptions, ResetReason, Segment};

use crate::testing::{FixedWindow, established, ms, received};
use crate::{
    CloseReason, Config, Event, Extension, Flow, Incoming, Opening, Outgoing, PathConfig, Verdict,
};

const PATH: PathId = PathId(0);
const NOW: Instant = Instant::from_millis(1_000);

/// Records what it is asked and answers what a test sets.
#[derive(Debug, Default)]
struct Probe {
    cut: Option<u32>,
    verdict: Option<MpTcpRst>,
    wants_ack: bool,
    window: Option<u32>,
    seen: Vec<(SubflowOffset, u32)>,
    resets: u32,
}

impl Extension for Probe {
    fn write_options(&mut self, _: &Outgoing, _: &mut MptcpOptions) {
        self.wants_ack = false;
    }

    fn read_options(&mut self, segment: &Incoming, _: &MptcpOptions) -> Verdict {
        self.seen.push((segment.start, segment.len));
        self.verdict.map_or(Verdict::Continue, Verdict::Reset)
    }

    fn read_reset(&mut self, _: &MptcpOptions) {
        self.resets += 1;
    }

    fn cut(&self, _: SubflowOffset, len: u32) -> u32 {
        self.cut.unwrap_or(len)
    }

    fn wants_ack(&self) -> bool {
        self.wants_ack
    }

    fn shared_window(&self) -> Option<u32> {
        self.window
    }

    fn shared_buffer(&self) -> Option<u64> {
        self.window.map(u64::from)
    }
}

fn flow() -> Flow {
    flow_with(Config {
        timestamps: false,
        window_scale: false,
        nagle: false,
        pacing: false,
        ..Config::default()
    })
}

fn flow_with(config: Config) -> Flow {
    let mss = Mss(100);
    let opening = Opening {
        local: ([10, 0, 0, 1], 1).into(),
        remote: ([10, 0, 0, 2], 2).into(),
        isn: SeqNum(0),
        timestamp_offset: 0,
        config: config.into(),
        path: PathConfig { id: PATH, mss, controller: Box::new(FixedWindow::new(10_000, mss)) },
        fast_open: Default::default(),
    };
    established((NOW, NOW + ms(40)), opening, SeqNum(0), 1_000)
}

fn sizes(flow: &mut Flow, ext: &mut Probe) -> Vec<usize> {
    let mut sizes = vec![];
    while let Some(sent) = flow.poll_transmit(NOW + ms(40), ext) {
        sizes.push(sent.segment.payload.len());
        assert!(sizes.len() < 1_000, "it never stops");
    }
    sizes
}

fn arriving(seq: u32, flags: Flags, len: usize) -> Segment {
    Segment {
        src_port: 2,
        dst_port: 1,
        seq: SeqNum(seq),
        ack: SeqNum(1),
        flags,
        window: 1_000,
        urgent: 0,
        options: Default::default(),
        payload: Bytes::from(vec![1; len]).into(),
    }
}

#[test]
fn segments_are_cut_where_the_extension_says() {
    let (mut flow, mut ext) = (flow(), Probe { cut: Some(40), ..Probe::default() });
    flow.write(Bytes::from(vec![0; 200]));
    assert_eq!(sizes(&mut flow, &mut ext), [40, 40, 40, 40, 40]);
}

/// A cut at nothing would send empty segments for ever.
#[test]
fn at_least_one_byte_goes_out() {
    let (mut flow, mut ext) = (flow(), Probe { cut: Some(0), ..Probe::default() });
    flow.write(Bytes::from(vec![0; 100]));
    let sizes = sizes(&mut flow, &mut ext);
    assert!(!sizes.is_empty() && sizes.iter().all(|&n| n == 1), "{sizes:?}");
}

#[test]
fn an_acknowledgment_goes_out_for_an_option() {
    let (mut flow, mut ext) = (flow(), Probe { wants_ack: true, ..Probe::default() });
    assert_eq!(sizes(&mut flow, &mut ext), [0]);
}

/// RFC 8684 §3.3.1: a shared window is the connection's business, not the flow's.
#[test]
fn a_shared_window_does_not_bind_the_flow() {
    let (mut flow, mut ext) = (flow(), Probe { window: Some(7_000), ..Probe::default() });
    flow.write(Bytes::from(vec![0; 5_000]));
    assert_eq!(sizes(&mut flow, &mut ext).iter().sum::<usize>(), 5_000);
    flow.handle_segment(NOW + ms(40), received(arriving(1, Flags::ACK, 50)), &mut ext);
    flow.request_ack();
    let sent = flow.poll_transmit(NOW + ms(40), &mut ext).expect("it was asked for");
    assert_eq!(sent.segment.window, 7_000);
}

/// What a peer can make a flow hold is bound by the buffer that there is, not by what it may become.
#[test]
fn twice_the_shared_buffer_is_taken_out_of_order() {
    let (mut flow, mut ext) = (flow(), Probe { window: Some(7_000), ..Probe::default() });
    for seq in (101..=100_001).step_by(100) {
        flow.handle_segment(NOW + ms(40), received(arriving(seq, Flags::ACK, 100)), &mut ext);
    }
    assert_eq!(flow.held(), 2 * 7_000 - 100);
    assert!(flow.counters().out_of_window > 0);
}

/// RFC 8684 §3.6: a violation ends the flow with RST and a reason, and the data is not taken.
#[test]
fn a_verdict_resets_the_flow() {
    let reason = MpTcpRst { transient: false, reason: ResetReason::MptcpError };
    let (mut flow, mut ext) = (flow(), Probe { verdict: Some(reason), ..Probe::default() });
    flow.handle_segment(NOW + ms(40), received(arriving(1, Flags::ACK, 50)), &mut ext);
    assert_eq!(ext.seen, [(SubflowOffset(1), 50)]);
    let rst = flow.poll_transmit(NOW + ms(40), &mut ext).expect("a RST is due").segment;
    assert!(rst.flags.has(Flags::RST));
    assert_eq!(rst.options.mptcp.reset, Some(reason));
    assert_eq!(flow.poll_event(), Some(Event::Closed(CloseReason::Aborted)));
    assert!(flow.read().is_none());
}

#[test]
fn the_options_of_a_rst_are_shown_to_the_extension() {
    let (mut flow, mut ext) = (flow(), Probe::default());
    flow.handle_segment(NOW + ms(40), received(arriving(1, Flags::RST, 0)), &mut ext);
    assert_eq!(ext.resets, 1);
    flow.handle_segment(NOW + ms(40), received(arriving(1, Flags::RST, 0)), &mut ext);
    assert_eq!(ext.resets, 1, "the flow has ended");
}

/// MUST-48, MUST-49, SHLD-21 of RFC 9293 §3.9: the application decides what the IP header says.
#[test]
fn packets_carry_the_code_point_and_hop_limit_asked_for() {
    let config = Config { dscp: 46, hop_limit: 3, ..Config::default() };
    let (mut flow, mut ext) = (flow_with(config), Probe::default());
    let mut next = |flow: &mut Flow| {
        flow.request_ack();
        let sent = flow.poll_transmit(NOW + ms(40), &mut ext).expect("it was asked for");
        (sent.dscp, sent.hop_limit)
    };
    assert_eq!(next(&mut flow), (46, 3));
    flow.set_dscp(10);
    assert_eq!(next(&mut flow), (10, 3));
}
