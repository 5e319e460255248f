//! The order in which one path sent what it sent, so that loss detection looks at the oldest
//! first (RFC 8985 §6.2 step 5 suggests it): without losses it costs one look.
//!
//! **Invariant**: every piece of the scoreboard that is in flight on this path lies in an entry
//! with its place in send order. Entries of what was delivered, lost or sent again are left in
//! and dropped when they come to the front.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use manypath_base::{PathId, SubflowOffset};

use crate::scoreboard::{Scoreboard, Sent, Status};

/// What a path sent, oldest first.
#[derive(Debug)]
pub(crate) struct SendOrder {
    sent: VecDeque<(u64, Range<SubflowOffset>)>,
}

impl SendOrder {
    pub(crate) const NEW: Self = Self { sent: VecDeque::new() };

    pub(crate) fn push(&mut self, index: u64, range: Range<SubflowOffset>) {
        debug_assert!(self.sent.back().is_none_or(|(last, _)| *last < index));
        self.sent.push_back((index, range));
    }

    /// The first piece in flight of the oldest send that has one.
    pub(crate) fn oldest<'a>(&mut self, path: PathId, board: &'a Scoreboard) -> Option<&'a Sent> {
        while let Some((index, range)) = self.sent.front() {
            let found = board.in_flight(path, *index, range).next();
            if found.is_some() {
                return found;
            }
            self.sent.pop_front();
        }
        None
    }

    pub(crate) fn release_spare(&mut self) {
        self.sent.shrink_to_fit();
    }

    /// Nothing is in flight.
    pub(crate) fn clear(&mut self) {
        self.sent.clear();
    }

    /// Whole range of the oldest send.
    pub(crate) fn front(&self) -> Option<(u64, Range<SubflowOffset>)> {
        self.sent.front().cloned()
    }

    /// Entries kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether a piece in flight lies in an entry, as it must.
    #[cfg(test)]
    pub(crate) fn holds(&self, piece: &Sent) -> bool {
        let inside = |r: &Range<_>| r.start <= piece.range.start && piece.range.end <= r.end;
        self.sent.iter().any(|(index, range)| *index == piece.index && inside(range))
    }

    /// Starts anew from the scoreboard, after pieces came back into flight.
    pub(crate) fn rebuild(&mut self, path: PathId, board: &Scoreboard) {
        let alive = |s: &&Sent| s.path == path && s.status == Status::InFlight;
        let mut all: Vec<_> =
            board.iter().filter(alive).map(|s| (s.index, s.range.clone())).collect();
        all.sort_by_key(|(index, range)| (*index, range.start));
        self.sent = all.into();
    }
}
