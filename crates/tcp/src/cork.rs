//! Holding back a partial segment because the application says that more follows.

use core::time::Duration;

use manypath_base::Instant;

/// How long a partial segment is held at most: as long as `TCP_CORK` does in common systems.
const HELD: Duration = Duration::from_millis(200);

/// Whether partial segments wait, and since when one does. Whoever joins writes of several flows has
/// one of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cork {
    /// The application corked the flow.
    on: bool,
    /// The last write said that more follows.
    more: bool,
    until: Option<Instant>,
    /// The time is over: what waits goes out.
    expired: bool,
}

impl Cork {
    /// The application corks, or lets go.
    pub fn set(&mut self, on: bool) {
        self.on = on;
        self.until = None;
    }

    /// The application wrote, and says whether more follows.
    pub fn on_write(&mut self, more: bool) {
        self.more = more;
    }

    /// Whether the application corked.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether the last write said that more follows.
    #[must_use]
    pub const fn expects_more(&self) -> bool {
        self.more
    }

    /// Whether a partial segment is to wait.
    pub fn holds(&mut self, now: Instant) -> bool {
        let holds = (self.on || self.more) && !self.expired;
        self.until = if holds { self.until.or(Some(now + HELD)) } else { None };
        holds
    }

    /// Data went out.
    pub fn on_sent(&mut self) {
        self.until = None;
        self.expired = false;
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_some_and(|at| at <= now) {
            self.until = None;
            self.expired = true;
        }
    }

    /// Until when a partial segment waits.
    #[must_use]
    pub const fn timeout(&self) -> Option<Instant> {
        self.until
    }
}
