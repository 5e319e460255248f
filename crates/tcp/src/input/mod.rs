//! Segment arrives: RFC 9293 §3.10.7, one function for each numbered step.

mod ack;
mod handshake;
mod loss;
mod spurious;
mod timeout;

use alloc::boxed::Box;
use core::ops::Range;
use core::time::Duration;

use manypath_base::{Instant, PathId, SubflowOffset, len32, len64, usize64};
use manypath_wire::{Ecn, Flags, Segment};

pub(crate) use loss::OwnViews;

use crate::extension::{Incoming, Phase, Verdict};
use crate::{CloseReason, Event, Extension, Flow, Received, State};

/// At most one challenge acknowledgment in this time for a flow (RFC 5961 §7).
pub(crate) const CHALLENGE_INTERVAL: Duration = Duration::from_millis(100);

/// A segment with its numbers unwrapped and its payload cut to the window.
pub(crate) struct Arrival {
    pub(crate) start: SubflowOffset,
    pub(crate) fin: bool,
    pub(crate) segment: Box<Segment>,
    pub(crate) ecn: Ecn,
}

impl Flow {
    /// Takes a segment in that belongs to this flow.
    pub fn handle_segment(&mut self, now: Instant, received: Received, ext: &mut dyn Extension) {
        self.stir();
        self.counts.segments_received += 1;
        match self.state {
            State::Closed => {}
            State::SynSent => self.syn_sent(now, &received, ext),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait { .. } => self.other_states(now, received, ext),
        }
    }

    /// RFC 9293 §3.10.7.4.
    fn other_states(&mut self, now: Instant, received: Received, ext: &mut dyn Extension) {
        let Received { path, mut segment, ecn } = received;
        self.answer_to_simultaneous_syn(&mut segment);
        let Some(mut arrival) = self.first_check_sequence(now, segment, ext) else { return };
        arrival.ecn = ecn;
        self.silence.on_heard(now);
        if !self.second_check_rst(now, path, &arrival, ext) || !self.fourth_check_syn(now, &arrival)
        {
            return;
        }
        if !self.fifth_check_ack(now, path, &arrival, ext) {
            return;
        }
        if let Some(option) = arrival.segment.options.user_timeout {
            self.user_timeout.on_option(option);
        }
        let incoming = self.describe(now, &arrival);
        if !self.extension_agrees(&incoming, &arrival.segment, ext) {
            return;
        }
        self.seventh_take_payload(now, arrival);
        self.eighth_check_fin(now);
    }

    /// Simultaneous open (RFC 9293 §3.5, figure 8): the SYN/ACK repeats a SYN that has come
    /// already. What counts of it is the acknowledgment, which stands behind the SYN.
    fn answer_to_simultaneous_syn(&self, segment: &mut Segment) {
        let both = Flags::SYN | Flags::ACK;
        let repeated = segment.seq == self.recv.isn && segment.flags.has(both);
        if self.state == State::SynReceived && repeated && !segment.flags.has(Flags::RST) {
            segment.flags = segment.flags.without(Flags::SYN);
            segment.seq = segment.seq.wrapping_add(1);
        }
    }

    /// Lets the extension read the options; it may end the flow.
    pub(crate) fn extension_agrees(
        &mut self,
        incoming: &Incoming,
        segment: &Segment,
        ext: &mut dyn Extension,
    ) -> bool {
        match ext.read_options(incoming, &segment.options.mptcp) {
            Verdict::Continue => true,
            Verdict::Reset(reason) => {
                self.reset_due = Some(Some(reason));
                self.end(CloseReason::Aborted);
                false
            }
        }
    }

    /// First: is any part of it in the window, and is it not old (PAWS)?
    fn first_check_sequence(
        &mut self,
        now: Instant,
        mut segment: Box<Segment>,
        ext: &dyn Extension,
    ) -> Option<Arrival> {
        let nxt = self.recv.nxt();
        let rst = segment.flags.has(Flags::RST);
        let old =
            segment.options.timestamps.is_some_and(|ts| self.timestamps.is_old(ts.value, now));
        if self.agreed.timestamps && old && !rst {
            self.counts.seldom().paws_dropped += 1;
            let start = SubflowOffset::from_seq(segment.seq, self.recv.isn, nxt);
            self.note_old(start, &segment);
            self.answer_unacceptable(now, &segment);
            return None;
        }
        let edge = self.acceptable_edge(ext);
        let start = SubflowOffset::from_seq(segment.seq, self.recv.isn, nxt);
        let len = u64::from(segment.seq_len());
        let acceptable = start.filter(|&start| {
            let end = start + len;
            // A closed window takes no data, but the acknowledgment beside it (RFC 9293
            // §3.10.7.4). **Differs** from there: an empty segment may stand at the right edge,
            // where a peer stands that has filled the window. Both sides would wait for ever.
            let touches = if len == 0 { start >= nxt } else { end > nxt };
            touches && (start < edge || start == edge && (len == 0 || start == nxt))
        });
        let Some(start) = acceptable else {
            self.counts.seldom().out_of_window += 1;
            self.unacceptable(now, start, &segment);
            return None;
        };
        // A SYN occupies the place before the data.
        let data = start + u64::from(segment.flags.has(Flags::SYN));
        let mut fin = segment.flags.has(Flags::FIN);
        let room = edge.saturating_sub(data);
        if len64(segment.payload.len()) > room {
            segment.payload.truncate(usize64(room));
            fin = false;
            self.recv.acks.at_once();
        }
        Some(Arrival { start: data, fin, segment, ecn: Ecn::NotEct })
    }

    /// A shared window is a limit at the connection's level only: then this flow takes as much as
    /// fits the buffer behind it and as much again, for data that was sent on another flow before.
    fn acceptable_edge(&self, ext: &dyn Extension) -> SubflowOffset {
        match ext.shared_buffer() {
            Some(buffer) => self.recv.nxt() + 2 * buffer,
            None => self.recv.window.edge(),
        }
    }

    /// An unacceptable segment is answered with an acknowledgment (MUST), a duplicate with the
    /// range that was duplicate (RFC 2883 §4).
    fn unacceptable(&mut self, now: Instant, start: Option<SubflowOffset>, segment: &Segment) {
        if segment.flags.has(Flags::RST) {
            return;
        }
        self.note_old(start, segment);
        self.answer_unacceptable(now, segment);
        if let (State::SynReceived, true, Some(handshake)) =
            (self.state, segment.flags.has(Flags::SYN), self.handshake.as_mut())
        {
            // The peer did not see the SYN/ACK, and may have given up on ECN meanwhile.
            handshake.due = true;
            self.ecn.on_syn(segment.flags);
        }
        if let (State::TimeWait { .. }, true) = (self.state, segment.flags.has(Flags::FIN)) {
            // The peer missed the acknowledgment of its FIN: wait again (RFC 9293 §3.10.7.4).
            self.enter_time_wait(now);
        }
    }

    /// Text that has all come before is reported as such (RFC 2883 §4), whatever else is wrong with
    /// the segment.
    fn note_old(&mut self, start: Option<SubflowOffset>, segment: &Segment) {
        let len = len64(segment.payload.len());
        let text = len > 0 && !segment.flags.has(Flags::SYN);
        if let Some(start) = start.filter(|&s| text && s + len <= self.recv.nxt()) {
            self.note_duplicate(start..start + len);
        }
    }

    /// Two sides that disagree must not answer each other's answers for ever.
    fn answer_unacceptable(&mut self, now: Instant, segment: &Segment) {
        if segment.seq_len() == 0 {
            self.challenge(now);
        } else {
            self.recv.acks.at_once();
        }
    }

    /// RFC 7323 §4.3: TS.Recent comes of the segment that covers the last acknowledgment.
    fn update_timestamp(&mut self, now: Instant, arrival: &Arrival) {
        let stamps = arrival.segment.options.timestamps;
        if let Some(ts) = stamps.filter(|_| self.agreed.timestamps)
            && arrival.start <= self.recv.last_ack_sent
        {
            self.timestamps.update(ts.value, now);
        }
    }

    /// Second: RST. Only one that hits RCV.NXT exactly counts; elsewhere in the window it is
    /// challenged (RFC 5961 §3.2).
    fn second_check_rst(
        &mut self,
        now: Instant,
        path: PathId,
        arrival: &Arrival,
        ext: &mut dyn Extension,
    ) -> bool {
        if !arrival.segment.flags.has(Flags::RST) {
            return true;
        }
        if arrival.start != self.recv.nxt() {
            self.challenge(now);
            return false;
        }
        if self.doubts_reset(now, path) {
            return false;
        }
        ext.read_reset(&arrival.segment.options.mptcp);
        let reason = CloseReason::Reset(arrival.segment.options.mptcp.reset);
        self.end(match self.state {
            State::SynReceived => CloseReason::Refused,
            State::TimeWait { .. } => CloseReason::Finished,
            State::SynSent
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::Closed => reason,
        });
        false
    }

    /// Fourth: a SYN in the window is challenged, not believed (RFC 5961 §4.2).
    fn fourth_check_syn(&mut self, now: Instant, arrival: &Arrival) -> bool {
        let syn = arrival.segment.flags.has(Flags::SYN);
        if syn {
            self.challenge(now);
        }
        !syn
    }

    /// Seventh: the segment text.
    fn seventh_take_payload(&mut self, now: Instant, arrival: Arrival) {
        let Arrival { start, fin, segment, ecn } = arrival;
        let mut payload = segment.payload;
        let end = start + len64(payload.len());
        if !self.state.may_receive() {
            return;
        }
        if fin {
            self.note_fin(end);
        }
        if let Some(limit) = self.recv.fin.filter(|&limit| end > limit) {
            payload.truncate(usize64(limit.saturating_sub(start)));
        }
        if payload.is_empty() {
            return;
        }
        self.take_mark(segment.flags, ecn);
        self.note_duplicates(start, end);
        let had_hole = self.recv.data.held_bytes() > 0;
        let mss = self.paths[0].mss.bytes();
        let newly = self.recv.insert(start, payload);
        if newly > 0 {
            self.counts.bytes_received += newly;
            self.recv.acks.on_data(now, newly, mss, self.config.delayed_ack);
            self.events.push_back(Event::Received);
        } else if self.agreed.sack {
            self.recv.sack.on_held(start, &self.recv.data);
        } else {
            self.recv.acks.repeat();
        }
        if had_hole || newly == 0 {
            // RFC 5681 §4.2: out of order, or (part of) a hole filled.
            self.recv.acks.at_once();
        }
    }

    /// A packet of data came with this ECN field (RFC 3168 §6.1.3). **Choice:** a first mark is
    /// echoed at once, the sooner to be answered.
    fn take_mark(&mut self, flags: Flags, ecn: Ecn) {
        if self.ecn.on_data(flags, ecn) {
            self.recv.acks.at_once();
        }
        if ecn == Ecn::Ce {
            self.counts.seldom().ce_received += 1;
        }
    }

    /// Remembers the first range of a segment that had come before, for the D-SACK.
    fn note_duplicates(&mut self, start: SubflowOffset, end: SubflowOffset) {
        let next = self.recv.data.next();
        if start < next {
            self.note_duplicate(start..end.min(next));
        } else if let Some(held) = self.recv.data.range_at(start) {
            self.note_duplicate(start..end.min(held.end));
        }
    }

    fn note_duplicate(&mut self, range: Range<SubflowOffset>) {
        if self.agreed.sack {
            self.recv.sack.on_duplicate(range);
        }
    }

    /// The first FIN decides where the peer's data ends.
    fn note_fin(&mut self, end: SubflowOffset) {
        let held_beyond = self.recv.data.ranges().next_back().is_some_and(|r| r.end > end);
        if self.recv.fin.is_none() && !held_beyond && end >= self.recv.data.next() {
            self.recv.fin = Some(end);
            self.recv.acks.at_once();
        }
    }

    /// Eighth: FIN, once everything before it has come.
    fn eighth_check_fin(&mut self, now: Instant) {
        if !self.recv.is_finished() {
            return;
        }
        match self.state {
            State::SynReceived | State::Established => {
                self.transition(State::CloseWait);
                self.events.push_back(Event::PeerClosed);
            }
            State::FinWait1 => {
                self.events.push_back(Event::PeerClosed);
                if self.send.fin_acknowledged() {
                    self.enter_time_wait(now);
                } else {
                    self.transition(State::Closing);
                }
            }
            State::FinWait2 => {
                self.events.push_back(Event::PeerClosed);
                self.enter_time_wait(now);
            }
            State::SynSent
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait { .. }
            | State::Closed => {}
        }
    }

    /// A challenge acknowledgment, limited in rate for each flow, so that the limit is no side
    /// channel (RFC 5961 §7).
    pub(crate) fn challenge(&mut self, now: Instant) {
        if self.challenge_at.is_none_or(|at| now.since(at) >= CHALLENGE_INTERVAL) {
            self.challenge_at = Some(now);
            self.counts.seldom().challenge_acks += 1;
            self.recv.acks.at_once();
        }
    }

    pub(crate) fn describe(&self, now: Instant, arrival: &Arrival) -> Incoming {
        Incoming {
            now,
            phase: Phase::Open,
            start: arrival.start,
            len: len32(arrival.segment.payload.len()),
            ack: self.send.una,
            window: u32::from(arrival.segment.window) << self.agreed.send_scale,
            fin: arrival.fin,
        }
    }
}
