//! What a flow sends, in order of urgency: RST, handshake, retransmissions, probes, new data,
//! acknowledgments.

mod segment;

use core::ops::Range;

use manypath_base::{Instant, Mss, PathId, SeqNum, SubflowOffset, len32};
use manypath_wire::{Flags, Segment};

use crate::extension::Phase;
use crate::flow::Transmit;
use crate::path::{Health, MAX_RTO, Path, TailProbe};
use crate::scoreboard::{Sent, Status};
use crate::{Extension, Flow, State};
use segment::Draft;

/// Time that one burst may take of a path's rate, so that a super-segment does not fill a short
/// queue by itself.
const BURST_MILLIS: u64 = 1;

/// Option bytes of timestamps, padded (RFC 7323 appendix A).
const TIMESTAMPS_LEN: u32 = 12;

impl Flow {
    /// The next segment to send. A driver calls this until it answers `None`.
    pub fn poll_transmit(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
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
        if self.state.may_send() {
            if let Some(sent) = self.retransmit(now, ext) {
                return Some(sent);
            }
            if let Some(sent) = self.probe(now, ext) {
                return Some(sent);
            }
            if let Some(sent) = self.send_new(now, ext) {
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
        self.send.nxt = SubflowOffset(1);
        let (phase, flags) = match self.state {
            State::SynSent => (Phase::Syn, Flags::SYN),
            _ => (Phase::SynAck, Flags::SYN | Flags::ACK),
        };
        self.finish(now, &Draft::new(phase, flags, attempt), ext)
    }

    /// Sends the first lost piece again, on its own path if that has room, else on any
    /// (RFC 6675 §5, NextSeg rule 1).
    fn retransmit(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if self.paths.iter().all(|p| p.lost == 0) {
            return None;
        }
        let piece = self.board.first_lost()?;
        let id = self.board.get(piece).path;
        let path = self.path_with_room(id)?;
        let limit = self.burst(path).min(self.paths[path].room());
        Some(self.resend(now, piece, path, limit, ext))
    }

    /// A path with room: the preferred one if it is alive, then any that is alive, then any.
    fn path_with_room(&self, preferred: PathId) -> Option<usize> {
        let room = |p: &Path| p.room() > 0;
        let alive = |p: &Path| room(p) && p.health == Health::Alive;
        let find = |usable: &dyn Fn(&Path) -> bool| self.paths.iter().position(usable);
        let own = find(&|p| p.id == preferred && alive(p));
        own.or_else(|| find(&alive)).or_else(|| find(&room))
    }

    /// Sends (the first `limit` bytes of) piece `i` again on a path.
    fn resend(
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
        let draft = self.draft_data(path, range, attempt);
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
        self.counters.bytes_retransmitted += u64::from(bytes);
        let range = self.board.get(i).range.clone();
        let path = &mut self.paths[to];
        let (index, mark) = (path.on_sent(range.clone(), now), path.delivered_mark());
        if let Some(episode) = &mut path.episode {
            let tsval = segment.options.timestamps.map(|ts| ts.value);
            episode.evidence.on_retransmitted(range, tsval);
        }
        let id = path.id;
        path.rearm(now);
        self.board.resent(i, id, index, now, mark);
    }

    /// A probe that the window does not limit: tail loss (RFC 8985 §7.3) or closed window.
    fn probe(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if let Some(path) = self.paths.iter().position(|p| p.probe_due) {
            self.paths[path].probe_due = false;
            return self.probe_tail(now, path, ext);
        }
        if core::mem::take(&mut self.persist.due) {
            return self.probe_window(now, ext);
        }
        None
    }

    /// New data if there is any, else the last packet again.
    fn probe_tail(
        &mut self,
        now: Instant,
        path: usize,
        ext: &mut dyn Extension,
    ) -> Option<Transmit> {
        let packet = self.paths[path].packet;
        let new = self.sendable(ext).filter(|r| !r.is_empty());
        let retransmission = new.is_none();
        let sent = match new {
            Some(range) => {
                let end = range.end.min(range.start + u64::from(packet));
                self.send_range(now, path, range.start..end, ext)
            }
            None => {
                let piece = self.last_packet(path)?;
                self.resend(now, piece, path, packet, ext)
            }
        };
        let probe = TailProbe { end: self.send.nxt, retransmission };
        self.paths[path].on_tail_probe(now, probe);
        Some(sent)
    }

    /// The last packet's worth of what may be missing on a path, as a piece of its own.
    fn last_packet(&mut self, path: usize) -> Option<usize> {
        let Path { id, packet, .. } = self.paths[path];
        let piece = self.board.last_missing(id)?;
        let range = self.board.get(piece).range.clone();
        let packet = u64::from(packet);
        if range.end - range.start <= packet {
            return Some(piece);
        }
        self.board.split(piece, SubflowOffset(range.end.0 - packet));
        Some(piece + 1)
    }

    /// The persist timer expired: what a small window admits goes out after all (RFC 9293
    /// §3.8.6.2.1), a closed one is probed (§3.8.6.1).
    ///
    /// **Differs** from "at least one octet of new data": the probe carries none and stands
    /// before the window, so that it must be acknowledged but takes no part in loss recovery.
    /// Common systems probe so.
    fn probe_window(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if !self.board.is_empty() {
            return None;
        }
        let range = self.sendable(ext)?;
        if !range.is_empty() {
            let packet = u64::from(self.paths[0].packet);
            let end = range.end.min(range.start + packet);
            return Some(self.send_range(now, 0, range.start..end, ext));
        }
        let mut draft = Draft::new(Phase::Open, Flags::ACK, 0);
        draft.range = SubflowOffset(self.send.una.0 - 1)..SubflowOffset(self.send.una.0 - 1);
        self.start_persist(now);
        Some(self.finish(now, &draft, ext))
    }

    /// What of the queue the peer's window admits; `None` in a state that sends no new data.
    fn sendable(&self, ext: &dyn Extension) -> Option<Range<SubflowOffset>> {
        let start = self.send.nxt;
        let end = self.send.fin().map_or(self.send.buffer.end(), |fin| fin + 1);
        (start < end).then(|| start..end.min(self.send_edge(ext)).max(start))
    }

    fn send_new(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        self.pace_at = None;
        let Some(range) = self.sendable(ext) else {
            self.paths.iter_mut().for_each(|path| path.on_nothing_to_send(now));
            return None;
        };
        if range.is_empty() {
            self.start_persist(now);
            return None;
        }
        let path = self.path_for_new(now)?;
        let limit = self.burst(path).min(self.paths[path].room());
        let len = (range.end - range.start).min(limit.into());
        if self.holds_back(path, len, ext) {
            self.start_persist(now);
            return None;
        }
        self.paths[path].before_new_data(now);
        Some(self.send_range(now, path, range.start..range.start + len, ext))
    }

    /// A path whose window and pace admit new data; notes when one will, if only the pace does not.
    fn path_for_new(&mut self, now: Instant) -> Option<usize> {
        let roomy = self.paths.iter().enumerate().filter(|(_, p)| p.room() > 0);
        let (path, at) = roomy.map(|(i, p)| (i, p.paced_until(now))).min_by_key(|&(_, at)| at)?;
        self.pace_at = at;
        at.is_none().then_some(path)
    }

    /// With nothing in flight no acknowledgment will come to open the window.
    fn start_persist(&mut self, now: Instant) {
        let rto = self.paths[0].rtt.rto();
        if self.board.is_empty() && self.persist.start(now, rto, MAX_RTO) {
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

    /// Sends bytes for the first time; `range` may include FIN.
    fn send_range(
        &mut self,
        now: Instant,
        path: usize,
        range: Range<SubflowOffset>,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let draft = self.draft_data(path, range, 0);
        let transmit = self.finish(now, &draft, ext);
        if self.board.is_empty() {
            self.progress_at = now;
        }
        let start = draft.range.start;
        let range = start..start + u64::from(transmit.segment.seq_len());
        self.send.nxt = range.end;
        let p = &mut self.paths[path];
        let mark = p.delivered_mark();
        let delivered_before = if p.is_outstanding() { mark } else { (mark.0, now) };
        p.on_paced(transmit.segment.seq_len(), now);
        let index = p.on_sent(range.clone(), now);
        self.board.push(Sent {
            range,
            path: p.id,
            index,
            sent_at: now,
            transmissions: 1,
            status: Status::InFlight,
            delivered_before,
        });
        p.rearm(now);
        transmit
    }

    fn draft_data(&self, path: usize, range: Range<SubflowOffset>, attempt: u8) -> Draft {
        let mut draft = Draft::new(Phase::Open, Flags::ACK, attempt);
        draft.path = path;
        draft.range = range;
        draft
    }

    /// An acknowledgment alone, where one is due.
    fn acknowledge(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let wanted = self.state.is_synchronized() && ext.wants_ack();
        if !self.recv.acks.is_due() && !wanted {
            return None;
        }
        let mut draft = Draft::new(Phase::Open, Flags::ACK, 0);
        draft.range = self.send.nxt..self.send.nxt;
        Some(self.finish(now, &draft, ext))
    }

    /// Payload bytes that one burst may have on a path: a super-segment is no more than a quarter
    /// of the window and no more than the path carries in a millisecond.
    fn burst(&self, path: usize) -> u32 {
        let path = &self.paths[path];
        let cwnd = path.controller.cwnd();
        let by_rate = path.rtt.srtt().map_or(u64::MAX, |srtt| {
            let nanos = u64::try_from(srtt.as_nanos()).unwrap_or(u64::MAX).max(1);
            u64::from(cwnd).saturating_mul(BURST_MILLIS * 1_000_000) / nanos
        });
        let by_rate = u32::try_from(by_rate).unwrap_or(u32::MAX);
        let floor = 2 * path.mss.bytes();
        let most = self.config.max_burst.max(path.mss.bytes());
        (cwnd / 4).min(by_rate).max(floor).min(most)
    }

    /// Payload bytes of one packet on a path beside `extension` bytes of options that an extension
    /// adds, and of the largest burst of such packets that may be sent there now.
    #[must_use]
    pub fn packet_and_burst(&self, path: PathId, extension: u32) -> (u32, u32) {
        let i = self.paths.iter().position(|p| p.id == path).unwrap_or(0);
        let timestamps = if self.agreed.timestamps { TIMESTAMPS_LEN } else { 0 };
        let packet = self.paths[i].mss.bytes().saturating_sub(timestamps + extension).max(1);
        let burst = self.burst(i).max(packet);
        (packet, burst - burst % packet)
    }

    /// Payload per packet once `options` bytes of options are known.
    fn packet_payload(&self, path: usize, options: usize) -> Mss {
        let mss = self.paths[path].mss.0;
        Mss(mss.saturating_sub(u16::try_from(options).unwrap_or(40)).max(1))
    }

    fn max_segment(&self, path: usize, options: usize) -> u32 {
        let packet = self.packet_payload(path, options).bytes();
        let burst = self.config.max_burst.max(packet);
        // Whole packets, so that a super-segment leaves no small one in the middle.
        burst - burst % packet
    }

    fn clip(&self, path: usize, len: u64, options: usize) -> u64 {
        let packet = u64::from(self.packet_payload(path, options).bytes());
        let max = u64::from(self.max_segment(path, options));
        let len = len.min(max);
        if len > packet && len < max { len - len % packet } else { len }
    }

    fn window_field(&mut self, phase: Phase, ext: &dyn Extension) -> u16 {
        let nxt = self.recv.nxt();
        let mss = self.paths[0].mss.bytes();
        let own = self.recv.window.advance(nxt, self.recv.queued(), mss);
        let window = ext.shared_window().map_or(own, u64::from);
        let shift =
            if matches!(phase, Phase::Syn | Phase::SynAck) { 0 } else { self.agreed.recv_scale };
        u16::try_from(window >> shift).unwrap_or(u16::MAX)
    }

    fn count_sent(&mut self, segment: &Segment) {
        self.counters.segments_sent += 1;
        self.counters.bytes_sent += u64::from(len32(segment.payload.len()));
    }
}
