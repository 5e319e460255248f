//! A receiver's eye on its paths: one that falls silent while it owes data is given up here and
//! withdrawn at the peer, which then need not wait for its own timeout (RFC 8684 §3.4.2).
//!
//! The sign is a hole at the data level that every other subflow has passed: what they brought
//! last lies behind it, so it is this one's to fill, and it brings nothing although it carried
//! data shortly before. Nothing is done where no other subflow lives.

use core::time::Duration;

use manypath_base::Instant;

use super::{Connection, Role};
use crate::event::PathDownReason;

/// A path is not given up for less silence than this.
const MIN_SILENCE: Duration = Duration::from_millis(60);
/// Silence counts only within this time of the last data: an idle path owes nothing.
const RECENT: Duration = Duration::from_secs(2);

impl Connection {
    /// When a silent path is to be looked at.
    pub(super) fn watch_at(&self) -> Option<Instant> {
        if !self.is_watching() {
            return None;
        }
        (0..self.subflows.len()).filter_map(|i| self.silent_at(i)).min()
    }

    pub(super) fn watch_timeout(&mut self, now: Instant) {
        if !self.is_watching() {
            return;
        }
        let silent =
            (0..self.subflows.len()).find(|&i| self.silent_at(i).is_some_and(|at| at <= now));
        if let Some(i) = silent {
            let id = self.subflows[i].state.local_id;
            self.withdraw(id);
            self.subflows[i].down = Some(PathDownReason::Silent);
            self.end_marked(now);
        }
    }

    /// The opener of the connection watches, since it alone opens subflows again.
    fn is_watching(&self) -> bool {
        self.shared.role == Role::Initiator
            && self.shared.is_multipath()
            && self.ended.is_none()
            && self.shared.recv.held() > 0
            && self.subflows.iter().filter(|s| s.may_carry()).count() > 1
    }

    /// Remembers since when the first missing byte has been missing.
    pub(super) fn note_hole(&mut self, now: Instant) {
        let nxt = self.shared.recv.nxt();
        self.hole = match self.hole.filter(|(at, _)| *at == nxt) {
            _ if self.shared.recv.held() == 0 => None,
            None => Some((nxt, now)),
            same => same,
        };
    }

    /// When subflow `i` has been silent for too long: it brought data lately, and nothing while
    /// others brought what lies behind the hole.
    fn silent_at(&self, i: usize) -> Option<Instant> {
        let (sub, (hole, since)) = (&self.subflows[i], self.hole?);
        let others = self.subflows.iter().enumerate().filter(|&(n, s)| n != i && s.may_carry());
        let (latest, passed) = others.fold((Instant::ZERO, true), |(latest, passed), (_, s)| {
            (latest.max(s.heard_at), passed && s.last_data > hole)
        });
        let owed = passed && latest > sub.heard_at && latest.since(sub.heard_at) < RECENT;
        let carried = sub.flow.counters().bytes_received > 0;
        let srtt = sub.flow.paths().next().map(|p| p.srtt + p.rtt_var * 2).unwrap_or_default();
        (owed && carried).then(|| sub.heard_at.max(since) + srtt.max(MIN_SILENCE))
    }
}
