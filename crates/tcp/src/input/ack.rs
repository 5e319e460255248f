//! Fifth: the ACK field (RFC 9293 §3.10.7.4), the scoreboard and the peer's window.

use core::ops::Range;

use manypath_base::{Instant, PathId, SeqNum, SubflowOffset};
use manypath_wire::{Flags, Segment};

use super::Arrival;
use crate::path::Path;
use crate::{CloseReason, Event, Extension, Flow, State};

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
        if self.state == State::SynReceived && !self.complete_handshake(now, path, ack, segment) {
            return false;
        }
        self.update_window(arrival, ack);
        self.take_ack(now, ack, segment, ext);
        self.after_ack(now);
        !matches!(self.state, State::Closed | State::TimeWait { .. })
    }

    fn wrong_ack(&mut self, now: Instant, segment: &Segment) -> bool {
        if self.state == State::SynReceived {
            self.reset_to(segment.ack);
        } else {
            self.challenge(now);
        }
        false
    }

    /// RFC 9293 §3.10.7.4, SYN-RECEIVED: a RST with the sequence number that was acknowledged.
    fn reset_to(&mut self, seq: SeqNum) {
        self.send.isn = seq;
        self.send.nxt = SubflowOffset::ZERO;
        self.reset_due = Some(None);
        self.end(CloseReason::Refused);
    }

    fn complete_handshake(
        &mut self,
        now: Instant,
        path: PathId,
        ack: SubflowOffset,
        segment: &Segment,
    ) -> bool {
        if ack < SubflowOffset(1) {
            return false;
        }
        self.sample_handshake(now, path);
        self.send.una = SubflowOffset(1);
        self.establish(now);
        let window = u32::from(segment.window) << self.agreed.send_scale;
        self.set_window(window);
        true
    }

    /// The peer's window, if this segment is newer than the last that set it.
    fn update_window(&mut self, arrival: &Arrival, ack: SubflowOffset) {
        let newer = self.send.wl1 < arrival.start
            || (self.send.wl1 == arrival.start && self.send.wl2 <= ack);
        if ack >= self.send.una && newer {
            self.send.wl1 = arrival.start;
            self.send.wl2 = ack;
            let window = u32::from(arrival.segment.window) << self.agreed.send_scale;
            self.set_window(window);
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
        ext: &dyn Extension,
    ) {
        for path in &mut self.paths {
            path.begin_ack();
        }
        let advanced = ack > self.send.una;
        if advanced {
            self.advance_una(now, ack);
        }
        let duplicate = self.take_sack(now, ack, segment);
        let delivered = self.paths.iter().any(|p| p.tally.delivered > 0);
        if advanced || delivered || duplicate.is_some() {
            let echo = segment.options.timestamps.map(|ts| ts.echo);
            self.detect_spurious(advanced, echo, duplicate.as_ref());
            self.react(now, duplicate.is_some(), ext);
        }
    }

    fn advance_una(&mut self, now: Instant, ack: SubflowOffset) {
        let Self { board, paths, .. } = self;
        board.acknowledge(ack, |piece| {
            if let Some(path) = find(paths, piece.path) {
                path.on_delivered(piece, now);
            }
        });
        self.send.una = ack;
        self.send.buffer.release(ack.min(self.send.buffer.end()));
        self.progress_at = now;
        self.persist.stop();
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
        let mut duplicate = None;
        let blocks = &segment.options.sack;
        for (i, block) in blocks.iter().enumerate() {
            let (Some(start), Some(end)) = (unwrap(block.start), unwrap(block.end)) else {
                continue;
            };
            let inside_second = i == 0
                && blocks.get(1).is_some_and(|b| {
                    unwrap(b.start).is_some_and(|s| s <= start)
                        && unwrap(b.end).is_some_and(|e| end <= e)
                });
            if i == 0 && start < end && (end <= ack || inside_second) {
                duplicate = Some(start..end);
            } else if una <= start && start < end && end <= nxt {
                let Self { board, paths, .. } = self;
                board.sack(&(start..end), |piece| {
                    if let Some(path) = find(paths, piece.path) {
                        path.on_delivered(piece, now);
                        path.sacked += piece.len();
                    }
                });
            }
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
