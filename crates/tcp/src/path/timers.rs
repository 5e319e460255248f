//! When a path is to be looked at: retransmission (RFC 6298), tail loss probe and reordering
//! (RFC 8985), silence.

use core::time::Duration;

use manypath_base::{Instant, SubflowOffset};

use super::{Cause, Health, Path};

/// What the loss timer of a path is waiting for (RFC 8985 §8: one timer for all three).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerKind {
    /// Pieces that were passed over become lost.
    Reorder,
    /// Tail loss probe.
    Tail,
    /// Retransmission.
    Retransmission,
}

/// A tail loss probe that was sent (RFC 8985 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailProbe {
    /// SND.NXT when it was sent.
    pub(crate) end: SubflowOffset,
    /// Whether it repeated data.
    pub(crate) retransmission: bool,
}

impl Path {
    /// Sets the loss timer after a transmission or an acknowledgment (RFC 8985 §7.2, §8;
    /// RFC 6298 §5).
    pub(crate) fn rearm(&mut self, now: Instant) {
        let rto_at = self.rto_base + self.rtt.rto();
        self.timer = if !self.is_outstanding() {
            None
        } else if let Some(at) = self.work.reorder_at.filter(|at| *at < rto_at) {
            Some((at, TimerKind::Reorder))
        } else if self.may_probe_tail() {
            Some((self.tail_probe_at(now).min(rto_at), TimerKind::Tail))
        } else {
            Some((rto_at, TimerKind::Retransmission))
        };
    }

    /// Something new was acknowledged: the retransmission timer starts anew (RFC 6298 (5.3)).
    /// Without SACK, recovery repeats one segment a round trip; only the first partial
    /// acknowledgment restarts the timer then, so that it ends what would take too long (RFC 6582
    /// §3.2 and §4, the impatient variant).
    pub(crate) fn restart_timer(&mut self, now: Instant, una: SubflowOffset, sack: bool) {
        let recovery = self.episode.as_mut().filter(|e| matches!(e.cause, Cause::Loss(_)));
        let partial = recovery.filter(|e| !sack && una < e.point);
        let again = partial.is_some_and(|e| core::mem::replace(&mut e.partial, true));
        if !again {
            self.rto_base = now;
        }
    }

    /// RFC 8985 §7.2 and §7.3: no probe in recovery, with holes known, before the last one is
    /// answered, or without a new RTT sample since.
    fn may_probe_tail(&self) -> bool {
        self.episode.is_none()
            && self.work.tail_probe.is_none()
            && self.sampled_since_probe
            && self.sacked == 0
            && self.health != Health::Failed
    }

    fn tail_probe_at(&self, now: Instant) -> Instant {
        let delay = if self.in_flight <= self.packet { self.ack_delay } else { Duration::ZERO };
        now + self.rtt.srtt().unwrap_or_default() * 2 + delay
    }

    /// A tail loss probe goes out: the next timer is that for retransmission, from now
    /// (RFC 8985 §7.3).
    pub(crate) fn on_tail_probe(&mut self, now: Instant, probe: TailProbe) {
        self.work.tail_probe = Some(probe);
        self.sampled_since_probe = false;
        self.rto_base = now;
        self.rearm(now);
    }

    /// When the path is to be suspected, unless something is heard of it.
    pub(crate) fn suspect_at(&self) -> Option<Instant> {
        let watched = self.health == Health::Alive && self.in_flight > 0;
        watched.then(|| self.last_heard + self.silence())
    }
}
