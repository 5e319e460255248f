//! What comes in: segments, what flows report of them, and data to put in order.

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::{
    DataOffset, IfaceId, Instant, PathId, Payload, SubflowId, SubflowOffset, len64, usize64,
};
use manypath_tcp::{CloseReason, Event as FlowEvent, Received, State};
use manypath_wire::{Ecn, IcmpError, MpTcpRst, ResetReason, Segment};

use super::mapping::Mapping;
use super::subflow::Kind;
use super::watch::Silence;
use super::{Connection, Mode, Role, Subflow};
use crate::event::PathDownReason;
use crate::{ConnectionError, Event, FallbackReason};

/// After falling back, bytes wait in the flow, whose window then closes, once this many wait here.
const PLAIN_READ_AHEAD: u64 = 64 << 10;

/// How often a failed subflow is probed while others live.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection without subflows waits for one; common systems do as long.
const STRANDED: Duration = Duration::from_secs(60);
/// The longest retransmission timeout where there is no other subflow (RFC 6298 (2.5)).
const MAX_RTO: Duration = Duration::from_secs(60);

impl Connection {
    /// A segment came for a subflow.
    pub(crate) fn handle_segment(
        &mut self,
        now: Instant,
        id: SubflowId,
        iface: IfaceId,
        segment: Box<Segment>,
        ecn: Ecn,
    ) {
        if let Some(i) = self.index(id) {
            self.note_heard(now, i);
            let path = self.one_ended.path_on(iface).unwrap_or(PathId::from(id));
            self.with_flow(i, |flow, seam| {
                let received = Received { path, segment, ecn };
                flow.handle_segment(now, received, seam);
            });
            self.settle(now, i);
        }
    }

    fn note_heard(&mut self, now: Instant, i: usize) {
        let sub = &mut self.subflows[i];
        sub.heard_at = now;
        sub.state.end_row();
        sub.silence = Silence::default();
        sub.doubt = sub.doubt.filter(|doubt| !doubt.is_answered(now));
    }

    /// An ICMP error came about a packet of a subflow.
    pub(crate) fn handle_icmp(&mut self, now: Instant, id: SubflowId, error: &IcmpError) {
        if let Some(i) = self.index(id) {
            self.subflows[i].flow.handle_icmp(now, error);
            self.settle(now, i);
        }
    }

    /// Brings everything in line after a call into subflow `i`, and takes out flows that have
    /// ended, this one or others.
    pub(super) fn settle(&mut self, now: Instant, i: usize) {
        self.take_in(i);
        self.note_hole(now);
        let una = self.subflows[i].flow.una();
        self.subflows[i].state.tx.release(una);
        self.sync_plain(i);
        self.act_on_said(now, i);
        self.arm_confirm_timer(now, i);
        self.drain_flow_events(now, i);
        self.spread(now);
        self.progress_close(now);
        self.end_attempts();
        while let Some(n) = self.subflows.iter().position(|s| s.flow.state() == State::Closed) {
            self.drain_flow_events(now, n);
            self.progress_close(now);
        }
        self.report_fallback();
        self.refresh_views();
        self.refresh_plan();
        self.arm_linger(now);
        self.report_room();
        if !self.readable_told && self.shared.recv.is_readable() {
            self.readable_told = true;
            self.events.push_back(Event::Readable(self.id));
        }
    }

    /// Joins under way end where the connection goes on as TCP, or is about to; there are no others
    /// then (`Shared::may_fall_back`).
    fn end_attempts(&mut self) {
        if self.subflows.len() == 1 || self.shared.may_join() {
            return;
        }
        for sub in self.subflows.iter_mut().filter(|s| s.state.kind != Kind::Initial) {
            let rst = MpTcpRst { transient: false, reason: ResetReason::MiddleboxInterference };
            sub.flow.abort(Some(rst));
        }
    }

    /// After falling back, or about to, TCP's acknowledgment is the connection's.
    fn sync_plain(&mut self, i: usize) {
        if let Mode::Plain(_) = self.shared.mode {
            self.take_unverified(i);
            self.take_unmapped(i);
        } else if !self.shared.has_lost_options() {
            return;
        }
        let una = Self::plain_una(&self.subflows[i].flow);
        let send = &mut self.shared.send;
        if una > send.una {
            send.una = una;
            send.buffer.release(una.min(send.buffer.end()));
        }
    }

    /// Tells the application of room, if it was told that there was none.
    pub(super) fn report_room(&mut self) {
        if self.shared.send.blocked && self.shared.send.buffer.len() < self.send_buffer() / 4 * 3 {
            self.shared.send.blocked = false;
            self.events.push_back(Event::Writable(self.id));
        }
    }

    /// Moves data that subflow `i` has in order to the connection.
    pub(super) fn take_in(&mut self, i: usize) {
        self.take_in_up_to(i, PLAIN_READ_AHEAD);
    }

    fn take_in_up_to(&mut self, i: usize, ahead: u64) {
        if self.shared.is_multipath() {
            self.retry_unmapped(i);
        }
        loop {
            match self.shared.mode {
                Mode::Negotiating => return,
                Mode::Plain(_) if self.shared.recv.queued() >= ahead => return,
                Mode::Plain(_) | Mode::Multipath => {}
            }
            let Some((at, payload)) = self.subflows[i].flow.read() else { return };
            if self.shared.is_multipath() {
                self.take_mapped(i, at, payload);
            } else {
                self.take_plain(at, payload);
            }
        }
    }

    pub(super) fn take_plain(&mut self, at: SubflowOffset, payload: Payload) {
        self.shared.recv.advance_window(1);
        self.shared.recv.insert(DataOffset(at.0), payload);
    }

    pub(super) fn take_mapped(&mut self, i: usize, mut at: SubflowOffset, mut payload: Payload) {
        while !payload.is_empty() {
            let known = self.subflows[i].state.rx.find(at).copied();
            let len = match known.filter(|_| !self.waits_for_earlier(i)) {
                Some(mapping) => self.take_piece(i, mapping, at, &mut payload),
                None if self.shared.is_distrusted() || self.is_first_data(i, at) => {
                    self.shared.fall_back(FallbackReason::NoMapping);
                    return self.take_plain(at, payload);
                }
                None => {
                    let len = self.hold_unmapped(i, at, &payload);
                    payload.advance(len);
                    len
                }
            };
            at += len64(len);
        }
        let state = &mut self.subflows[i].state;
        let done = state.unmapped.first().map_or(at, |first| first.min(at));
        state.rx.release(done);
    }

    /// Takes out of the payload what a mapping covers; returns how much.
    fn take_piece(
        &mut self,
        i: usize,
        mapping: Mapping,
        at: SubflowOffset,
        payload: &mut Payload,
    ) -> usize {
        let piece = payload.split_to(usize64(mapping.end() - at));
        let len = piece.len();
        if self.shared.checksum && !self.shared.is_distrusted() {
            self.take_checked(i, mapping, piece);
        } else {
            self.deliver(i, mapping.dsn + (at - mapping.ssn), piece);
        }
        len
    }

    /// Whether nothing came before on the connection: data without a mapping then says that a
    /// middlebox takes options away, and TCP goes on (RFC 8684 §3.7), if it can.
    fn is_first_data(&self, i: usize, at: SubflowOffset) -> bool {
        let on_syn = self.subflows[i].state.on_syn;
        let nothing_else = self.shared.recv.received() == on_syn.received;
        nothing_else && at == on_syn.first_received() && self.shared.may_fall_back()
    }

    /// Data of subflow `i` goes to its place in the stream.
    pub(super) fn deliver(&mut self, i: usize, dsn: DataOffset, payload: Payload) {
        let end = dsn + len64(payload.len());
        self.shared.recv.insert(dsn, payload);
        self.subflows[i].last_data = end;
    }

    fn drain_flow_events(&mut self, now: Instant, i: usize) {
        let mut closed = None;
        while let Some(event) = self.subflows[i].flow.poll_event() {
            match event {
                FlowEvent::Established
                | FlowEvent::Received
                | FlowEvent::Acknowledged
                | FlowEvent::FastOpenAnswered => {}
                FlowEvent::PeerClosed => self.on_peer_closed(i),
                FlowEvent::PathSuspect(path) => {
                    self.events.push_back(Event::PathSuspect(self.id, SubflowId::from(path)));
                    self.on_silent(i);
                }
                FlowEvent::PathFailed(_) => self.on_silent(i),
                FlowEvent::PathRestored(path) => {
                    self.events.push_back(Event::PathRestored(self.id, SubflowId::from(path)));
                }
                FlowEvent::PathProven(path) => self.on_path_proven(path),
                FlowEvent::PathBarred(path, why) => self.on_path_barred(path, why),
                FlowEvent::Closed(reason) => closed = Some(reason),
            }
        }
        self.report_up(i);
        if let Some(reason) = closed {
            self.on_subflow_closed(now, i, reason);
        }
    }

    /// Tells the application, once, that the connection goes on as TCP: when it is established, or
    /// whenever it fell back after that.
    fn report_fallback(&mut self) {
        if let (Mode::Plain(Some(reason)), true) = (self.shared.mode, self.established)
            && !self.fallback_told
        {
            self.fallback_told = true;
            self.events.push_back(Event::FellBack(self.id, reason));
        }
    }

    /// Reports a subflow that may carry data now, and the connection with the first of them.
    fn report_up(&mut self, i: usize) {
        let sub = &self.subflows[i];
        let plain = matches!(self.shared.mode, Mode::Plain(_));
        let ready = (plain && sub.flow.state().is_synchronized()) || sub.may_carry();
        if sub.up || !ready {
            return;
        }
        let (subflow, local, remote) = (sub.id, sub.flow.local(), sub.flow.remote());
        self.subflows[i].up = true;
        if !self.established {
            self.established = true;
            self.events.push_back(Event::Established(self.id));
        }
        self.report_fallback();
        self.paths.note_up(local.ip(), remote);
        self.stranded = None;
        self.events.push_back(Event::PathUp { conn: self.id, subflow, local, remote });
        self.reinject_from_unwell();
    }

    /// A path with data outstanding is silent: its data goes elsewhere, if there is an elsewhere.
    ///
    /// **Differs** from RFC 6298 (5.5), which doubles the timeout up to a minute: while other
    /// subflows carry the data, a silent one is probed with one segment a second, since nothing
    /// else would show that it is back.
    fn on_silent(&mut self, i: usize) {
        self.reinject_from(i);
        let alone = self.subflows.len() == 1;
        self.subflows[i].flow.set_max_rto(if alone { MAX_RTO } else { PROBE_INTERVAL });
    }

    /// A subflow is gone.
    fn on_subflow_closed(&mut self, now: Instant, i: usize, reason: CloseReason) {
        self.reinject_all_of(i);
        // The flow goes with what it holds.
        self.take_in_up_to(i, u64::MAX);
        // A RST may wait to be sent.
        let last_words = self.with_flow(i, |flow, seam| flow.poll_transmit(now, seam));
        let sub = self.subflows.remove(i);
        self.shared.lost_first |= sub.state.kind == Kind::Initial;
        self.last_words.extend(last_words.map(|words| (sub.id, words)));
        let ended = self.ended.is_some() || self.is_done();
        let why = match reason {
            _ if ended => PathDownReason::ConnectionEnded,
            CloseReason::Finished => PathDownReason::Closed,
            CloseReason::Reset(rst) => PathDownReason::Reset(rst.map(|r| u8::from(r.reason))),
            CloseReason::Refused | CloseReason::Unreachable => PathDownReason::JoinFailed,
            CloseReason::TimedOut => PathDownReason::TimedOut,
            CloseReason::Aborted => sub.down.unwrap_or(PathDownReason::Closed),
        };
        if sub.up {
            self.events.push_back(Event::PathDown(self.id, sub.id, why));
        }
        self.paths.is_stale = true;
        self.note_pair(now, reason, &sub);
        if self.ended.is_some() {
            return;
        }
        if self.subflows.is_empty() {
            self.on_last_subflow_closed(now, reason, &sub);
        } else if sub.up && self.shared.is_multipath() && !self.subflows.iter().any(|s| s.up) {
            // Attempts are all that is left. Others may always be under way when one fails.
            self.strand(now, reason);
        }
    }

    /// Remembers how a subflow ended that this side may open again. Those that the peer opened have
    /// ports of its choice, and are its to open again.
    fn note_pair(&mut self, now: Instant, reason: CloseReason, sub: &Subflow) {
        let opened_here = !matches!(sub.state.kind, Kind::Join { opener: false, .. });
        if self.shared.role != Role::Initiator || !opened_here {
            return;
        }
        let reason = match reason {
            CloseReason::Refused => CloseReason::Reset(sub.state.reset_reason),
            other => other,
        };
        let (local, remote) = (sub.flow.local(), sub.flow.remote());
        let first = self.paths.note_down(now, local.ip(), remote, reason, sub.up);
        if first && !sub.up && self.ended.is_none() && sub.state.kind != Kind::Initial {
            let reason = match reason {
                CloseReason::Reset(rst) => rst.map(|rst| u8::from(rst.reason)),
                CloseReason::Finished
                | CloseReason::Refused
                | CloseReason::TimedOut
                | CloseReason::Unreachable
                | CloseReason::Aborted => None,
            };
            self.events.push_back(Event::JoinFailed { conn: self.id, local, remote, reason });
        }
    }

    /// Nothing carries data any more: the connection waits for a subflow, but not for ever.
    fn strand(&mut self, now: Instant, reason: CloseReason) {
        let error = match reason {
            CloseReason::Reset(rst) if rst.is_none_or(|rst| !rst.transient) => {
                ConnectionError::Reset
            }
            _ => ConnectionError::NoPath,
        };
        self.stranded.get_or_insert((now + STRANDED, error));
    }

    fn on_last_subflow_closed(&mut self, now: Instant, reason: CloseReason, last: &Subflow) {
        if self.is_done() {
            return self.end(None);
        }
        if self.shared.is_multipath() && self.may_come_back(reason, last) {
            return self.strand(now, reason);
        }
        if let Some((_, error)) = self.stranded {
            return self.end(Some(error));
        }
        self.end(match reason {
            // In good order at the subflow, and not at the connection.
            CloseReason::Finished => Some(ConnectionError::NoPath),
            CloseReason::Aborted if last.down.is_some() => Some(ConnectionError::NoPath),
            CloseReason::Reset(_) => Some(ConnectionError::Reset),
            CloseReason::Refused => Some(ConnectionError::Refused),
            CloseReason::TimedOut => Some(ConnectionError::TimedOut),
            CloseReason::Unreachable => Some(ConnectionError::Unreachable),
            CloseReason::Aborted => Some(ConnectionError::Aborted),
        });
    }

    /// Break before make (RFC 8684 §3.5): whether the connection outlives its last subflow. It does
    /// where an address went, on this side or with a RST that says so, and where it had several
    /// paths; but an attempt that the peer refuses ends it. **Choice:** one that never had more
    /// than one path ends with it, as TCP does: its application hears of the RST at once, also of
    /// one that this side sent because of a middlebox.
    fn may_come_back(&self, reason: CloseReason, last: &Subflow) -> bool {
        if self.shared.role == Role::Responder && self.confirmed && !last.up {
            return true; // An attempt of the peer, which will make others.
        }
        match reason {
            CloseReason::Aborted => last.down.is_some_and(|why| {
                let is_disturbed = matches!(why, PathDownReason::Reset(_));
                !is_disturbed || self.shared.joined
            }),
            CloseReason::Reset(rst) => {
                rst.is_some_and(|rst| rst.transient) || (last.up && self.shared.joined)
            }
            // An attempt at another path, which was all that was left.
            CloseReason::TimedOut | CloseReason::Unreachable => !last.up && self.confirmed,
            CloseReason::Finished | CloseReason::Refused => false,
        }
    }

    pub(super) fn stranded_timeout(&mut self, now: Instant) {
        if let Some((_, error)) = self.stranded.filter(|&(at, _)| at <= now) {
            self.stranded = None;
            self.give_up(now, error);
        }
    }

    /// The application has read: there may be more in the flow, and the window may be worth telling.
    pub(super) fn after_read(&mut self) {
        if let Mode::Plain(_) = self.shared.mode {
            if !self.subflows.is_empty() {
                self.take_in(0);
            }
        } else if self.shared.recv.window_has_opened(self.typical_mss()) {
            self.speak_now();
        }
    }

    pub(super) fn typical_mss(&self) -> u32 {
        self.subflows.first().map_or(1, |s| s.flow.mss().bytes())
    }
}
