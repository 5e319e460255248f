//! What the owner of a flow may change while it lives.

use alloc::sync::Arc;
use core::time::Duration;

use manypath_base::{Instant, PathId};

use crate::keepalive::Silence;
use crate::{Flow, Keepalive};

impl Flow {
    /// Turns Nagle's algorithm off, or on again (RFC 9293 §3.7.4, MUST-17).
    pub fn set_nodelay(&mut self, on: bool) {
        if self.config.nagle == on {
            self.stir();
            Arc::make_mut(&mut self.config).nagle = !on;
        }
    }

    /// Holds back partial segments, for 200 ms at most, until the flow is uncorked or closed.
    pub fn set_cork(&mut self, on: bool) {
        self.stir();
        self.cork.set(on);
    }

    /// Sets the differentiated services code point of what is sent from now on, 6 bits (RFC 9293
    /// §3.9.1.9, SHLD-21).
    pub fn set_dscp(&mut self, dscp: u8) {
        self.stir();
        Arc::make_mut(&mut self.config).dscp = dscp & 0x3f;
    }

    /// Probes the peer while the flow is idle, or no longer (RFC 9293 §3.8.4, MUST-24). The time
    /// of silence begins now.
    pub fn set_keepalive(&mut self, now: Instant, keepalive: Option<Keepalive>) {
        self.stir();
        Arc::make_mut(&mut self.config).keepalive = keepalive;
        self.silence = Silence::new(now);
    }

    /// Asks the peer for a sign of life: a keep-alive goes out, once (RFC 9293 §3.8.4). A peer that
    /// lives answers with an acknowledgment; what the owner makes of silence is its own affair.
    pub fn ask_alive(&mut self) {
        self.stir();
        self.silence.due = true;
    }

    /// How long data may stay unacknowledged (RFC 9293 §3.8.3, MUST-21). The peer is told where
    /// that is configured, and no longer asked (RFC 5482 §3).
    pub fn set_user_timeout(&mut self, timeout: Duration) {
        self.stir();
        self.user_timeout.set(timeout);
    }

    /// Caps the backed-off retransmission timeout of every path: where other paths carry the
    /// data, a failed path is probed at least this often.
    pub fn set_max_rto(&mut self, max: Duration) {
        self.stir();
        for path in &mut self.paths {
            path.rtt.set_max_rto(max);
        }
    }

    /// Halves the window of a path that blocks a shared receive window.
    pub fn penalise(&mut self, path: PathId) {
        self.stir();
        if let Some(path) = self.paths.iter_mut().find(|p| p.id == path) {
            path.controller.penalise();
        }
    }
}
