//! Memory that a connection has no use for while it rests.
//!
//! **Owns** when it is given back: where nothing happened for [`REST`], once; so a busy connection
//! pays for it four times a second, and asks for no memory packet by packet. **Leaves out** what a flow
//! holds: `manypath-tcp` gives it back.

use core::time::Duration;

use manypath_base::Instant;

use super::Connection;

/// A connection on which nothing happened for so long rests. Of connections that are opened one after
/// the other each finds what those before it gave back; after a second or two those were so many that
/// what they had lay in pieces between what they keep.
const REST: Duration = Duration::from_millis(250);

/// When a connection was last seen to rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spare {
    /// When it is looked at next.
    at: Option<Instant>,
    /// What had changed when it was looked at last.
    seen: u32,
}

impl Connection {
    /// There is nothing to send now; soon it may show that the connection rests.
    pub(crate) fn watch_rest(&mut self, now: Instant) {
        if self.spare.at.is_none() && self.changes() != self.spare.seen {
            self.spare.at = Some(now + REST);
        }
    }

    /// When it is looked at whether the connection rests.
    pub(super) fn spare_at(&self) -> Option<Instant> {
        self.spare.at
    }

    pub(super) fn spare_timeout(&mut self, now: Instant) {
        if self.spare.at.is_none_or(|at| at > now) {
            return;
        }
        self.spare.at = None;
        let changes = self.changes();
        if self.spare.seen == changes {
            self.release_spare(now);
        } else {
            self.spare = Spare { at: Some(now + REST), seen: changes };
        }
    }

    /// Counts all that was done to any flow, and goes round.
    fn changes(&self) -> u32 {
        self.subflows.iter().fold(0, |sum, sub| sum.wrapping_add(sub.flow.changes()))
    }

    fn release_spare(&mut self, now: Instant) {
        let Self { shared, subflows, paths, events, last_words, .. } = self;
        for sub in subflows.iter_mut() {
            sub.flow.release_spare(now);
            sub.state.release_spare();
            sub.views.release_spare();
        }
        subflows.shrink_to_fit();
        shared.send.buffer.release_spare();
        shared.send.reinject.release_spare();
        shared.recv.release_spare();
        shared.views.shrink_to_fit();
        paths.release_spare();
        events.shrink_to_fit();
        last_words.shrink_to_fit();
    }
}
