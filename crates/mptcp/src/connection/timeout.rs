//! Timers of the connection's level, beside those of its flows.

use core::time::Duration;

use manypath_base::Instant;
use manypath_tcp::Flow;

use super::Connection;
use super::subflow::{Kind, Stage, Subflow};
use crate::event::PathDownReason;
use crate::{ConnectionError, FallbackReason};

/// A DATA_ACK is overdue after this many retransmission timeouts of the slowest subflow: TCP
/// repairs losses by itself, so this is only for acknowledgments that got lost between the levels.
const DATA_TIMEOUT_RTOS: u32 = 2;
/// The same where no subflow has an estimate.
const DATA_TIMEOUT_MIN: Duration = Duration::from_millis(500);
/// The timeout doubles with each repetition, so often at most.
const MAX_DOUBLINGS: u32 = 5;
/// Repetitions of a join's third ACK (RFC 8684 §3.2).
const CONFIRM_ATTEMPTS: u32 = 6;

impl Connection {
    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for id in self.subflows.iter().map(|s| s.id).collect::<smallvec::SmallVec<[_; 8]>>() {
            let Some(i) = self.index(id) else { continue };
            if self.subflows[i].flow.poll_timeout().is_some_and(|at| at <= now) {
                self.with_flow(i, |flow, seam| flow.handle_timeout(now, seam));
                self.settle(now, i);
            }
            if let Some(i) = self.index(id) {
                let state = &mut self.subflows[i].state;
                if state.alone_again.is_some_and(|at| at <= now) {
                    state.end_row();
                }
                self.confirm_timeout(now, i);
            }
        }
        self.data_timeout(now);
        self.linger_timeout(now);
        self.stranded_timeout(now);
        self.announce_timeout(now);
        self.watch_timeout(now);
        self.doubt_timeout(now);
        self.fastclose_timeout(now);
        self.switches.handle_timeout(now);
        self.spare_timeout(now);
    }

    /// When [`Connection::handle_timeout`] is to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let own = [
            self.shared.send.timer,
            self.linger_until,
            self.stranded.map(|(at, _)| at),
            self.announce_at(),
            self.join_at(),
            self.watch_at(),
            self.doubt_at(),
            self.fastclose.map(|wait| wait.next),
            self.switches.timeout(),
            self.spare_at(),
        ];
        let own = own.into_iter().fold(None, Instant::sooner);
        self.subflows.iter().fold(own, |soonest, sub| {
            let state = &sub.state;
            let timers = [sub.flow.poll_timeout(), state.confirm_timer, state.alone_again];
            timers.into_iter().fold(soonest, Instant::sooner)
        })
    }

    /// Starts the data-level timer where something is outstanding, or blocked by a closed window.
    pub(super) fn arm_data_timer(&mut self, now: Instant) {
        let send = &self.shared.send;
        let blocked = send.unsent() > 0 && send.window() == 0;
        let waiting =
            self.shared.is_multipath() && (send.is_outstanding() || blocked || send.fin_is_next());
        if !waiting {
            self.shared.send.forget_timers();
        } else if send.timer.is_none() {
            let wait = self.data_timeout_interval() * (1 << send.retries.min(MAX_DOUBLINGS));
            self.shared.send.timer = Some(now + wait);
            self.shared.send.stalled_since.get_or_insert(now);
        }
    }

    fn data_timeout_interval(&self) -> Duration {
        let rto = self.subflows.iter().filter_map(|s| s.flow.longest_rto()).max();
        let rto = rto.unwrap_or_default();
        (rto * DATA_TIMEOUT_RTOS).max(DATA_TIMEOUT_MIN)
    }

    fn data_timeout(&mut self, now: Instant) {
        if self.shared.send.timer.is_none_or(|at| at > now) {
            return;
        }
        let send = &mut self.shared.send;
        send.timer = None;
        send.retries += 1;
        if core::mem::take(&mut send.shut_out) && !self.released {
            // A peer that answers may keep its window closed for ever (RFC 9293 §3.8.6.1).
            send.stalled_since = Some(now);
        }
        if send.stalled_since.is_some_and(|since| now.since(since) >= self.switches.user_timeout) {
            return self.give_up(now, ConnectionError::TimedOut);
        }
        if send.fin_is_next() && self.shared.has_lost_options() {
            // A peer that has gone over to TCP reads no DATA_FIN.
            return self.shared.revert();
        }
        if self.shared.send.fin_is_next() {
            self.speak_everywhere();
        }
        if self.shared.send.una == self.shared.send.nxt {
            self.probe_window(now);
        } else if !self.is_repairing() && self.shared.leaving.is_none() {
            self.repair(now);
        }
        self.arm_data_timer(now);
    }

    /// Sends again what every subflow has delivered and no DATA_ACK has named.
    ///
    /// **Choice:** not to a peer whose options vanished: it may have gone over to TCP without this
    /// side's hearing of it, and would read the same twice. So that is what this side does as well
    /// (RFC 8684 §3.7); where it cannot, since it knows of a join that the peer may not know of, or
    /// waits for a mapping, the subflow ends.
    fn repair(&mut self, now: Instant) {
        let options_come = self.subflows.iter().any(|s| s.state.hears_options);
        let lacks_mapping = self.subflows.iter().any(|s| s.state.lacks_mapping());
        if !options_come && self.shared.may_fall_back() && !lacks_mapping {
            self.shared.leaving = Some(FallbackReason::OptionsStripped);
            return self.revert();
        }
        if !options_come {
            self.subflows.iter_mut().filter(|s| s.may_carry()).for_each(Subflow::end_disturbed);
            self.settle_all(now);
        }
        let head = self.head();
        self.shared.send.reinject(head);
        self.scheduler.on_blocked();
    }

    /// Whether the only subflow still has what is missing in its own hands.
    fn is_repairing(&self) -> bool {
        let mut carriers = self.subflows.iter().filter(|s| s.may_carry());
        let only = carriers.next().filter(|_| carriers.next().is_none());
        only.is_some_and(|s| s.flow.unacknowledged() > 0)
    }

    /// Starts the timer of a handshake that TCP has behind it: of a join's third ACK, the one that
    /// RFC 8684 §3.2 asks for, or of the peer's keys, before which segments came that say that they
    /// follow them.
    pub(super) fn arm_confirm_timer(&mut self, now: Instant, i: usize) {
        let state = &self.subflows[i].state;
        if state.confirm_timer.is_some() {
            return;
        }
        let wait = match (state.kind, state.stage) {
            (Kind::Join { opener: true, .. }, Stage::Unconfirmed) => rto(&self.subflows[i].flow),
            (Kind::Initial, Stage::Offered) if self.lacks_keys(i) => self.switches.user_timeout,
            _ => return,
        };
        self.subflows[i].state.confirm_timer = Some(now + wait);
    }

    /// The third ACK of a join is repeated until the peer shows that it came (RFC 8684 §3.2). A peer
    /// whose keys never come is waited for as long as one that acknowledges nothing.
    fn confirm_timeout(&mut self, now: Instant, i: usize) {
        let lacks_keys = self.lacks_keys(i);
        let sub = &mut self.subflows[i];
        if sub.state.confirm_timer.is_none_or(|at| at > now) {
            return;
        }
        if sub.state.kind == Kind::Initial {
            sub.state.confirm_timer = None;
            if lacks_keys {
                self.give_up(now, ConnectionError::TimedOut);
            }
            return;
        }
        if sub.state.confirm_attempts >= CONFIRM_ATTEMPTS {
            sub.state.confirm_timer = None;
            sub.down = Some(PathDownReason::JoinFailed);
            return self.end_marked(now);
        }
        sub.state.confirm_attempts += 1;
        let wait = rto(&sub.flow) * (1 << sub.state.confirm_attempts);
        sub.state.confirm_timer = Some(now + wait);
        sub.flow.request_ack();
    }
}

/// A flow's retransmission timeout.
fn rto(flow: &Flow) -> Duration {
    flow.paths().next().map_or(DATA_TIMEOUT_MIN, |p| p.rto)
}
