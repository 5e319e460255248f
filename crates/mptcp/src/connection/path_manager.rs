//! What a connection knows of addresses: its own, the peer's, those announced, and pairs that were
//! tried (RFC 8684 §3.4).
//!
//! **Invariant**: an identifier stands for one address at a time; of a pair there is at most one
//! record of attempts. **Leaves out** which subflows follow from it: `plan`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use manypath_base::{AddrId, IfaceId, Instant};
use manypath_tcp::CloseReason;

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

/// Pairs whose attempts are remembered.
const MAX_ATTEMPTS: usize = 4096;

/// A local address, with the identifier that the endpoint gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalEntry {
    pub(crate) id: AddrId,
    pub(crate) addr: IpAddr,
    pub(crate) iface: IfaceId,
    pub(crate) mtu: u16,
    pub(crate) flags: AddressFlags,
    /// The port that is announced.
    pub(crate) port: Option<u16>,
}

/// An address of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RemoteEntry {
    /// The identifier under which the peer announced it; `None` if the application did.
    pub(super) id: Option<AddrId>,
    pub(super) addr: SocketAddr,
}

/// A pair of addresses that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    local: IpAddr,
    remote: SocketAddr,
    failures: u32,
    /// When it may be tried again; `None` is never, unless the peer announces the address anew.
    next: Option<Instant>,
}

/// Whether a pair may be tried.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    /// From then on.
    From(Instant),
    /// Not on this connection: the peer said that the reason will not pass (RFC 8684 §3.6).
    Never,
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
    pub(crate) port: Option<u16>,
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
    /// Connections that have the same share them.
    locals: Arc<[LocalEntry]>,
    remotes: Vec<RemoteEntry>,
    attempts: Vec<Attempt>,
    /// Announcements that were not echoed yet.
    announcements: Vec<Pending>,
    /// Until then the last announcement may be echoed, and the next waits: Linux takes note of
    /// one address at a time and drops those that come before it did.
    echo_until: Instant,
    /// What the peer was told of.
    announced: Vec<Announcement>,
    /// The peer may be told.
    announces: bool,
    /// The peer withdrew the address that the connection began with.
    initial_gone: bool,
    limits: PathLimits,
    /// Subflows that should exist and do not.
    pub(super) plan: Vec<Join>,
    /// Something changed that the plan follows from.
    pub(super) is_stale: bool,
}

impl PathManager {
    pub(crate) fn new(locals: Arc<[LocalEntry]>, limits: PathLimits) -> Self {
        Self { locals, limits, ..Self::default() }
    }

    pub(crate) fn limits(&self) -> PathLimits {
        self.limits
    }

    /// Further addresses of the peer that the application knows.
    pub(crate) fn know_remotes(&mut self, remotes: &[SocketAddr]) {
        self.remotes.extend(remotes.iter().map(|&addr| RemoteEntry { id: None, addr }));
    }

    /// The host's addresses changed; returns the identifiers of those that the peer was told of
    /// and are no more. `initial` is the address that the connection began with.
    pub(crate) fn set_locals(
        &mut self,
        now: Instant,
        locals: Arc<[LocalEntry]>,
        initial: IpAddr,
    ) -> Vec<AddrId> {
        self.locals = locals;
        self.is_stale = true;
        let Self { locals, announced, announcements, attempts, .. } = self;
        attempts.retain(|a| locals.iter().any(|l| l.addr == a.local));
        let lives = |a: &Announcement| {
            locals.iter().any(|l| (l.addr, l.port) == (a.addr, a.port) && l.flags.signal)
        };
        let gone = announced.iter().filter(|a| !lives(a)).map(|a| a.id).collect();
        announced.retain(lives);
        announcements.retain(|p| lives(&p.announcement));
        if announcements.iter().all(|p| p.sent == 0) {
            self.echo_until = Instant::ZERO;
        }
        self.announce_new(now, initial);
        gone
    }

    pub(super) fn release_spare(&mut self) {
        let Self { remotes, attempts, announcements, announced, plan, .. } = self;
        remotes.shrink_to_fit();
        attempts.shrink_to_fit();
        announcements.shrink_to_fit();
        announced.shrink_to_fit();
        plan.shrink_to_fit();
    }

    pub(super) fn locals(&self) -> &Arc<[LocalEntry]> {
        &self.locals
    }

    /// Whether a local address is to be used only where no regular one is.
    pub(super) fn is_backup(&self, addr: IpAddr) -> bool {
        self.locals.iter().any(|l| l.addr == addr && l.flags.backup)
    }

    pub(super) fn has_local(&self, addr: IpAddr) -> bool {
        self.locals.iter().any(|l| l.addr == addr)
    }

    /// The peer's addresses that may be used, beside the initial one.
    pub(super) fn usable_remotes(&self) -> impl Iterator<Item = RemoteEntry> + '_ {
        let accepted = usize::try_from(self.limits.add_addr_accepted).unwrap_or(usize::MAX);
        let known = self.remotes.iter().filter(|r| r.id.is_none());
        known.chain(self.remotes.iter().filter(|r| r.id.is_some()).take(accepted)).copied()
    }

    pub(super) fn is_initial_gone(&self) -> bool {
        self.initial_gone
    }

    /// Begins to announce addresses marked for it, but for the one that the peer sees already.
    pub(super) fn start_announcing(&mut self, now: Instant, initial: IpAddr) {
        self.announces = true;
        self.announce_new(now, initial);
    }

    fn announce_new(&mut self, now: Instant, initial: IpAddr) {
        if !self.announces {
            return;
        }
        for local in self.locals.iter().filter(|l| l.flags.signal && l.addr != initial) {
            let LocalEntry { id, addr, port, .. } = *local;
            let announcement = Announcement { id, addr, port };
            if !self.announced.contains(&announcement) {
                self.announced.push(announcement);
                self.announcements.push(Pending { announcement, sent: 0, next: now });
            }
        }
    }

    pub(super) fn announce_at(&self) -> Option<Instant> {
        self.announcements.iter().map(|p| p.next).min().map(|next| next.max(self.echo_until))
    }

    /// The next announcement that is due; given up after a few repetitions.
    pub(super) fn next_announcement(&mut self, now: Instant) -> Option<Announcement> {
        self.announcements.retain(|p| p.sent < ANNOUNCE_ATTEMPTS || p.next > now);
        if now < self.echo_until {
            return None;
        }
        let due = self.announcements.iter_mut().filter(|p| p.next <= now);
        let pending = due.min_by_key(|p| p.sent)?;
        self.echo_until = now + ANNOUNCE_AGAIN;
        pending.next = now + ANNOUNCE_AGAIN * (1 << pending.sent);
        pending.sent += 1;
        Some(pending.announcement)
    }

    /// The peer has the address: an echo is the announcement without its HMAC.
    pub(super) fn on_echo(&mut self, echo: Announcement) {
        self.echo_until = Instant::ZERO;
        self.announcements.retain(|p| p.announcement != echo);
    }

    /// The peer announced an address. An identifier keeps its address until it is withdrawn;
    /// the same once more is a wish to be tried again at once (RFC 8684 §3.4.1). Returns whether
    /// it is new.
    pub(super) fn on_add_addr(&mut self, id: AddrId, addr: SocketAddr) -> bool {
        let there = self.remotes.iter().find(|r| r.id == Some(id));
        if id == AddrId(0) || there.is_some_and(|r| r.addr.ip() != addr.ip()) {
            return false;
        }
        // Also of one that is new: how a subflow ended may have been told after the withdrawal.
        self.attempts.retain(|a| a.remote != addr);
        if self.remotes.iter().any(|r| r.addr == addr) {
            self.is_stale = true;
            return false;
        }
        let fits = self.remotes.len() < MAX_REMOTES;
        if fits {
            self.remotes.push(RemoteEntry { id: Some(id), addr });
            self.is_stale = true;
        }
        fits
    }

    /// The peer withdrew an address. Returns whether it was known.
    pub(super) fn on_remove_addr(&mut self, id: AddrId) -> bool {
        self.is_stale = true;
        if id == AddrId(0) {
            return !core::mem::replace(&mut self.initial_gone, true);
        }
        let Self { remotes, attempts, .. } = self;
        let before = remotes.len();
        attempts.retain(|a| !remotes.iter().any(|r| r.id == Some(id) && r.addr == a.remote));
        remotes.retain(|r| r.id != Some(id));
        remotes.len() < before
    }

    /// A subflow of this pair came up.
    pub(super) fn note_up(&mut self, local: IpAddr, remote: SocketAddr) {
        self.attempts.retain(|a| (a.local, a.remote) != (local, remote));
    }

    /// A subflow of this pair, or an attempt at it, ended: when to try again. Returns whether it
    /// is the first failure since the pair was last up.
    pub(super) fn note_down(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: SocketAddr,
        reason: CloseReason,
        was_up: bool,
    ) -> bool {
        // RFC 8684 §3.6: a permanent error SHOULD NOT be tried again. **Differs** from §3.9.3 for
        // the rest, which SHOULD NOT be either: a path that fails today works tomorrow.
        let permanent = matches!(reason, CloseReason::Reset(Some(rst)) if !rst.transient);
        let found = self.attempts.iter().position(|a| (a.local, a.remote) == (local, remote));
        if found.is_none() && self.attempts.len() >= MAX_ATTEMPTS {
            return false;
        }
        let i = found.unwrap_or_else(|| {
            self.attempts.push(Attempt { local, remote, failures: 0, next: Some(now) });
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
        attempt.next = Some(now + wait).filter(|_| !permanent);
        attempt.failures == 1
    }

    /// When a pair may be tried.
    pub(super) fn next_try(&self, local: IpAddr, remote: SocketAddr) -> Try {
        match self.attempts.iter().find(|a| (a.local, a.remote) == (local, remote)) {
            None => Try::From(Instant::ZERO),
            Some(attempt) => attempt.next.map_or(Try::Never, Try::From),
        }
    }
}

fn back_off(failures: u32) -> Duration {
    RETRY.saturating_mul(1 << failures.min(6)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    use manypath_wire::{MpTcpRst, ResetReason};

    fn remote(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    #[test]
    fn what_is_remembered_of_attempts_is_bounded() {
        let mut paths = PathManager::default();
        let local = IpAddr::from([10, 0, 0, 2]);
        for n in 0..10_000 {
            let reason = CloseReason::Refused;
            paths.note_down(Instant::ZERO, local, remote(n), reason, false);
        }
        assert_eq!(paths.attempts.len(), MAX_ATTEMPTS);
    }

    /// The peer's word that a reason will not pass is forgotten with a new announcement.
    #[test]
    fn attempts_double_and_an_announcement_begins_anew() {
        let (mut paths, local) = (PathManager::default(), IpAddr::from([10, 0, 0, 2]));
        assert!(paths.on_add_addr(AddrId(1), remote(1)));
        let mut waits = vec![];
        for _ in 0..8 {
            paths.note_down(Instant::ZERO, local, remote(1), CloseReason::Refused, false);
            match paths.next_try(local, remote(1)) {
                Try::From(at) => waits.push(at.since(Instant::ZERO).as_secs()),
                Try::Never => panic!("nobody said so"),
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!paths.on_add_addr(AddrId(1), remote(1)), "it is known");
        assert_eq!(paths.next_try(local, remote(1)), Try::From(Instant::ZERO));
    }

    /// Linux withdraws an address and resets its subflow, which says that it is for good; the RST comes
    /// later, by another path.
    #[test]
    fn an_address_that_was_withdrawn_is_tried_when_it_is_announced_again() {
        let (mut paths, local) = (PathManager::default(), IpAddr::from([10, 0, 0, 2]));
        assert!(paths.on_add_addr(AddrId(1), remote(1)));
        assert!(paths.on_remove_addr(AddrId(1)));
        let rst = MpTcpRst { transient: false, reason: ResetReason::Unspecified };
        paths.note_down(Instant::ZERO, local, remote(1), CloseReason::Reset(Some(rst)), true);
        assert_eq!(paths.next_try(local, remote(1)), Try::Never);
        assert!(paths.on_add_addr(AddrId(1), remote(1)), "it is new again");
        assert_eq!(paths.next_try(local, remote(1)), Try::From(Instant::ZERO));
    }
}
