//! Which pairs of addresses a connection should use: local endpoints, the peer's announcements,
//! limits, and trying again (RFC 8684 §3.4, §3.9).
//!
//! **Invariant**: at most one attempt for a pair at a time, and never more subflows than the
//! limit. **Leaves out** making the flow: the endpoint has the ports.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use manypath_base::{AddrId, IfaceId, Instant, len32};
use manypath_tcp::CloseReason;

use super::subflow::Subflow;
use super::{Connection, Role};
use crate::{AddressFlags, PathLimits};

/// Attempts at a silent path come this often; each is one SYN, whose timer is as long.
const RETRY: Duration = Duration::from_secs(1);
/// After this many silent attempts they come at doubling intervals.
const STEADY_ATTEMPTS: u32 = 60;
/// The longest interval between attempts.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// An announcement is repeated until it is echoed, this often (RFC 8684 §3.4.1 leaves it open).
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(1);
const ANNOUNCE_ATTEMPTS: u32 = 5;
/// Addresses of the peer that are remembered: identifiers have 8 bits.
const MAX_REMOTES: usize = 255;

/// A local address, with the identifier that the endpoint gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalEntry {
    pub(crate) id: AddrId,
    pub(crate) addr: IpAddr,
    pub(crate) iface: IfaceId,
    pub(crate) mtu: u16,
    pub(crate) flags: AddressFlags,
}

/// An address of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RemoteEntry {
    id: AddrId,
    addr: SocketAddr,
}

/// A pair of addresses that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    local: IpAddr,
    remote: SocketAddr,
    failures: u32,
    next: Instant,
}

/// A subflow that should exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) local: LocalEntry,
    pub(crate) remote: SocketAddr,
    pub(crate) remote_id: AddrId,
}

/// A local address that the peer should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) id: AddrId,
    pub(crate) addr: IpAddr,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    announcement: Announcement,
    sent: u32,
    next: Instant,
}

/// The paths of one connection as they should be.
#[derive(Debug, Default)]
pub(crate) struct PathManager {
    locals: Vec<LocalEntry>,
    remotes: Vec<RemoteEntry>,
    attempts: Vec<Attempt>,
    announcements: Vec<Pending>,
    announced: bool,
    limits: PathLimits,
    /// Something changed: look at once.
    wake: Option<Instant>,
}

impl PathManager {
    pub(crate) fn new(locals: Vec<LocalEntry>, limits: PathLimits) -> Self {
        Self { locals, limits, ..Self::default() }
    }

    pub(crate) fn limits(&self) -> PathLimits {
        self.limits
    }

    /// Further addresses of the peer that the application knows.
    pub(crate) fn know_remotes(&mut self, remotes: &[SocketAddr]) {
        self.remotes.extend(remotes.iter().map(|&addr| RemoteEntry { id: AddrId(0), addr }));
    }

    /// The host's addresses changed.
    pub(crate) fn set_locals(&mut self, now: Instant, locals: Vec<LocalEntry>) {
        self.locals = locals;
        self.wake = Some(now);
    }

    pub(super) fn wake(&mut self, now: Instant) {
        self.wake = Some(now);
    }

    /// Begins to announce addresses marked for it, but for the one that the peer sees already.
    pub(super) fn start_announcing(&mut self, now: Instant, initial: IpAddr) {
        self.wake = Some(now);
        if core::mem::replace(&mut self.announced, true) {
            return;
        }
        let signal = self.locals.iter().filter(|l| l.flags.signal && l.addr != initial);
        self.announcements = signal
            .map(|l| Pending {
                announcement: Announcement { id: l.id, addr: l.addr },
                sent: 0,
                next: now,
            })
            .collect();
    }

    pub(super) fn announce_at(&self) -> Option<Instant> {
        self.announcements.iter().map(|p| p.next).min()
    }

    /// The next announcement that is due; given up after a few repetitions.
    pub(super) fn next_announcement(&mut self, now: Instant) -> Option<Announcement> {
        self.announcements.retain(|p| p.sent < ANNOUNCE_ATTEMPTS || p.next > now);
        let pending = self.announcements.iter_mut().find(|p| p.next <= now)?;
        pending.next = now + ANNOUNCE_AGAIN * (1 << pending.sent);
        pending.sent += 1;
        Some(pending.announcement)
    }

    /// The peer has the address.
    pub(super) fn on_echo(&mut self, id: AddrId) {
        self.announcements.retain(|p| p.announcement.id != id);
    }

    /// The peer announced an address; a new one for a known identifier replaces it.
    pub(super) fn on_add_addr(&mut self, id: AddrId, addr: SocketAddr) {
        self.remotes.retain(|r| r.id != id || id == AddrId(0));
        if self.remotes.len() < MAX_REMOTES && !self.remotes.iter().any(|r| r.addr == addr) {
            self.remotes.push(RemoteEntry { id, addr });
        }
    }

    pub(super) fn on_remove_addr(&mut self, id: AddrId) {
        self.remotes.retain(|r| r.id != id);
        self.attempts
            .retain(|a| self.remotes.iter().any(|r| r.addr == a.remote) || id == AddrId(0));
    }

    /// A subflow of this pair came up.
    pub(super) fn note_up(&mut self, local: IpAddr, remote: SocketAddr) {
        self.attempts.retain(|a| (a.local, a.remote) != (local, remote));
    }

    /// A subflow of this pair, or an attempt at it, ended: when to try again.
    pub(super) fn note_down(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: SocketAddr,
        reason: CloseReason,
        was_up: bool,
    ) {
        let found = self.attempts.iter().position(|a| (a.local, a.remote) == (local, remote));
        let i = found.unwrap_or_else(|| {
            self.attempts.push(Attempt { local, remote, failures: 0, next: now });
            self.attempts.len() - 1
        });
        let attempt = &mut self.attempts[i];
        let wait = match reason {
            // The SYN's own timer was the wait.
            CloseReason::TimedOut if attempt.failures < STEADY_ATTEMPTS => Duration::ZERO,
            CloseReason::TimedOut => back_off(attempt.failures - STEADY_ATTEMPTS),
            _ if was_up => RETRY,
            CloseReason::Finished
            | CloseReason::Reset(_)
            | CloseReason::Refused
            | CloseReason::Unreachable
            | CloseReason::Aborted => back_off(attempt.failures),
        };
        attempt.failures += 1;
        attempt.next = now + wait;
    }

    fn next_try(&self, local: IpAddr, remote: SocketAddr) -> Option<Instant> {
        self.attempts.iter().find(|a| (a.local, a.remote) == (local, remote)).map(|a| a.next)
    }
}

fn back_off(failures: u32) -> Duration {
    RETRY.saturating_mul(1 << failures.min(6)).min(RETRY_MAX)
}

impl Connection {
    /// A subflow that is missing and may be tried now.
    pub(crate) fn next_join(&mut self, now: Instant) -> Option<Join> {
        if !self.wants_joins() {
            return None;
        }
        self.paths.wake = None;
        self.missing().find(|join| {
            self.paths.next_try(join.local.addr, join.remote).is_none_or(|at| at <= now)
        })
    }

    /// When [`Connection::next_join`] is worth asking again.
    pub(crate) fn join_at(&self) -> Option<Instant> {
        if !self.wants_joins() {
            return None;
        }
        let missing = self.missing().map(|j| self.paths.next_try(j.local.addr, j.remote));
        missing.map(Option::unwrap_or_default).chain(self.paths.wake).min()
    }

    /// Only the opener of the connection opens subflows (RFC 8684 §3.9), once the peer has shown
    /// that it has the keys, and while there is something left to send or receive.
    fn wants_joins(&self) -> bool {
        self.shared.role == Role::Initiator
            && self.shared.is_multipath()
            && self.established
            && self.ended.is_none()
            && self.confirmed()
            && len32(self.subflows.len()) <= self.paths.limits.subflows
    }

    fn confirmed(&self) -> bool {
        self.subflows.iter().any(|s| s.state.stage == super::Stage::Confirmed)
    }

    /// Pairs that should have a subflow and have none.
    fn missing(&self) -> impl Iterator<Item = Join> + '_ {
        let initial = RemoteEntry { id: AddrId(0), addr: self.remote };
        let initial = Some(initial).filter(|_| !self.shared.deny_join_id0 || self.only_initial());
        let accepted = self.paths.limits.add_addr_accepted;
        let announced = self.paths.remotes.iter().copied();
        let announced = announced.take(usize::try_from(accepted).unwrap_or(usize::MAX));
        let remotes: Vec<RemoteEntry> = initial.into_iter().chain(announced).collect();
        let locals =
            self.paths.locals.iter().filter(|l| l.flags.subflow || l.addr == self.local.ip());
        let mut out: Vec<Join> = Vec::new();
        for local in locals {
            self.missing_from(local, &remotes, &mut out);
        }
        self.missing_to(&remotes, &mut out);
        out.into_iter()
    }

    fn only_initial(&self) -> bool {
        self.paths.remotes.is_empty()
    }

    /// From each local address one subflow, to the first address of the peer of its family; from
    /// a fullmesh one, to all.
    fn missing_from(&self, local: &LocalEntry, remotes: &[RemoteEntry], out: &mut Vec<Join>) {
        let same_family = |r: &&RemoteEntry| r.addr.is_ipv4() == local.addr.is_ipv4();
        let limit = if local.flags.fullmesh { usize::MAX } else { 1 };
        let used = |s: &Subflow| s.flow.local().ip() == local.addr;
        if !local.flags.fullmesh && self.subflows.iter().any(used) {
            return;
        }
        for remote in remotes.iter().filter(same_family).take(limit) {
            let exists = |s: &Subflow| used(s) && s.flow.remote() == remote.addr;
            if !self.subflows.iter().any(exists) {
                out.push(Join { local: *local, remote: remote.addr, remote_id: remote.id });
            }
        }
    }

    /// To each announced address at least one subflow, from the first local address that fits.
    fn missing_to(&self, remotes: &[RemoteEntry], out: &mut Vec<Join>) {
        for remote in remotes.iter().filter(|r| r.addr != self.remote) {
            let reached = self.subflows.iter().any(|s| s.flow.remote() == remote.addr)
                || out.iter().any(|j| j.remote == remote.addr);
            let fits = |l: &&LocalEntry| l.addr.is_ipv4() == remote.addr.is_ipv4();
            if let Some(local) = self.paths.locals.iter().find(fits).filter(|_| !reached) {
                out.push(Join { local: *local, remote: remote.addr, remote_id: remote.id });
            }
        }
    }
}
