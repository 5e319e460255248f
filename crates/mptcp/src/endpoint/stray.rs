//! Answers to segments that belong to nothing here (RFC 9293 §3.5.2, §3.10.7.1).

use manypath_base::{IfaceId, SeqNum};
use manypath_wire::{Ecn, Flags, IpHeader, MpTcpRst, Options, Packet, Segment};

use super::{Departure, Endpoint, HOP_LIMIT};

/// Answers that wait to be sent; beyond, nothing is answered.
const MAX_ANSWERS: usize = 256;

impl Endpoint {
    /// Answers with a RST, unless the segment is one; `reason` goes along where MPTCP has one.
    pub(super) fn answer_stray(
        &mut self,
        iface: IfaceId,
        ip: &IpHeader,
        segment: &Segment,
        reason: Option<MpTcpRst>,
    ) {
        self.drops.stray += 1;
        if segment.flags.has(Flags::RST) {
            return;
        }
        let reset = reset_for(segment, reason);
        let ip = IpHeader {
            src: ip.dst,
            dst: ip.src,
            ecn: Ecn::NotEct,
            dscp: 0,
            hop_limit: HOP_LIMIT,
            flow_label: 0,
        };
        let packet = Packet { ip, transport: reset.into() };
        self.queue_answer(Departure { iface, packet, gso_mss: None });
    }

    pub(super) fn queue_answer(&mut self, answer: Departure) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(answer);
        }
    }
}

/// RFC 9293 §3.10.7.1: the reset takes its numbers from what it answers.
fn reset_for(segment: &Segment, reason: Option<MpTcpRst>) -> Segment {
    let acked = segment.flags.has(Flags::ACK);
    let mut options = Options::default();
    options.mptcp.reset = reason;
    Segment {
        src_port: segment.dst_port,
        dst_port: segment.src_port,
        seq: if acked { segment.ack } else { SeqNum(0) },
        ack: if acked { SeqNum(0) } else { segment.seq.wrapping_add(segment.seq_len()) },
        flags: if acked { Flags::RST } else { Flags::RST | Flags::ACK },
        window: 0,
        urgent: 0,
        options,
        payload: manypath_base::Payload::new(),
    }
}
