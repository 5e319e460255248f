//! What becomes of a path that does not answer, and of what it carries.

use manypath_base::Instant;
use manypath_cc::Signal;

use crate::Flow;
use crate::input::OwnViews;
use crate::path::{Health, Path, Standing};

use super::Barred;

/// A path that failed so often without delivering this much between takes pings and loses data.
const STRIKES: u8 = 4;
/// Of so many the packets may be too long for it.
const TOO_LONG: u8 = 2;
const DELIVERED: u64 = 64 << 10;

impl Path {
    /// Whether it may carry data at all.
    pub(crate) fn may_carry(&self) -> bool {
        self.standing == Standing::Proven
    }

    /// Whether it may carry data and answers.
    pub(crate) fn is_well(&self) -> bool {
        self.may_carry() && self.health == Health::Alive
    }
}

impl Flow {
    /// A path is silent while others answer: they take what it carries, and it is asked.
    pub(crate) fn leave_silent(&mut self, now: Instant, i: usize) {
        if self.several.is_none() || !self.has_well_beside(i) {
            return;
        }
        self.paths[i].confirm_claim(&self.board, now);
        self.hand_over(i, now);
        self.note_strike(now, i);
    }

    /// Whether another path than this answers.
    fn has_well_beside(&self, i: usize) -> bool {
        self.paths.iter().enumerate().any(|(n, p)| n != i && p.is_well())
    }

    /// Everything in flight on a path is to be sent again on any. Its congestion is not judged by
    /// that.
    pub(crate) fn hand_over(&mut self, i: usize, now: Instant) {
        let Self { board, paths, .. } = self;
        let path = &mut paths[i];
        let id = path.id;
        board.mark_lost(|s| s.path == id, |s| path.on_lost(s));
        path.work.order.clear();
        path.work.tail_probe = None;
        path.work.reorder_at = None;
        path.rearm(now);
    }

    /// A path did not answer while there are others: it is asked, and barred where it answers to
    /// nothing else.
    pub(crate) fn note_strike(&mut self, now: Instant, i: usize) {
        if self.several.is_none() || self.paths.len() == 1 {
            return;
        }
        let path = &mut self.paths[i];
        path.ping.ask();
        let delivered = path.delivered_mark().0;
        if delivered >= path.strike.1 + DELIVERED {
            path.strike.0 = 0;
        }
        path.strike = (path.strike.0 + 1, delivered);
        if path.strike.0 == TOO_LONG {
            path.doubt_size(now);
        }
        if self.paths[i].strike.0 >= STRIKES && self.has_well_beside(i) {
            self.bar(now, i, Barred::Swallows);
        }
    }

    /// The peer has answered on a path.
    pub(crate) fn recover_path(&mut self, now: Instant, i: usize) {
        let failed = self.paths[i].health == Health::Failed;
        let Self { paths, events, .. } = self;
        Self::restore_health(&mut paths[i], events);
        paths[i].rtt.end_back_off();
        if failed && paths[i].episode.is_none() {
            // What it could carry before says nothing of now (R10 begins with a small window).
            let views: OwnViews = self.views().collect();
            let path = &mut self.paths[i];
            path.reduce(now, Signal::Timeout, path.controller.cwnd(), &views);
        }
        self.paths[i].rearm(now);
    }
}
