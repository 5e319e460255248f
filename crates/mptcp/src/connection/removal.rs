//! REMOVE_ADDR (RFC 8684 §3.4.2), both ways: a peer's word is checked before a subflow ends.
//!
//! **Invariant**: the last subflow stays, since with it the connection would go; whether it lives
//! is for its own timers to find.

use core::time::Duration;

use manypath_base::{AddrId, Instant};
use manypath_wire::RemoveAddr;

use super::Connection;
use super::subflow::Signal;
use crate::Event;
use crate::event::PathDownReason;

/// Keep-alives that a subflow may leave unanswered.
const ATTEMPTS: u32 = 3;
/// The longest wait for the answer to one.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Identifiers in one option: more would not fit beside timestamps and DATA_ACK.
const MAX_IDS: usize = 8;

/// A subflow whose address the peer withdrew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt {
    asked: u32,
    next: Instant,
    /// Before this, what comes was sent before the question.
    answer_from: Instant,
}

impl Doubt {
    /// Whether what comes now says that the subflow lives.
    pub(super) fn is_answered(&self, now: Instant) -> bool {
        self.asked > 0 && now >= self.answer_from
    }
}

impl Connection {
    /// The peer withdrew addresses: they are not used for new subflows, and those that use them
    /// are asked for a sign of life; without one they end.
    ///
    /// **Choice:** what such a subflow carries goes out on others at once, as nobody withdraws an
    /// address that works, and it is given nothing new until it answers.
    pub(super) fn on_remove_addr(&mut self, now: Instant, remove: &RemoveAddr) {
        for &id in &remove.ids {
            let mut known = self.paths.on_remove_addr(id);
            for n in 0..self.subflows.len() {
                if self.subflows[n].state.remote_id == id {
                    known = true;
                    self.begin_doubt(now, n);
                }
            }
            if known {
                self.events.push_back(Event::AddrRemoved(self.id, id));
            }
        }
        self.doubt_timeout(now);
    }

    fn begin_doubt(&mut self, now: Instant, n: usize) {
        if self.subflows[n].doubt.is_none() && self.is_spare(n) {
            self.subflows[n].doubt = Some(Doubt { asked: 0, next: now, answer_from: now });
            self.reinject_from(n);
        }
    }

    /// When a doubtful subflow is to be asked again, or given up.
    pub(super) fn doubt_at(&self) -> Option<Instant> {
        self.subflows.iter().filter_map(|s| s.doubt).map(|d| d.next).min()
    }

    pub(super) fn doubt_timeout(&mut self, now: Instant) {
        let mut given_up = false;
        for n in 0..self.subflows.len() {
            let Some(doubt) = self.subflows[n].doubt.filter(|d| d.next <= now) else { continue };
            if doubt.asked < ATTEMPTS {
                self.ask(now, n, doubt.asked);
            } else {
                self.subflows[n].doubt = None;
                if self.is_spare(n) {
                    self.subflows[n].down = Some(PathDownReason::AddressRemoved);
                    given_up = true;
                }
            }
        }
        if given_up {
            self.end_marked(now);
        }
    }

    fn ask(&mut self, now: Instant, n: usize, asked: u32) {
        let sub = &mut self.subflows[n];
        let path = sub.flow.paths().next();
        let (rto, rtt) = path.map_or((MAX_WAIT, Duration::ZERO), |p| (p.rto, p.min_rtt));
        let answer_from = if asked == 0 { now + rtt } else { now };
        sub.doubt = Some(Doubt { asked: asked + 1, next: now + rto.min(MAX_WAIT), answer_from });
        sub.flow.ask_alive();
    }

    /// Withdraws addresses of this side, on every living subflow that does not use one.
    pub(super) fn withdraw(&mut self, ids: &[AddrId]) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        for ids in ids.chunks(MAX_IDS) {
            let remove = RemoveAddr { ids: ids.iter().copied().collect() };
            let uses = |id: &AddrId| ids.contains(id);
            let others = self.subflows.iter_mut();
            for sub in others.filter(|s| !uses(&s.state.local_id) && s.may_signal()) {
                sub.state.say(Signal::RemoveAddr(remove.clone()));
            }
        }
    }
}
