//! How the subflows look: to a scheduler, and to coupled congestion control.
//!
//! **Invariant**: a view is that of the flow as it is now. It is made anew only when the flow has
//! changed since ([`Flow::changes`](manypath_tcp::Flow::changes)): of many subflows few do between
//! two packets.

use alloc::boxed::Box;

use manypath_base::PathId;
use manypath_cc::FlowView;
use manypath_sched::PathView;
use smallvec::SmallVec;

use super::{Connection, Subflow};

/// Views of one subflow, each with the count of changes that it was made at.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    /// In a box that is given back where the connection rests.
    path: Option<Box<(u32, PathView)>>,
    /// The view itself stands in the list that all subflows share.
    flow: Option<u32>,
}

impl Views {
    fn put(&mut self, changes: u32, view: PathView) {
        match &mut self.path {
            Some(kept) => **kept = (changes, view),
            None => self.path = Some(Box::new((changes, view))),
        }
    }

    pub(super) fn release_spare(&mut self) {
        self.path = None;
    }
}

impl Connection {
    /// The subflows that may carry data, for a scheduler.
    pub(super) fn path_views(&mut self) -> SmallVec<[PathView; 8]> {
        let mut views = SmallVec::new();
        for sub in self.subflows.iter_mut().filter(|s| s.may_carry()) {
            if let Some(view) = sub.path_view() {
                views.push(view);
            }
        }
        views
    }

    /// Brings the rows of every established path up to date.
    pub(super) fn refresh_views(&mut self) {
        let rows = &mut self.shared.views;
        let mut count = 0;
        for sub in self.subflows.iter_mut().filter(|s| s.flow.state().is_synchronized()) {
            let (path, changes) = (PathId::from(sub.id), sub.flow.changes());
            let known = rows.get(count).is_some_and(|row| row.path == path);
            if known && sub.views.flow == Some(changes) {
                debug_assert!(sub.flow.views().eq([rows[count]]), "it changed unnoticed");
                count += 1;
                continue;
            }
            sub.views.flow = Some(changes);
            for view in sub.flow.views() {
                put(rows, count, view);
                count += 1;
            }
        }
        rows.truncate(count);
    }
}

fn put(rows: &mut alloc::vec::Vec<FlowView>, at: usize, view: FlowView) {
    match rows.get_mut(at) {
        Some(row) => *row = view,
        None => rows.push(view),
    }
}

impl Subflow {
    fn path_view(&mut self) -> Option<PathView> {
        let changes = self.flow.changes();
        let view = match self.views.path.as_deref().filter(|(at, _)| *at == changes) {
            Some(&(_, view)) => {
                debug_assert_eq!(self.new_path_view(), Some(view), "it changed unnoticed");
                view
            }
            None => {
                let view = self.new_path_view()?;
                self.views.put(changes, view);
                view
            }
        };
        let alive = view.alive && self.doubt.is_none();
        Some(PathView { alive, backup: self.is_backup(), ..view })
    }

    /// What of the view depends on the flow.
    fn new_path_view(&self) -> Option<PathView> {
        let view = self.flow.scheduler_view()?;
        let unsent = u32::try_from(self.flow.unsent()).unwrap_or(u32::MAX);
        // What the subflow was given and holds back to pace it takes its part of the window. It must
        // not hide the rest: else a scheduler takes the next path for what this one has room for.
        let room = view.room.saturating_sub(unsent);
        let crumbs = unsent > 0 && room < view.mss.bytes();
        Some(PathView { room: if crumbs { 0 } else { room }, ..view })
    }
}
