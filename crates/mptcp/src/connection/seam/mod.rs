//! The seam to TCP: which MPTCP options leave with a segment (`write`), and what those that come
//! mean (`read`).
//!
//! **Invariant**: options are read into fresh values segment by segment; nothing here sends.

mod read;
mod write;

use read::reset;
pub(crate) use write::CAPABLE_DATA_LEN;

use manypath_base::SubflowOffset;
use manypath_cc::FlowView;
use manypath_tcp::{Extension, Incoming, Outgoing, Phase, Verdict};
use manypath_wire::{FastClose, MpFail, MptcpOptions, ResetReason};

use super::shared::{Mode, Shared};
use super::subflow::{Said, Stage, SubflowState};

/// The protocol version of RFC 8684 §3.1.
const VERSION: u8 = 1;

/// One subflow with what it shares, for the time of one call into its flow.
pub(crate) struct Seam<'a> {
    pub(crate) shared: &'a mut Shared,
    pub(crate) sub: &'a mut SubflowState,
}

impl Extension for Seam<'_> {
    fn write_options(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        if let Mode::Plain(_) = self.shared.mode {
            return self.write_infinite(segment, options);
        }
        match segment.phase {
            Phase::Syn => self.write_syn(segment, options),
            Phase::SynAck => self.write_syn_ack(options),
            Phase::Open => self.write_open(segment, options),
            Phase::Reset => {
                if let Some(remote) = self.shared.remote.filter(|_| self.shared.fastclosing) {
                    options.fastclose = Some(FastClose { receiver_key: remote.key });
                }
                options.fail = self.sub.failed_at.map(|dsn| MpFail { dsn });
            }
        }
    }

    fn read_options(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        if let Mode::Plain(_) = self.shared.mode {
            self.hear_of_failure(options);
            if read::is_taken_for_a_join(options) {
                return reset(ResetReason::MptcpError);
            }
            return match self.is_sent_again(segment, options) {
                true => reset(ResetReason::MiddleboxInterference),
                false => Verdict::Continue,
            };
        }
        match segment.phase {
            Phase::SynAck => self.read_syn_ack(segment, options),
            Phase::Syn | Phase::Reset => Verdict::Continue,
            Phase::Open => match self.read_handshake(segment, options) {
                Verdict::Continue => self.read_open(segment, options),
                reset @ Verdict::Reset(_) => reset,
            },
        }
    }

    fn read_reset(&mut self, options: &MptcpOptions) {
        self.sub.reset_reason = options.reset;
        let own_key = self.shared.local.key;
        if options.fastclose.is_some_and(|close| close.receiver_key == own_key) {
            self.sub.hear(Said::FastClose);
        }
    }

    fn cut(&self, start: SubflowOffset, len: u32) -> u32 {
        match self.sub.tx.find(start) {
            Some(mapping) => len.min(u32::try_from(mapping.end() - start).unwrap_or(len)),
            None => len,
        }
    }

    fn wants_ack(&self) -> bool {
        self.sub.to_say().is_some()
            && self.sub.may_signal_alone()
            && self.sub.stage == Stage::Confirmed
            && self.shared.is_multipath()
    }

    fn shared_window(&self) -> Option<u32> {
        self.shared.is_multipath().then(|| self.shared.recv.window())
    }

    fn shared_buffer(&self) -> Option<u64> {
        self.shared.is_multipath().then(|| self.shared.recv.buffer())
    }

    fn has_more(&self) -> bool {
        self.shared.is_multipath() && self.shared.send.unsent() > 0
    }

    fn flow_views(&self) -> Option<&[FlowView]> {
        self.shared.is_multipath().then_some(&self.shared.views)
    }
}
