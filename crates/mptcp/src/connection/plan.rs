//! Which subflows should exist and do not: local addresses, the peer's, and limits (RFC 8684 §3.9).
//!
//! **Invariant**: at most one attempt for a pair at a time, and never more subflows than the
//! limit. The plan is made anew only when something changed that it follows from. **Leaves out**
//! making the flow: the endpoint has the ports.

use alloc::vec::Vec;

use manypath_base::{AddrId, Instant, len32, usize32};
use manypath_tcp::CloseReason;

use super::path_manager::{Join, LocalEntry, RemoteEntry, Try};
use super::subflow::Subflow;
use super::{Connection, Role};

impl Connection {
    /// A subflow that is missing and may be tried now.
    pub(crate) fn next_join(&self, now: Instant) -> Option<Join> {
        if !self.wants_joins() {
            return None;
        }
        let due = |j: &&Join| match self.paths.next_try(j.local.addr, j.remote) {
            Try::From(at) => at <= now,
            Try::Never => false,
        };
        self.paths.plan.iter().find(due).copied()
    }

    /// When [`Connection::next_join`] is worth asking again.
    pub(crate) fn join_at(&self) -> Option<Instant> {
        if !self.wants_joins() {
            return None;
        }
        let tries = self.paths.plan.iter().map(|j| self.paths.next_try(j.local.addr, j.remote));
        let times = tries.filter_map(|next| match next {
            Try::From(at) => Some(at),
            Try::Never => None,
        });
        times.min()
    }

    /// Whether no join of this pair was tried before.
    pub(crate) fn was_never_tried(&self, join: &Join) -> bool {
        self.paths.next_try(join.local.addr, join.remote) == Try::From(Instant::ZERO)
    }

    /// A join could not even be tried.
    pub(crate) fn on_join_impossible(&mut self, now: Instant, join: &Join) {
        self.paths.note_down(now, join.local.addr, join.remote, CloseReason::Unreachable, false);
    }

    /// Makes the plan anew, if something changed.
    pub(super) fn refresh_plan(&mut self) {
        if core::mem::take(&mut self.paths.is_stale) && self.shared.role == Role::Initiator {
            self.paths.plan = self.missing();
        }
    }

    /// Only the opener of the connection opens subflows (RFC 8684 §3.9), once the peer has shown
    /// that it has the keys.
    fn wants_joins(&self) -> bool {
        !self.paths.plan.is_empty()
            && self.shared.may_join()
            && self.established
            && self.ended.is_none()
            && len32(self.subflows.len()) <= self.paths.limits().subflows
            && self.confirmed
    }

    /// Pairs that should have a subflow and have none.
    fn missing(&self) -> Vec<Join> {
        let usable = !self.shared.deny_join_id0 && !self.paths.is_initial_gone();
        let initial = RemoteEntry { id: None, addr: self.ends.remote() };
        let initial = Some(initial).filter(|_| usable);
        let further =
            self.paths.usable_remotes().filter(|r| usable || r.addr != self.ends.remote());
        let remotes: Vec<RemoteEntry> = initial.into_iter().chain(further).collect();
        let mut out: Vec<Join> = Vec::new();
        for local in self.paths.locals().iter() {
            if local.flags.subflow || local.addr == self.ends.local().ip() {
                self.missing_from(local, &remotes, &mut out);
            }
        }
        self.missing_to(&remotes, &mut out);
        out
    }

    /// From each local address one subflow, or as many as a pair may have, to the first address of
    /// the peer of its family; from a fullmesh one, to all.
    fn missing_from(&self, local: &LocalEntry, remotes: &[RemoteEntry], out: &mut Vec<Join>) {
        let same_family = |r: &&RemoteEntry| r.addr.is_ipv4() == local.addr.is_ipv4();
        let limit = if local.flags.fullmesh { usize::MAX } else { 1 };
        let used = |s: &Subflow| s.flow.local().ip() == local.addr;
        let wanted = usize32(self.paths.limits().per_pair.max(1));
        if !local.flags.fullmesh && self.subflows.iter().filter(|s| used(s)).count() >= wanted {
            return;
        }
        for remote in remotes.iter().filter(same_family).take(limit) {
            let exists = |s: &&Subflow| used(s) && s.flow.remote() == remote.addr;
            let there = self.subflows.iter().filter(exists).count();
            if there < wanted && self.may_try(local, remote) {
                out.push(join(local, remote));
            }
        }
    }

    fn may_try(&self, local: &LocalEntry, remote: &RemoteEntry) -> bool {
        self.paths.next_try(local.addr, remote.addr) != Try::Never
    }

    /// To each announced address at least one subflow, from the first local address that fits.
    fn missing_to(&self, remotes: &[RemoteEntry], out: &mut Vec<Join>) {
        for remote in remotes.iter().filter(|r| r.addr != self.ends.remote()) {
            let reached = self.subflows.iter().any(|s| s.flow.remote() == remote.addr)
                || out.iter().any(|j| j.remote == remote.addr);
            let fits = |l: &&LocalEntry| {
                l.addr.is_ipv4() == remote.addr.is_ipv4() && self.may_try(l, remote)
            };
            if let Some(local) = self.paths.locals().iter().find(fits).filter(|_| !reached) {
                out.push(join(local, remote));
            }
        }
    }
}

fn join(local: &LocalEntry, remote: &RemoteEntry) -> Join {
    Join { local: *local, remote: remote.addr, remote_id: remote.id.unwrap_or(AddrId(0)) }
}
