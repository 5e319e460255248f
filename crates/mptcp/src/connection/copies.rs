//! Redundant sending: where the scheduler wants every path to carry the whole stream, each gets
//! what it has not carried yet.
//!
//! **Invariant**: a copy never goes beyond what was sent anew, nor back to what was acknowledged.

use core::ops::Range;

use manypath_base::{DataOffset, SubflowId};
use manypath_sched::Demand;

use super::Connection;

impl Connection {
    /// Gives sent bytes to a subflow that has room and has not carried them, if the scheduler
    /// wants copies. Returns which.
    pub(super) fn feed_copy(&mut self) -> Option<usize> {
        if !self.scheduler.copies() {
            return None;
        }
        let mut views = self.path_views();
        for view in &mut views {
            if self.index(SubflowId::from(view.id)).is_none_or(|i| self.behind(i).is_empty()) {
                view.room = 0;
            }
        }
        let send = &self.shared.send;
        let demand = Demand { unsent: send.unsent(), window: send.window() };
        let picked = self.scheduler.pick(&demand, &views)?;
        let i = self.index(SubflowId::from(picked))?;
        let room = views.iter().find(|v| v.id == picked).map_or(0, |v| v.room);
        let range = self.behind(i);
        let (len, _) = self.chunk(i, &range, room);
        self.give(i, range.start..range.start + len, true);
        Some(i)
    }

    /// What subflow `i` has not carried of what was sent and is not acknowledged.
    fn behind(&self, i: usize) -> Range<DataOffset> {
        let send = &self.shared.send;
        send.una.max(self.subflows[i].state.carried).min(send.nxt)..send.nxt
    }
}
