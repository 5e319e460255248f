//! What a flow sends, in order of urgency: RST, handshake, retransmissions, probes, new data,
//! acknowledgments.

mod probe;
mod segment;
mod size;

use core::ops::Range;

use manypath_base::{Instant, PathId, SeqNum, SubflowOffset, len32};
use manypath_wire::{Flags, Segment};

use crate::extension::Phase;
use crate::flow::{Rest, Transmit};
use crate::path::{MAX_RTO, Path};
use crate::scoreboard::{Sent, Status};
use crate::{Extension, Flow, State};
pub(crate) use segment::Draft;

impl Flow {
    /// The next segment to send. A driver calls this until it answers `None`.
    pub fn poll_transmit(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let rests = self.rest().is_some_and(|rest| rest.holds(now));
        if rests && !ext.wants_ack() {
            debug_assert!(self.next_segment(now, ext).is_none(), "it was not asleep: {self:?}");
            return None;
        }
        self.stir();
        let transmit = self.next_segment(now, ext);
        self.rest = transmit.is_none().then(|| Rest {
            since: now,
            until: self.paths.iter().filter_map(|path| path.rests_until(now)).min(),
            timeout: self.soonest_timer(),
        });
        transmit
    }

    fn next_segment(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if let Some(reason) = self.reset_due.take() {
            return Some(self.reset_segment(now, reason, ext));
        }
        if let Some(seq) = self.stray_reset.take() {
            return Some(self.stray_reset_segment(now, seq, ext));
        }
        if self.handshake.is_some_and(|h| h.due) {
            return Some(self.handshake_segment(now, ext));
        }
        if matches!(self.state, State::SynSent | State::Closed) {
            return None;
        }
        if self.state.may_send() || self.may_send_early() {
            self.pace_at = None;
            if let Some(sent) = self.retransmit(now, ext) {
                return Some(sent);
            }
            if let Some(sent) = self.ping(now, ext).or_else(|| self.probe(now, ext)) {
                return Some(sent);
            }
            if let Some(sent) = self.send_new(now, ext) {
                return Some(sent);
            }
            if self.pace_at.is_none()
                && self.paths.iter_mut().any(Path::give_up_probing)
                && let Some(sent) = self.retransmit(now, ext)
            {
                return Some(sent);
            }
        }
        self.acknowledge(now, ext)
    }

    fn reset_segment(
        &mut self,
        now: Instant,
        reason: Option<manypath_wire::MpTcpRst>,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let mut draft = Draft::new(Phase::Reset, Flags::RST, 0);
        if self.recv.nxt() > SubflowOffset(1) || self.handshake.is_none() {
            draft.flags |= Flags::ACK;
        }
        draft.range = self.send.nxt..self.send.nxt;
        let mut transmit = self.finish(now, &draft, ext);
        if reason.is_some() {
            transmit.segment.options.mptcp.reset = reason;
        }
        transmit
    }

    /// A RST in answer to an acknowledgment of what was never sent (RFC 9293 §3.10.7.3).
    fn stray_reset_segment(
        &mut self,
        now: Instant,
        seq: SeqNum,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let mut transmit = self.finish(now, &Draft::new(Phase::Reset, Flags::RST, 0), ext);
        transmit.segment.seq = seq;
        transmit
    }

    fn handshake_segment(&mut self, now: Instant, ext: &mut dyn Extension) -> Transmit {
        let handshake = self.handshake.as_mut().expect("the caller saw that it is due");
        let attempt = handshake.attempts;
        handshake.due = false;
        handshake.attempts += 1;
        handshake.sent_at = now;
        let wait = self.paths[0].rtt.rto().saturating_mul(1 << attempt.min(6)).min(MAX_RTO);
        handshake.timer = Some(now + wait);
        self.send.nxt = self.send.nxt.max(SubflowOffset(1));
        let (phase, flags) = match self.state {
            State::SynSent => (Phase::Syn, Flags::SYN),
            _ => (Phase::SynAck, Flags::SYN | Flags::ACK),
        };
        let flags = flags | self.ecn.setup_flags(phase, attempt);
        let mut transmit = self.finish(now, &Draft::new(phase, flags, attempt), ext);
        self.add_fast_open(phase, attempt, &mut transmit);
        transmit
    }

    /// Sends the first lost piece again, on its own path if that has room, else on any
    /// (RFC 6675 §5, NextSeg rule 1).
    fn retransmit(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if self.paths.iter().all(|p| p.lost == 0 || p.probes_timeout()) {
            return None;
        }
        let piece = self.board.first_lost()?;
        let id = self.board.get(piece).path;
        let path = self.path_with_room(id)?;
        self.pace_at = self.paths[path].resends_at(now);
        if self.pace_at.is_some() {
            return None;
        }
        let limit = self.burst(path).min(self.paths[path].room());
        let limit = limit.min(self.paths[path].trial_limit());
        Some(self.resend(now, piece, path, limit, ext))
    }

    /// A path with room that answers, or any where none does: the fastest, since what is missing
    /// holds up the rest, and of equals the one that had it.
    fn path_with_room(&self, preferred: PathId) -> Option<usize> {
        let any_well = self.paths.iter().any(Path::is_well);
        let usable = |p: &Path| p.room() > 0 && p.may_carry() && (p.is_well() || !any_well);
        let paths = self.paths.iter().enumerate().filter(|(_, p)| usable(p));
        paths.min_by_key(|(_, p)| (p.rtt.srtt(), p.id != preferred)).map(|(i, _)| i)
    }

    /// Sends (the first `limit` bytes of) piece `i` again on a path.
    pub(crate) fn resend(
        &mut self,
        now: Instant,
        i: usize,
        path: usize,
        limit: u32,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let piece = self.board.get(i);
        let attempt = piece.transmissions;
        let range = piece.range.start..piece.range.end.min(piece.range.start + u64::from(limit));
        let tsval = self.several.is_some().then_some(piece.tsval);
        let draft = Draft { tsval, ..self.draft_data(path, range, attempt) };
        let transmit = self.finish(now, &draft, ext);
        let end = draft.range.start + u64::from(transmit.segment.seq_len());
        if end < self.board.get(i).range.end {
            self.board.split(i, end);
        }
        self.note_resent(now, i, path, &transmit.segment);
        transmit
    }

    fn note_resent(&mut self, now: Instant, i: usize, to: usize, segment: &Segment) {
        let piece = self.board.get(i);
        let (bytes, was, old) = (piece.len(), piece.status, piece.path);
        if let Some(old) = self.paths.iter_mut().find(|p| p.id == old) {
            match was {
                Status::Lost => old.lost -= bytes,
                Status::InFlight => old.in_flight -= bytes,
                Status::Sacked => debug_assert!(false, "sacked data is not sent again"),
            }
        }
        self.counts.seldom().bytes_retransmitted += u64::from(bytes);
        let range = self.board.get(i).range.clone();
        // With a TSval of its own, the echo tells a retransmission from the original.
        let tsval =
            segment.options.timestamps.filter(|_| self.several.is_none()).map(|ts| ts.value);
        if let Some(old) = self.paths.iter_mut().find(|p| p.id == old) {
            if let Some(episode) = &mut old.episode {
                episode.evidence.on_retransmitted(range.clone(), tsval);
            }
            old.rearm(now);
        }
        let path = &mut self.paths[to];
        path.on_resent_paced(bytes, now);
        let (index, mark) = (path.on_sent(range, now), path.delivered_mark());
        path.note_resent(bytes);
        let (id, flight) = (path.id, path.in_flight);
        path.rearm(now);
        self.board.resent(i, id, index, now, (mark, flight));
    }

    /// What of the queue the peer's window admits; `None` in a state that sends no new data.
    fn sendable(&self, ext: &dyn Extension) -> Option<Range<SubflowOffset>> {
        let start = self.send.nxt;
        // FIN waits for the handshake (RFC 9293 §3.10.4).
        let fin = self.send.fin().filter(|_| self.state.is_synchronized());
        let end = fin.map_or(self.send.buffer.end(), |fin| fin + 1);
        (start < end).then(|| start..end.min(self.send_edge(ext)).max(start))
    }

    fn send_new(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let Some(range) = self.sendable(ext) else {
            if !ext.has_more() {
                self.paths.iter_mut().for_each(|path| path.on_nothing_to_send(now));
            }
            self.note_nothing_to_send();
            return self.hurry_tail(now, ext);
        };
        if range.is_empty() {
            self.start_persist(now);
            return self.hurry(now, ext);
        }
        self.paths.iter_mut().for_each(|path| path.raise_mss(now));
        let path = match self.several {
            None => self.path_for_new(now)?,
            Some(_) => self.schedule(now, ext)?,
        };
        let limit = self.burst(path).min(self.paths[path].room());
        let len = (range.end - range.start).min(limit.into());
        let is_cut = len < range.end - range.start;
        if self.several.is_none() && is_cut && self.saves_room(self.paths[path].id, now) {
            return None;
        }
        if self.is_corked(now, path, len) {
            return None;
        }
        if self.holds_back(path, len, ext) {
            self.start_persist(now);
            return if len < self.waiting() { self.hurry(now, ext) } else { None };
        }
        self.paths[path].before_new_data(now);
        Some(self.send_range(now, path, range.start..range.start + len, ext))
    }

    /// A path whose window and pace admit new data; notes when one will, if only the pace does not.
    fn path_for_new(&mut self, now: Instant) -> Option<usize> {
        let roomy = self.paths.iter().enumerate().filter(|(_, p)| p.room() > 0);
        let (path, at) = roomy.map(|(i, p)| (i, p.paced_until(now))).min_by_key(|&(_, at)| at)?;
        self.pace_at = self.pace_at.into_iter().chain(at).min();
        at.is_none().then_some(path)
    }

    /// With nothing in flight no acknowledgment will come to open the window.
    fn start_persist(&mut self, now: Instant) {
        let rto = self.paths[0].rtt.rto();
        let waits = self.board.is_empty() && self.state.is_synchronized();
        if waits && self.persist.start(now, rto, MAX_RTO) {
            self.progress_at = now;
        }
    }

    /// Silly window avoidance (RFC 9293 §3.8.6.2.1) and Nagle (§3.7.4): whether `len` bytes, less
    /// than a full segment, are to wait for more.
    fn holds_back(&self, path: usize, len: u64, ext: &dyn Extension) -> bool {
        let all = len == self.waiting();
        let full = len >= u64::from(self.paths[path].packet);
        let half_window =
            len >= u64::from(self.send.max_window / 2) && ext.shared_window().is_none();
        let fin = self.send.closing && all;
        if full || half_window || self.board.is_empty() && all || fin {
            return false;
        }
        // The rest of a queue goes out at once unless Nagle applies; what the window cut, waits.
        !all || self.config.nagle
    }

    /// Whether a partial segment waits because the application said that more follows.
    fn is_corked(&mut self, now: Instant, path: usize, len: u64) -> bool {
        let partial = len < u64::from(self.paths[path].packet);
        partial && !self.send.closing && self.cork.holds(now)
    }

    /// Sends bytes for the first time; `range` may include FIN.
    fn send_range(
        &mut self,
        now: Instant,
        path: usize,
        range: Range<SubflowOffset>,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let draft = Draft { fresh: true, ..self.draft_data(path, range, 0) };
        self.send_draft(now, &draft, ext)
    }

    fn send_draft(&mut self, now: Instant, draft: &Draft, ext: &mut dyn Extension) -> Transmit {
        let path = draft.path;
        let transmit = self.finish(now, draft, ext);
        if self.board.is_empty() {
            self.progress_at = now;
        }
        let start = draft.range.start;
        let range = start..start + u64::from(transmit.segment.seq_len());
        self.send.nxt = range.end;
        self.cork.on_sent();
        let p = &mut self.paths[path];
        let mark = p.delivered_mark();
        let delivered_before = if p.is_outstanding() { mark } else { (mark.0, now) };
        p.on_paced(transmit.segment.seq_len(), now);
        p.on_new_data(transmit.segment.seq_len());
        let index = p.on_sent(range.clone(), now);
        self.board.push(Sent {
            range,
            path: p.id,
            index,
            sent_at: now,
            transmissions: 1,
            moved: false,
            tsval: transmit.segment.options.timestamps.map_or(0, |ts| ts.value),
            status: Status::InFlight,
            delivered_before,
            flight: p.in_flight,
        });
        p.rearm(now);
        transmit
    }

    pub(crate) fn draft_data(
        &self,
        path: usize,
        range: Range<SubflowOffset>,
        attempt: u8,
    ) -> Draft {
        let mut draft = Draft::new(Phase::Open, Flags::ACK, attempt);
        draft.path = path;
        draft.range = range;
        draft
    }

    fn count_sent(&mut self, segment: &Segment) {
        self.counts.segments_sent += 1;
        self.counts.bytes_sent += u64::from(len32(segment.payload.len()));
    }
}
