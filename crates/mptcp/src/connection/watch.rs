//! A receiver's eye on its paths: one that falls silent while it owes data is given up here and
//! withdrawn at the peer, which then need not wait for its own timeout (RFC 8684 §3.4.2).
//!
//! The sign is a hole at the data level that every other subflow has passed: what they brought
//! last lies behind it, so it is this one's to fill, and it brings nothing although it carried
//! data shortly before. A path is looked at three times before it is given up, each time only if
//! the others went on meanwhile, and asked after the first: so neither a pause of this host, which
//! no look outlasts, nor one of the peer costs a living path. **Leaves out** paths beside which no
//! other lives: nothing is done there.

use core::time::Duration;

use manypath_base::Instant;

use super::{Connection, Role};
use crate::event::PathDownReason;

/// A path is not looked at after less silence than this.
const MIN_SILENCE: Duration = Duration::from_millis(50);
/// So many looks, the first after a silence, the others after half of one each.
const LOOKS: u32 = 3;
/// Silence counts only within this time of the last data: an idle path owes nothing.
const RECENT: Duration = Duration::from_secs(2);

/// What the watch has seen of one subflow since it was last heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silence {
    /// Looks that found it silent while others went on.
    looks: u32,
    last: Option<Instant>,
}

impl Connection {
    /// When a silent path is to be looked at.
    pub(super) fn watch_at(&self) -> Option<Instant> {
        if !self.is_watching() {
            return None;
        }
        (0..self.subflows.len()).filter_map(|i| self.look_at(i)).min()
    }

    pub(super) fn watch_timeout(&mut self, now: Instant) {
        if !self.is_watching() {
            return;
        }
        for i in 0..self.subflows.len() {
            if self.look_at(i).is_some_and(|at| at <= now) && self.look(now, i) {
                let id = self.subflows[i].state.local_id;
                self.withdraw(&[id]);
                self.subflows[i].down = Some(PathDownReason::Silent);
                return self.end_marked(now);
            }
        }
    }

    /// Looks at subflow `i`; returns whether it is to be given up.
    fn look(&mut self, now: Instant, i: usize) -> bool {
        let went_on = self.others_went_on(i);
        let sub = &mut self.subflows[i];
        sub.silence.last = Some(now);
        if went_on {
            sub.silence.looks += 1;
            if sub.silence.looks == 1 {
                sub.flow.ask_alive();
            }
        }
        sub.silence.looks >= LOOKS
    }

    /// Whether another subflow has brought data since subflow `i` was last looked at, or heard; or
    /// none can, because the window is full behind the hole.
    fn others_went_on(&self, i: usize) -> bool {
        let sub = &self.subflows[i];
        let since = sub.silence.last.unwrap_or(sub.heard_at);
        let others = self.subflows.iter().enumerate().filter(|&(n, s)| n != i && s.may_carry());
        self.shared.recv.window() < self.typical_mss()
            || others.map(|(_, s)| s.heard_at).max().is_some_and(|at| at > since)
    }

    /// The opener of the connection watches, since it alone opens subflows again.
    fn is_watching(&self) -> bool {
        self.shared.role == Role::Initiator
            && self.shared.is_multipath()
            && self.ended.is_none()
            && self.shared.recv.held() > 0
            && self.subflows.iter().filter(|s| s.may_carry()).count() > 1
    }

    /// Remembers since when the first missing byte has been missing; with another one the watch
    /// begins anew.
    pub(super) fn note_hole(&mut self, now: Instant) {
        let nxt = self.shared.recv.nxt();
        let hole = match self.hole.filter(|(at, _)| *at == nxt) {
            _ if self.shared.recv.held() == 0 => None,
            None => Some((nxt, now)),
            same => same,
        };
        if hole != self.hole {
            self.hole = hole;
            self.subflows.iter_mut().for_each(|s| s.silence = Silence::default());
        }
    }

    /// When subflow `i` is to be looked at next, if it owes data: it brought some lately, and
    /// nothing while others brought what lies behind the hole. After a look that waits until they
    /// go on: where nobody speaks there is nothing to see.
    fn look_at(&self, i: usize) -> Option<Instant> {
        let (sub, (hole, since)) = (&self.subflows[i], self.hole?);
        let carried = |n: usize| self.subflows[n].flow.counters().bytes_received > 0;
        let others = self.subflows.iter().enumerate();
        // One that is silent too has nothing to say of this one.
        let others =
            others.filter(|&(n, s)| n != i && s.may_carry() && carried(n) && s.silence.looks == 0);
        let (latest, passed) = others.fold((Instant::ZERO, true), |(latest, passed), (_, s)| {
            (latest.max(s.heard_at), passed && s.last_data > hole)
        });
        let owes = passed && latest > sub.heard_at && latest.since(sub.heard_at) < RECENT;
        let waits = sub.silence.last.is_some() && !self.others_went_on(i);
        let path = sub.flow.paths().next().filter(|_| owes && carried(i) && !waits)?;
        let silence = (path.srtt + path.rtt_var * 2).max(MIN_SILENCE);
        Some(sub.silence.last.map_or(sub.heard_at.max(since) + silence, |last| last + silence / 2))
    }
}
