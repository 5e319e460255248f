//! Timers expire (RFC 9293 §3.10.8): retransmission, tail loss probe, reordering, silence,
//! delayed acknowledgment, closed window, handshake, TIME-WAIT, user timeout.

use manypath_base::{Instant, SubflowOffset};
use manypath_cc::{FlowView, Signal};
use smallvec::SmallVec;

use super::loss::{OwnViews, detect_losses};
use crate::keepalive::Due;
use crate::path::{Cause, Episode, Frto, Health, Path, TimerKind};
use crate::scoreboard::{Scoreboard, Status};
use crate::{CloseReason, Event, Extension, Flow, State};

impl Flow {
    /// Time has passed: whatever is due happens.
    pub fn handle_timeout(&mut self, now: Instant, ext: &mut dyn Extension) {
        self.stir();
        if let State::TimeWait { until } = self.state
            && until <= now
        {
            return self.end(CloseReason::Finished);
        }
        if self.state == State::Closed || self.handshake_timeout(now) {
            return;
        }
        self.pace_at = self.pace_at.filter(|&at| at > now);
        self.recv.acks.handle_timeout(now);
        self.persist.handle_timeout(now);
        self.cork.handle_timeout(now);
        self.several_timeout(now);
        self.path_timeouts(now, ext);
        let waiting = self.is_outstanding() || self.persist.due;
        let late = waiting && now.since(self.progress_at) >= self.user_timeout.current;
        if late || self.keepalive_timeout(now) {
            self.reset_due = Some(None);
            self.end(CloseReason::TimedOut);
        }
    }

    /// When an idle flow is to be probed: only where nothing waits for an acknowledgment, so that
    /// no other timer runs (RFC 9293 §3.8.4, MUST-26).
    pub(crate) fn keepalive_at(&self) -> Option<Instant> {
        let idle = matches!(
            self.state,
            State::Established | State::CloseWait | State::FinWait2 if self.board.is_empty()
        );
        let probing_window = self.persist.due || self.persist.timeout().is_some();
        let keepalive = self.config.keepalive.as_ref().filter(|_| idle && !probing_window)?;
        Some(self.silence.timeout(keepalive))
    }

    /// Returns whether nobody answered the probes.
    fn keepalive_timeout(&mut self, now: Instant) -> bool {
        match (self.keepalive_at(), self.config.keepalive.as_ref()) {
            (Some(_), Some(keepalive)) => {
                self.silence.handle_timeout(now, keepalive) == Due::GiveUp
            }
            (None, _) | (_, None) => false,
        }
    }

    /// Returns whether the flow ended.
    fn handshake_timeout(&mut self, now: Instant) -> bool {
        let Some(handshake) = self.handshake.as_mut() else { return false };
        if handshake.timer.is_none_or(|at| at > now) {
            return false;
        }
        handshake.timer = None;
        if handshake.attempts > self.config.syn_retries {
            self.end(CloseReason::TimedOut);
            return true;
        }
        handshake.due = true;
        false
    }

    fn path_timeouts(&mut self, now: Instant, ext: &dyn Extension) {
        let mut own = OwnViews::new();
        let views = self.views_of(ext, &mut own);
        // Without timestamps, and where new data can go nowhere else (RFC 5682 §3.1).
        let frto = self.agreed.sack && !self.agreed.timestamps && self.paths.len() == 1;
        let (mut silent, mut struck) =
            (SmallVec::<[usize; 2]>::new(), SmallVec::<[usize; 2]>::new());
        let Self { board, paths, send, events, counts, .. } = self;
        for (i, path) in paths.iter_mut().enumerate() {
            if path.suspect_at().is_some_and(|at| at <= now) {
                path.health = Health::Suspect;
                events.push_back(Event::PathSuspect(path.id));
                silent.push(i);
            }
            let Some((_, kind)) = path.timer.filter(|&(at, _)| at <= now) else { continue };
            path.timer = None;
            match kind {
                TimerKind::Reorder => {
                    path.begin_ack();
                    detect_losses(path, board, now, send.nxt, views);
                    path.rearm(now);
                }
                TimerKind::Tail => {
                    counts.seldom().tail_probes += 1;
                    path.probe_due = true;
                }
                TimerKind::Retransmission => {
                    counts.seldom().timeouts += 1;
                    let first = path.episode.is_none() || path.work.frto.is_some();
                    path.work.frto = (frto && first).then_some(Frto::Repeated);
                    retransmission_timeout(path, board, now, send.nxt, views);
                    if path.health != Health::Failed {
                        path.health = Health::Failed;
                        events.push_back(Event::PathFailed(path.id));
                    }
                    struck.push(i);
                }
            }
        }
        silent.into_iter().for_each(|i| self.leave_silent(now, i));
        struck.into_iter().for_each(|i| self.note_strike(now, i));
    }
}

/// RFC 6298 §5.4-5.6: everything in flight on the path counts as lost. **Choice:** RFC 8985 §6.3
/// spares what was sent a moment ago; here one segment may be in flight after a timeout, and what
/// was sent a moment ago would take its place.
fn retransmission_timeout(
    path: &mut Path,
    board: &mut Scoreboard,
    now: Instant,
    point: SubflowOffset,
    views: &[FlowView],
) {
    let (id, flight) = (path.id, path.outstanding());
    path.confirm_claim(board, now);
    board.mark_lost(|s| s.path == id, |s| path.on_lost(s));
    path.work.order.clear();
    let first = board.iter().find(|s| s.path == id && s.status == Status::Lost);
    if let Some(first) = first {
        path.on_large_timeout(first.len(), now);
    }
    path.rtt.back_off();
    path.rto_base = now;
    path.work.tail_probe = None;
    path.work.reorder_at = None;
    if matches!(path.episode.as_deref(), Some(Episode { cause: Cause::Timeout, .. })) {
        path.repeat_timeout(now, flight, views);
    } else {
        path.begin_episode(now, point, Signal::Timeout, flight, views);
    }
    path.rearm(now);
}
