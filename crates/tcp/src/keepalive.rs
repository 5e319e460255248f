//! Probes of an idle flow (RFC 9293 §3.8.4).

use core::time::Duration;

use manypath_base::Instant;

/// When an idle flow is probed, and how often before it is given up (RFC 9293 §3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe; two hours by default (MUST-28).
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes that go unanswered before the flow ends; one alone would say nothing (MUST-29).
    pub count: u8,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(7_200), interval: Duration::from_secs(75), count: 9 }
    }
}

/// What to do when the time has come.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Not yet.
    No,
    /// A probe waits to be sent.
    Probe,
    /// Nobody answered.
    GiveUp,
}

/// How long the peer has been silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    /// When the peer was last heard, or the last probe was sent.
    since: Instant,
    probes: u8,
    /// A probe is to be sent.
    pub(crate) due: bool,
}

impl Silence {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, probes: 0, due: false }
    }

    /// Something acceptable came.
    pub(crate) fn on_heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// When the next probe is due, or the end.
    pub(crate) fn timeout(&self, keepalive: &Keepalive) -> Instant {
        self.since + if self.probes == 0 { keepalive.idle } else { keepalive.interval }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, keepalive: &Keepalive) -> Due {
        if self.timeout(keepalive) > now {
            return Due::No;
        }
        if self.probes >= keepalive.count {
            return Due::GiveUp;
        }
        self.probes += 1;
        self.since = now;
        self.due = true;
        Due::Probe
    }
}
