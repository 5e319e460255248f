//! Builds one segment: numbers, window, options, payload.

use alloc::boxed::Box;
use core::ops::Range;

use manypath_base::{Instant, SubflowOffset, len32, usize64};
use manypath_wire::{Ecn, Flags, Options, Segment, Timestamps};

use crate::extension::{Outgoing, Phase};
use crate::flow::Transmit;
use crate::{Config, Extension, Flow, State};

/// Bytes of one SACK block, and what the option needs besides (kind, length, two NOPs).
const SACK_BLOCK: usize = 8;
const SACK_HEADER: usize = 4;
/// No more blocks than TCP's option space can hold (RFC 2018 §3).
const MAX_SACK_BLOCKS: usize = 4;

/// What a segment is to carry.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) phase: Phase,
    pub(crate) flags: Flags,
    pub(crate) attempt: u8,
    /// Index of the path in the flow's list.
    pub(crate) path: usize,
    /// Sequence space wanted; it may be cut shorter. May include FIN.
    pub(crate) range: Range<SubflowOffset>,
    /// Its data is new and no probe, so that it may travel as ECN-capable (RFC 3168 §6.1.5, §6.1.6).
    pub(crate) fresh: bool,
    /// TSval, where it is not the time: it must not fall as the sequence number rises while data
    /// is on several paths.
    pub(crate) tsval: Option<u32>,
}

impl Draft {
    pub(crate) fn new(phase: Phase, flags: Flags, attempt: u8) -> Self {
        let zero = SubflowOffset::ZERO;
        Self { phase, flags, attempt, path: 0, range: zero..zero, fresh: false, tsval: None }
    }
}

impl Flow {
    /// Makes the segment of a draft, and counts acknowledgments and windows in it as sent.
    pub(crate) fn finish(
        &mut self,
        now: Instant,
        draft: &Draft,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let Draft { phase, mut flags, path, .. } = *draft;
        let fin = self.send.fin().filter(|&fin| phase == Phase::Open && draft.range.end > fin);
        let data_end = fin.unwrap_or(draft.range.end);
        let start = draft.range.start;
        let data = len32(usize64(data_end.saturating_sub(start)));
        // At least a byte goes out: a segment without one would be sent for ever.
        let wanted = ext.cut(start, data).clamp(data.min(1), data);
        let options = self.options(now, draft, wanted, ext);
        let options_len = options.len();
        let len = self.clip(path, u64::from(wanted), options_len);
        let end = start + len;
        if fin == Some(end) {
            flags |= Flags::FIN;
        }
        if len > 0 && end == self.send.buffer.end() {
            flags |= Flags::PSH;
        }
        let ecn = self.mark(draft, len > 0, &mut flags);
        let payload = if len > 0 { self.send.buffer.slice(start, end) } else { Default::default() };
        let packet = self.packet_payload(path, options_len);
        let (src_port, dst_port) = self.ends.ports();
        let segment = Box::new(Segment {
            src_port,
            dst_port,
            seq: start.seq(self.send.isn),
            ack: if flags.has(Flags::ACK) {
                self.recv.nxt().seq(self.recv.isn)
            } else {
                Default::default()
            },
            flags,
            window: self.window_field(now, phase, ext),
            urgent: 0,
            options,
            payload,
        });
        if flags.has(Flags::ACK) {
            self.recv.acks.on_sent();
            self.recv.last_ack_sent = self.recv.nxt();
        }
        if len > 0 {
            self.paths[path].size_packets(packet);
        }
        self.count_sent(&segment);
        let gso_mss = (len > u64::from(packet.bytes())).then_some(packet);
        let Config { dscp, hop_limit, .. } = *self.config;
        Transmit { path: self.paths[path].id, segment, gso_mss, ecn, dscp, hop_limit }
    }

    /// Sets ECE and CWR where they are due, and says how the packet travels (RFC 3168 §6.1). A mark is
    /// echoed for the flow, not for the path that it was made on, so that data on several paths asks for
    /// none; that a window was reduced is told all the same, else an earlier mark is echoed for ever.
    fn mark(&mut self, draft: &Draft, has_data: bool, flags: &mut Flags) -> Ecn {
        if draft.phase == Phase::Open && self.ecn.echoes() {
            *flags |= Flags::ECE;
        }
        if !(draft.fresh && has_data && self.ecn.is_on()) {
            return Ecn::NotEct;
        }
        if core::mem::take(&mut self.paths[draft.path].reduction_untold) {
            *flags |= Flags::CWR;
        }
        if self.is_spread() { Ecn::NotEct } else { Ecn::Ect0 }
    }

    fn options(
        &mut self,
        now: Instant,
        draft: &Draft,
        len: u32,
        ext: &mut dyn Extension,
    ) -> Options {
        let mut options = match draft.phase {
            Phase::Syn | Phase::SynAck => self.syn_options(),
            Phase::Open | Phase::Reset => Options::default(),
        };
        let with_timestamps = match draft.phase {
            Phase::Syn | Phase::SynAck | Phase::Open => self.agreed.timestamps,
            // RFC 7323 §3.2: SHOULD, once they are agreed on.
            Phase::Reset => self.agreed.timestamps && self.state != State::SynSent,
        };
        if with_timestamps {
            let clock = self.timestamps.option(now);
            let value = draft.tsval.unwrap_or(clock.value);
            options.timestamps = Some(Timestamps { value, ..clock });
        }
        let outgoing = Outgoing {
            now,
            phase: draft.phase,
            start: draft.range.start,
            len,
            attempt: draft.attempt,
            space: Options::MAX_LEN - options.len(),
            whole: len <= self.packet_payload(draft.path, Options::MAX_LEN).bytes(),
        };
        ext.write_options(&outgoing, &mut options.mptcp);
        self.add_user_timeout(draft.phase, &mut options);
        let reports = self.agreed.sack && self.recv.sack.has_blocks(&self.recv.data);
        if draft.phase == Phase::Open && reports {
            let left = Options::MAX_LEN - options.len();
            let limit = (left.saturating_sub(SACK_HEADER) / SACK_BLOCK).min(MAX_SACK_BLOCKS);
            options.sack = self.recv.sack.take_blocks(limit, self.recv.isn, &self.recv.data);
        }
        debug_assert!(options.len() <= Options::MAX_LEN, "{options:?}");
        options
    }

    /// The user timeout, where it is due and fits (RFC 5482 §3).
    fn add_user_timeout(&mut self, phase: Phase, options: &mut Options) {
        let on_syn = match phase {
            Phase::Syn | Phase::SynAck => true,
            Phase::Open => false,
            Phase::Reset => return,
        };
        options.user_timeout = self.user_timeout.option(on_syn);
        if options.user_timeout.is_none() {
            return;
        }
        if options.len() > Options::MAX_LEN {
            options.user_timeout = None;
        } else if !on_syn {
            self.user_timeout.on_sent();
        }
    }

    /// A SYN/ACK offers what the SYN offered (RFC 7323 §2.2, §3.2; RFC 2018 §2).
    fn syn_options(&self) -> Options {
        Options {
            mss: Some(self.agreed.own_mss.0),
            window_scale: self.agreed.scale.then_some(self.agreed.recv_scale),
            sack_permitted: self.agreed.sack,
            ..Options::default()
        }
    }
}
