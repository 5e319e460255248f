//! What goes out: bytes are given to subflows one mapping at a time, just as they can be sent.

use core::ops::Range;

use manypath_base::{DataOffset, Instant, PathId, SubflowId, usize64};
use manypath_sched::{Demand, PathView};
use manypath_tcp::Transmit;

use super::crowd;
use super::mapping::Mapping;
use super::seam::CAPABLE_DATA_LEN;
use super::subflow::Stage;
use super::{Connection, Mode, Subflow, data_len};

/// After falling back, bytes handed to the flow ahead of what it can send.
const PLAIN_AHEAD: u64 = 1 << 20;
/// A mapping's length has 16 bits (RFC 8684 §3.3.1).
const MAX_MAPPING: u32 = 0xffff;

impl Connection {
    /// The next segment to send, with the subflow that sends it.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<(SubflowId, Transmit)> {
        if let Some(words) = self.last_words.pop_front() {
            return Some(words);
        }
        let mss = self.typical_mss();
        let freely = || crowd::free_buffer(self.crowd, &self.subflows);
        let srtts = self.shared.views.iter().map(|view| view.srtt);
        let far = || !crowd::all_near(&self.subflows);
        let rtt = || srtts.max().filter(|_| far()).unwrap_or_default();
        self.shared.recv.adapt_buffer(now, freely, rtt);
        self.shared.recv.advance_window(mss);
        loop {
            let fed = self.feed(now);
            let first = fed.unwrap_or(0);
            let count = self.subflows.len();
            for i in (0..count).map(|n| (first + n) % count) {
                if self.lacks_keys(i) {
                    continue;
                }
                let transmit = self.with_flow(i, |flow, seam| flow.poll_transmit(now, seam));
                if let Some(transmit) = transmit {
                    return Some((self.subflows[i].id, transmit));
                }
            }
            // What was fed may wait for its pace; the next piece may go elsewhere at once.
            if fed.is_none() || !self.shared.is_multipath() {
                return None;
            }
        }
    }

    /// Whether data overtook the segment with the peer's key: nothing can be acknowledged before
    /// that comes. An ACK could have no DSS, and then the peer would fall back (RFC 8684 §3.7).
    pub(super) fn lacks_keys(&self, i: usize) -> bool {
        self.shared.mode == Mode::Negotiating && self.subflows[i].state.has_early()
    }

    /// Gives bytes to a subflow, if there are any and one has room. Returns which.
    fn feed(&mut self, now: Instant) -> Option<usize> {
        if self.fastclose.is_some() {
            return None;
        }
        match self.shared.mode {
            Mode::Negotiating => None,
            Mode::Plain(_) => self.feed_plain(),
            Mode::Multipath => self.feed_multipath(now),
        }
    }

    fn feed_plain(&mut self) -> Option<usize> {
        let flow = &mut self.subflows.first_mut()?.flow;
        let more = self.switches.tell(flow);
        let send = &mut self.shared.send;
        if send.unsent() > 0 && flow.unsent() < PLAIN_AHEAD {
            let end = send.buffer.end().min(send.nxt + PLAIN_AHEAD);
            for chunk in send.buffer.slice(send.nxt, end).into_chunks() {
                if more { flow.write_more(chunk) } else { flow.write(chunk) }
            }
            send.nxt = end;
        }
        let open = flow.state().is_synchronized() && flow.state().may_write();
        if send.closing && send.unsent() == 0 && open {
            flow.close();
        }
        Some(0)
    }

    fn feed_multipath(&mut self, now: Instant) -> Option<usize> {
        if let Some(i) = self.feed_copy(now) {
            return Some(i);
        }
        let send = &self.shared.send;
        let lost = send.reinject.as_slice().first().cloned();
        let again = lost.is_some();
        let range =
            lost.unwrap_or_else(|| send.nxt..send.buffer.end().min(self.edge()).max(send.nxt));
        let (unsent, window) = (send.unsent(), send.window());
        self.arm_data_timer(now);
        if range.is_empty() && !self.is_held_up() {
            return None;
        }
        let mut views = self.path_views();
        if !again {
            self.close_gate(unsent, &mut views);
            self.save_room(now, range.end - range.start, &mut views);
        }
        if range.is_empty() {
            return self.hurry(now, &views);
        }
        let demand = Demand { unsent, window };
        let picked = self.scheduler.pick(&demand, &views)?;
        let i = self.index(SubflowId::from(picked))?;
        let room = views.iter().find(|v| v.id == picked).map_or(0, |v| v.room);
        let (len, packet) = self.chunk(i, &range, room);
        if !again && (self.holds_back(len, packet) || self.is_corked(now, len, packet)) {
            return self.hurry(now, &views);
        }
        self.give(now, i, range.start..range.start + len, again);
        if !again {
            self.switches.on_sent();
        }
        self.arm_data_timer(now);
        Some(i)
    }

    /// Right edge of what may be sent: that of the peer's window, but of several subflows to a peer
    /// beside this host half of it.
    ///
    /// **Choice:** Linux moves what came on a subflow to the connection until its buffer is full. Where
    /// that is full of data from one subflow, behind a hole that waits on another, nothing is
    /// moved any more and nothing can be read, for ever. Hosts beside each other fill whole windows;
    /// half of one never holds so much.
    fn edge(&self) -> DataOffset {
        let send = &self.shared.send;
        let beside = |s: &Subflow| s.flow.is_beside(PathId::from(s.id));
        let mut carriers = self.subflows.iter().filter(|s| s.may_carry());
        if self.subflows.len() < 2 || !carriers.any(beside) {
            return send.edge;
        }
        let half = send.edge.saturating_sub(send.una) / 2;
        send.edge.min(send.una + half.max(2 * u64::from(self.typical_mss())))
    }

    /// Takes out of views what room their subflows had better not use yet, where `len` bytes are more
    /// than it ([`manypath_tcp::Flow::saves_room`]).
    fn save_room(&self, now: Instant, len: u64, views: &mut [PathView]) {
        let short = views.iter_mut().filter(|view| view.room > 0 && u64::from(view.room) < len);
        for view in short {
            let sub = self.index(SubflowId::from(view.id)).map(|i| &self.subflows[i]);
            if sub.is_some_and(|sub| sub.flow.saves_room(view.id, now)) {
                view.room = 0;
            }
        }
    }

    /// How many bytes of `range` one mapping on subflow `i` takes now, and the payload of one of
    /// its packets. Whole packets, unless the range ends first.
    pub(super) fn chunk(&self, i: usize, range: &Range<DataOffset>, room: u32) -> (u64, u64) {
        let sub = &self.subflows[i];
        let capable = sub.state.stage == Stage::Unconfirmed
            && sub.flow.write_offset() == sub.state.on_syn.first_sent();
        let options = if capable { CAPABLE_DATA_LEN } else { self.shared.dss_len() };
        let options = u32::try_from(options).expect("options are at most 40 bytes");
        let (packet, burst) = sub.flow.packet_and_burst(PathId::from(sub.id), options);
        let limit = burst.min(room).min(MAX_MAPPING).max(packet);
        let whole = u64::from(limit - limit % packet);
        ((range.end - range.start).min(whole), packet.into())
    }

    /// Nagle (RFC 9293 §3.7.4) and silly window avoidance, at the connection's level: less than
    /// a packet waits while something is outstanding, unless it is the last.
    fn holds_back(&self, len: u64, packet: u64) -> bool {
        let send = &self.shared.send;
        let last = send.closing && len == send.unsent();
        let cut_by_window = len < send.unsent();
        len < packet && send.una < send.nxt && !last && (self.switches.has_nagle() || cut_by_window)
    }

    /// Whether the end of the queue waits because the application said that more follows.
    fn is_corked(&mut self, now: Instant, len: u64, packet: u64) -> bool {
        let send = &self.shared.send;
        let partial = len < packet && len == send.unsent() && !send.closing;
        partial && self.switches.is_corked(now)
    }

    /// Maps `range` to the next bytes of subflow `i`.
    pub(super) fn give(&mut self, now: Instant, i: usize, range: Range<DataOffset>, again: bool) {
        let Self { shared, subflows, .. } = self;
        let sub = &mut subflows[i];
        let payload = shared.send.buffer.slice(range.start, range.end);
        let len = range.end - range.start;
        let ssn = sub.flow.write_offset();
        let counted = sub.state.on_syn.ssn_sent(ssn);
        let checksum = shared.mapping_checksum(range.start, counted, &payload);
        let len32 = u32::try_from(len).expect("a mapping has at most 65,535 bytes");
        sub.state.carried = sub.state.carried.max(range.end);
        sub.state.tx.push(Mapping { ssn, dsn: range.start, len: len32, checksum, fin: false });
        for chunk in payload.into_chunks() {
            debug_assert!(data_len(&chunk) <= len);
            sub.flow.write(chunk);
        }
        let send = &mut shared.send;
        if again {
            send.reinjected += len;
            send.reinject.remove(range);
        } else {
            send.nxt = range.end;
            send.wrap.on_sent(now, range.end);
        }
    }

    /// Marks everything that subflow `i` carries for other subflows, if there are any.
    pub(super) fn reinject_from(&mut self, i: usize) {
        if self.is_spare(i) {
            self.reinject_all_of(i);
        }
    }

    /// Marks everything that subflow `i` carries for others, which may be yet to come.
    pub(super) fn reinject_all_of(&mut self, i: usize) {
        if !self.shared.is_multipath() {
            return;
        }
        let Self { shared, subflows, .. } = self;
        for mapping in subflows[i].state.tx.hand_over() {
            shared.send.reinject(mapping.dsn..mapping.data_end());
        }
    }

    /// A subflow came up: what silent ones carry can go there.
    pub(super) fn reinject_from_unwell(&mut self) {
        for i in 0..self.subflows.len() {
            if self.subflows[i].flow.paths().any(|p| p.suspect || p.failed) {
                self.reinject_from(i);
            }
        }
    }

    /// Bytes from the first unacknowledged one that a data-level timeout sends again: a mapping's
    /// worth of what a subflow still carries, or all up to there of what none carries any more,
    /// since it was acknowledged at the subflow and lost behind it.
    pub(super) fn head(&self) -> Range<DataOffset> {
        let send = &self.shared.send;
        let carried = self.subflows.iter().filter_map(|s| s.state.tx.first_from(send.una)).min();
        match carried {
            Some(at) if at == send.una => send.una..send.nxt.min(send.una + u64::from(MAX_MAPPING)),
            carried => send.una..carried.unwrap_or(send.nxt).min(send.nxt),
        }
    }

    /// A byte beyond the closed shared window, to learn whether it has opened (RFC 9293
    /// §3.8.6.1, at the data level).
    pub(super) fn probe_window(&mut self, now: Instant) {
        let send = &self.shared.send;
        let probe = send.nxt..send.nxt + 1;
        if send.unsent() > 0
            && usize64(send.window()) == 0
            && let Some(i) = self.best_subflow().filter(|&i| self.subflows[i].may_carry())
        {
            self.give(now, i, probe, false);
        }
    }
}
