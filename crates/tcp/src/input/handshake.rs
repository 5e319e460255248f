//! The three-way handshake: SYN-SENT (RFC 9293 §3.10.7.3), and what a SYN says.

use alloc::boxed::Box;

use manypath_base::{Instant, Mss, PathId, SubflowOffset, len32, len64, usize64};
use manypath_wire::{Ecn, Flags, Segment};

use super::Arrival;
use crate::extension::{Incoming, Phase};
use crate::flow::Handshake;
use crate::{CloseReason, Event, Extension, Flow, Received, State};

/// The largest shift that RFC 7323 §2.3 allows.
const MAX_SHIFT: u8 = 14;
/// A smaller MSS than this is not believed: packets would be all header.
const MIN_PEER_MSS: u16 = 64;

impl Flow {
    /// RFC 9293 §3.10.7.3.
    pub(super) fn syn_sent(&mut self, now: Instant, received: &Received, ext: &mut dyn Extension) {
        let segment = &received.segment;
        let has_ack = segment.flags.has(Flags::ACK);
        let acked = SubflowOffset::from_seq(segment.ack, self.send.isn, SubflowOffset(1));
        let acked = acked.filter(|&a| has_ack && a >= SubflowOffset(1) && a <= self.syn_end());
        if segment.flags.has(Flags::RST) {
            if acked.is_some() {
                ext.read_reset(&segment.options.mptcp);
                self.end(CloseReason::Refused);
            }
            return;
        }
        if has_ack && acked.is_none() {
            // First: an acknowledgment of what was never sent. A peer that holds a connection of
            // an earlier life answers the SYN so, and the RST ends it (RFC 9293 §3.5.1).
            self.stray_reset = Some(segment.ack);
            return;
        }
        if !segment.flags.has(Flags::SYN) {
            return;
        }
        self.read_syn(now, segment);
        if let Some(acked) = acked {
            self.syn_answered(now, received, acked, ext);
        } else {
            self.transition(State::SynReceived);
            // Simultaneous open: SYN/ACK with the same sequence number.
            self.handshake = Some(Handshake { due: true, attempts: 0, sent_at: now, timer: None });
        }
    }

    fn syn_answered(
        &mut self,
        now: Instant,
        received: &Received,
        acked: SubflowOffset,
        ext: &mut dyn Extension,
    ) {
        let segment = &received.segment;
        self.sample_handshake(now, received.path);
        self.send.una = SubflowOffset(1);
        self.set_window(u32::from(segment.window));
        self.establish(now);
        self.fast_open_answered(acked, &segment.options);
        self.recv.acks.at_once();
        let incoming = Incoming {
            now,
            phase: Phase::SynAck,
            start: SubflowOffset(1),
            len: len32(segment.payload.len()),
            ack: self.send.una,
            window: u32::from(segment.window),
            fin: segment.flags.has(Flags::FIN),
        };
        if self.extension_agrees(&incoming, segment, ext) {
            self.take_text_of_syn(now, segment.clone());
        }
    }

    /// Text and FIN of a SYN/ACK are processed like those of any segment (RFC 9293 §3.10.7.3).
    fn take_text_of_syn(&mut self, now: Instant, mut segment: Box<Segment>) {
        let start = SubflowOffset(1);
        let room = self.recv.window.edge() - start;
        let fits = len64(segment.payload.len()) <= room;
        segment.payload.truncate(usize64(room).min(segment.payload.len()));
        let fin = fits && segment.flags.has(Flags::FIN);
        let ecn = Ecn::NotEct;
        self.seventh_take_payload(now, Arrival { start, fin, segment, ecn });
        self.eighth_check_fin(now);
    }

    /// Both SYNs are acknowledged.
    pub(super) fn establish(&mut self, now: Instant) {
        self.handshake = None;
        self.progress_at = now;
        self.silence.on_heard(now);
        self.transition(if self.send.closing { State::FinWait1 } else { State::Established });
        self.events.push_back(Event::Established);
    }

    /// A handshake that was not retransmitted gives the first round-trip time (RFC 6298 §2). One
    /// that was more than once says that the path loses packets (RFC 6928 §2).
    pub(super) fn sample_handshake(&mut self, now: Instant, path: PathId) {
        let path = self.paths.iter_mut().find(|p| p.id == path);
        if let (Some(h), Some(path)) = (self.handshake, path) {
            match h.attempts {
                1 => path.sample_handshake(now.since(h.sent_at), now),
                2 => path.rtt.on_slow_handshake(),
                _ => {
                    path.rtt.on_slow_handshake();
                    path.controller.on_lossy_handshake();
                }
            }
        }
    }

    /// Takes in what a SYN says: its number, and what it offers of options.
    pub(crate) fn read_syn(&mut self, now: Instant, syn: &Segment) {
        self.recv.isn = syn.seq;
        self.ecn.on_syn(syn.flags);
        self.send.wl1 = SubflowOffset::ZERO;
        let options = &syn.options;
        self.agreed.sack &= options.sack_permitted;
        if let Some(option) = options.user_timeout {
            self.user_timeout.on_option(option);
        }
        match options.timestamps.filter(|_| self.agreed.timestamps) {
            Some(ts) => self.timestamps.update(ts.value, now),
            None => self.agreed.timestamps = false,
        }
        match options.window_scale.filter(|_| self.config.window_scale) {
            Some(shift) => self.agreed.send_scale = shift.min(MAX_SHIFT),
            None => {
                self.agreed.scale = false;
                (self.agreed.send_scale, self.agreed.recv_scale) = (0, 0);
            }
        }
        let default = if self.ends.remote().is_ipv6() { Mss::DEFAULT_V6 } else { Mss::DEFAULT_V4 };
        let peer_mss = Mss(options.mss.unwrap_or(default.0).max(MIN_PEER_MSS));
        for path in &mut self.paths {
            path.agree_on_mss(path.mss.min(peer_mss));
        }
        // The window of a SYN is never scaled (RFC 7323 §2.2).
        self.set_window(syn.window.into());
    }
}
