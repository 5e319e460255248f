//! Fifth: the ACK field (RFC 9293 §3.10.7.4), the scoreboard and the peer's window.

use core::ops::Range;

use manypath_base::{Instant, PathId, SubflowOffset};
use manypath_wire::{Flags, Segment};
use smallvec::SmallVec;

use super::Arrival;
use crate::path::Path;
use crate::{CloseReason, Event, Extension, Flow, State};

/// What an acknowledgment brought, besides what the scoreboard and the paths noted.
#[derive(Clone, Debug)]
pub(super) struct AckNews {
    /// SND.UNA moved.
    pub(super) advanced: bool,
    /// It counts as a duplicate acknowledgment, where there is no SACK to tell more.
    pub(super) repeated: bool,
    /// It says nothing that was not said before.
    pub(super) is_bare_repeat: bool,
    /// D-SACK.
    pub(super) duplicate: Option<Range<SubflowOffset>>,
    /// TSecr.
    pub(super) echo: Option<u32>,
    /// The peer echoes a mark of congestion (ECE, RFC 3168 §6.1.2).
    pub(super) marked: bool,
}

impl Flow {
    /// Fifth. Returns whether the segment is to be read further.
    pub(super) fn fifth_check_ack(
        &mut self,
        now: Instant,
        path: PathId,
        arrival: &Arrival,
        ext: &dyn Extension,
    ) -> bool {
        let segment = &arrival.segment;
        if !segment.flags.has(Flags::ACK) {
            return false;
        }
        let ack = SubflowOffset::from_seq(segment.ack, self.send.isn, self.send.una);
        // RFC 5961 §5.2: neither beyond what was sent nor older than any window.
        let oldest = self.send.una.0.saturating_sub(self.send.max_window.into());
        let Some(ack) = ack.filter(|&a| a <= self.send.nxt && a.0 >= oldest) else {
            return self.wrong_ack(now, segment);
        };
        if self.state == State::SynReceived {
            if ack < SubflowOffset(1) {
                return self.wrong_ack(now, segment);
            }
            self.complete_handshake(now, path, segment);
        }
        // Not before: who does not know what was sent shall not set TS.Recent either, with which
        // PAWS would drop what the peer sends (RFC 5961 §5).
        self.update_timestamp(now, arrival);
        let window = self.send.window;
        self.update_window(now, arrival, ack);
        self.take_ack(now, ack, segment, window != self.send.window, ext);
        self.after_ack(now);
        !matches!(self.state, State::Closed | State::TimeWait { .. })
    }

    fn wrong_ack(&mut self, now: Instant, segment: &Segment) -> bool {
        if self.state == State::SynReceived {
            // RFC 9293 §3.10.7.4, fifth: a RST, and the handshake goes on.
            self.stray_reset = Some(segment.ack);
        } else {
            self.challenge(now);
        }
        false
    }

    fn complete_handshake(&mut self, now: Instant, path: PathId, segment: &Segment) {
        self.sample_handshake(now, path);
        self.send.una = SubflowOffset(1);
        self.establish(now);
        self.set_window(u32::from(segment.window) << self.agreed.send_scale);
    }

    /// The peer's window, if this segment is newer than the last that set it.
    fn update_window(&mut self, now: Instant, arrival: &Arrival, ack: SubflowOffset) {
        let newer = self.send.wl1 < arrival.start
            || (self.send.wl1 == arrival.start && self.send.wl2 <= ack);
        if ack >= self.send.una && newer {
            self.send.wl1 = arrival.start;
            self.send.wl2 = ack;
            let window = u32::from(arrival.segment.window) << self.agreed.send_scale;
            self.set_window(window);
            if window == 0 {
                // A peer that keeps its window closed and says so is alive (RFC 9293 §3.8.6.1).
                self.progress_at = now;
            }
        }
    }

    pub(super) fn set_window(&mut self, window: u32) {
        self.send.window = window;
        self.send.max_window = self.send.max_window.max(window);
        if window > 0 {
            self.persist.stop();
        }
    }

    /// Cumulative and selective acknowledgment, for every path.
    fn take_ack(
        &mut self,
        now: Instant,
        ack: SubflowOffset,
        segment: &Segment,
        window_changed: bool,
        ext: &dyn Extension,
    ) {
        for path in &mut self.paths {
            path.begin_ack();
        }
        let is_bare_repeat = self.is_bare_repeat(ack, segment, window_changed);
        let advanced = ack > self.send.una;
        if advanced {
            self.send.dup_acks = 0;
            self.advance_una(now, ack, segment);
        }
        let repeated = is_bare_repeat && !self.agreed.sack && !self.board.is_empty();
        self.send.dup_acks += u32::from(repeated);
        let duplicate = self.take_sack(now, ack, segment);
        let pong = duplicate.as_ref().is_some_and(|range| self.take_pong(now, range));
        let copies = self.several.iter().flat_map(|several| &several.copies);
        let copied = |range: &_| copies.clone().any(|copies| copies.explain(range));
        let duplicate = duplicate.filter(|range| !pong && !copied(range));
        self.judge_repeats(now, duplicate.as_ref(), ext);
        let delivered = self.paths.iter().any(|p| p.work.tally.delivered > 0);
        if advanced || delivered || duplicate.is_some() || is_bare_repeat {
            let echo = segment.options.timestamps.map(|ts| ts.echo);
            let marked = self.ecn.is_on() && segment.flags.has(Flags::ECE);
            let news = AckNews { advanced, repeated, is_bare_repeat, duplicate, echo, marked };
            self.detect_spurious(&news);
            self.react(now, &news, ext);
        }
        if advanced || delivered {
            self.watch_harm(now);
        }
        self.check_reneging(now);
    }

    /// DUPLICATE ACKNOWLEDGMENT of RFC 5681 §2, (b) to (e), with no SACK block, and none that an
    /// extension sent to say something (RFC 8684 §3, §4).
    fn is_bare_repeat(&self, ack: SubflowOffset, segment: &Segment, window_changed: bool) -> bool {
        ack == self.send.una
            && segment.seq_len() == 0
            && segment.options.sack.is_empty()
            && !segment.options.mptcp.signals()
            && !window_changed
    }

    /// The receiver discarded what it had acknowledged selectively (RFC 2018 §8).
    fn check_reneging(&mut self, now: Instant) {
        if !self.board.is_reneged() {
            return;
        }
        let Self { board, paths, .. } = self;
        board.forget_sacks(|piece| {
            if let Some(path) = find(paths, piece.path) {
                path.sacked -= piece.len();
                path.lost += piece.len();
            }
        });
        for path in paths {
            path.rearm(now);
        }
    }

    /// When what `segment` answers was sent at the latest, by its TSecr. **Choice:** asked only of a
    /// segment that advances SND.UNA. RFC 8985 §6.2 would ask of all, but a selective acknowledgment
    /// echoes what came before the hole (RFC 7323 §4.3) and would speak against each retransmission
    /// behind it. Of several paths TSval tells the sequence and not the time.
    fn answers(&self, now: Instant, segment: &Segment) -> Option<Instant> {
        let echo = segment.options.timestamps.filter(|_| self.agreed.timestamps)?.echo;
        self.several.is_none().then(|| self.timestamps.sent_by(echo, now))
    }

    fn advance_una(&mut self, now: Instant, ack: SubflowOffset, segment: &Segment) {
        let answers = self.answers(now, segment);
        self.keep_tail(ack);
        let Self { board, paths, .. } = self;
        board.acknowledge(ack, |piece| {
            if let Some(path) = find(paths, piece.path) {
                path.on_delivered(piece, now, answers);
            }
        });
        for path in paths {
            // Drops what is over from the front.
            path.work.order.oldest(path.id, board);
        }
        self.send.una = ack;
        self.send.buffer.release(ack.min(self.send.buffer.end()));
        self.progress_at = now;
        self.events.push_back(Event::Acknowledged);
    }

    /// Reads the SACK blocks; returns the D-SACK, if the first block is one (RFC 2883 §4).
    fn take_sack(
        &mut self,
        now: Instant,
        ack: SubflowOffset,
        segment: &Segment,
    ) -> Option<Range<SubflowOffset>> {
        if !self.agreed.sack {
            return None;
        }
        let (isn, una, nxt) = (self.send.isn, self.send.una, self.send.nxt);
        let unwrap = |seq| SubflowOffset::from_seq(seq, isn, una);
        let mut blocks: SmallVec<[Range<SubflowOffset>; 4]> = SmallVec::new();
        for block in &segment.options.sack {
            let (Some(start), Some(end)) = (unwrap(block.start), unwrap(block.end)) else {
                continue;
            };
            if start < end && end <= nxt {
                blocks.push(start..end);
            }
        }
        let duplicate = blocks.first().cloned().filter(|first| {
            let within = |b: &Range<_>| b.start <= first.start && first.end <= b.end;
            first.end <= ack || blocks.get(1).is_some_and(within)
        });
        let ends = || core::iter::once(ack).chain(blocks.iter().map(|b| b.end));
        let copies = self.several.iter_mut().flat_map(|several| &mut several.copies);
        copies.for_each(|copies| ends().for_each(|end| copies.note(end)));
        self.take_early_pongs(now, &mut blocks);
        // In sequence order, so that what came in order does not look reordered.
        blocks.sort_unstable_by_key(|b| b.start);
        for block in blocks.iter().filter(|b| b.end > una) {
            let Self { board, paths, .. } = self;
            board.sack(&(block.start.max(una)..block.end), |piece| {
                if let Some(path) = find(paths, piece.path) {
                    path.on_delivered(piece, now, None);
                    path.sacked += piece.len();
                }
            });
        }
        duplicate
    }

    /// What an acknowledgment of this side's FIN does.
    fn after_ack(&mut self, now: Instant) {
        if !self.send.fin_acknowledged() {
            return;
        }
        match self.state {
            State::FinWait1 => self.transition(State::FinWait2),
            State::Closing => self.enter_time_wait(now),
            State::LastAck => self.end(CloseReason::Finished),
            State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait2
            | State::CloseWait
            | State::TimeWait { .. }
            | State::Closed => {}
        }
    }
}

fn find(paths: &mut [Path], id: PathId) -> Option<&mut Path> {
    paths.iter_mut().find(|p| p.id == id)
}
