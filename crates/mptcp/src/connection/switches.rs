//! What the application may change while a connection lives, for all of its subflows, later ones
//! included.
//!
//! Coalescing small writes is the connection's business: with several subflows data is cut here,
//! and a flow that held a part back would hold up the stream. Where there is but TCP, the flow is
//! told. Liveness is each subflow's own: one that does not answer ends, and with the last one the
//! connection.

use alloc::sync::Arc;
use core::time::Duration;

use manypath_base::Instant;
use manypath_tcp::{Config, Cork, Flow, Keepalive};

use super::Connection;

/// Settings that can change.
#[derive(Debug)]
pub(crate) struct Switches {
    nodelay: bool,
    cork: Cork,
    /// How long the peer may acknowledge nothing (RFC 9293 §3.8.3, R2).
    pub(super) user_timeout: Duration,
    keepalive: Option<Keepalive>,
    /// The flow of plain TCP was told that it is corked.
    flow_is_corked: bool,
}

impl Switches {
    pub(super) fn new(config: &Config, nodelay: bool) -> Self {
        Self {
            nodelay,
            cork: Cork::default(),
            user_timeout: config.user_timeout,
            keepalive: config.keepalive,
            flow_is_corked: false,
        }
    }

    /// Settings of a further subflow: those that all connections share, unless the application
    /// changed something.
    pub(super) fn apply(&self, config: &mut Arc<Config>) {
        let Self { user_timeout, keepalive, .. } = *self;
        let wanted = Config { nagle: false, user_timeout, keepalive, ..**config };
        if **config != wanted {
            *config = Arc::new(wanted);
        }
    }

    /// Tells the flow of plain TCP what it is to know. Returns whether more is about to be written.
    pub(super) fn tell(&mut self, flow: &mut Flow) -> bool {
        flow.set_nodelay(self.nodelay);
        if self.flow_is_corked != self.cork.is_on() {
            self.flow_is_corked = self.cork.is_on();
            flow.set_cork(self.flow_is_corked);
        }
        self.cork.expects_more()
    }

    pub(super) fn on_write(&mut self, more: bool) {
        self.cork.on_write(more);
    }

    /// New data went out.
    pub(super) fn on_sent(&mut self) {
        self.cork.on_sent();
    }

    /// Nagle's algorithm (RFC 9293 §3.7.4) is on.
    pub(super) const fn has_nagle(&self) -> bool {
        !self.nodelay
    }

    /// Whether less than a packet waits because the application said that more follows.
    pub(super) fn is_corked(&mut self, now: Instant) -> bool {
        self.cork.holds(now)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.cork.handle_timeout(now);
    }

    pub(super) const fn timeout(&self) -> Option<Instant> {
        self.cork.timeout()
    }
}

impl Connection {
    pub(crate) fn set_nodelay(&mut self, on: bool) {
        self.switches.nodelay = on;
    }

    pub(crate) fn set_cork(&mut self, on: bool) {
        self.switches.cork.set(on);
    }

    pub(crate) fn set_keepalive(&mut self, now: Instant, keepalive: Option<Keepalive>) {
        self.switches.keepalive = keepalive;
        for sub in &mut self.subflows {
            sub.flow.set_keepalive(now, keepalive);
        }
    }

    pub(crate) fn set_user_timeout(&mut self, timeout: Duration) {
        self.switches.user_timeout = timeout;
        for sub in &mut self.subflows {
            sub.flow.set_user_timeout(timeout);
        }
    }
}
