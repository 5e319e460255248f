//! Whether new data may leave for a peer beside this host.
//!
//! **Owns** the connection's side of it. **Leaves out** whose turn it is: the endpoint knows
//! (`endpoint/beside.rs`). **Invariant**: what was sent before, acknowledgments, and data on its way to
//! elsewhere never wait.

use manypath_base::{PathId, SubflowId};
use manypath_sched::PathView;

use super::Connection;

/// So little does not wait: it is a request or an answer, and no transfer.
const SMALL: u64 = 32 << 10;

/// Whether new data may leave for a peer beside this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gate {
    #[default]
    Open,
    Closed,
    /// Closed, and some would have left.
    Missed,
}

impl Connection {
    /// Says whether new data may leave for a peer beside this host.
    pub(crate) fn set_gate(&mut self, open: bool) {
        self.gate = if open { Gate::Open } else { Gate::Closed };
    }

    /// Whether data waits for the gate to open.
    pub(crate) fn has_missed_gate(&self) -> bool {
        self.gate == Gate::Missed
    }

    /// Takes out of views what room leads to a peer beside this host while the gate is closed.
    pub(super) fn close_gate(&mut self, unsent: u64, views: &mut [PathView]) {
        if self.gate == Gate::Open || unsent <= SMALL {
            return;
        }
        for view in views.iter_mut().filter(|view| view.room > 0) {
            let sub = self.index(SubflowId::from(view.id)).map(|i| &self.subflows[i]);
            if sub.is_some_and(|sub| sub.flow.is_beside(view.id)) {
                view.room = 0;
                self.gate = Gate::Missed;
            }
        }
    }

    /// Bytes in flight to a peer beside this host, which the gate limits.
    pub(crate) fn in_flight_beside(&self) -> u32 {
        if !self.shared.is_multipath() {
            return 0;
        }
        self.subflows.iter().map(|sub| sub.flow.in_flight_beside()).fold(0, u32::saturating_add)
    }

    /// Of a subflow of which it is not known yet whether its peer is beside this host: whether its round
    /// trip is as short.
    pub(crate) fn may_be_beside(&self, subflow: SubflowId) -> Option<bool> {
        let sub = &self.subflows[self.index(subflow).filter(|_| self.shared.is_multipath())?];
        let path = PathId::from(sub.id);
        (!sub.flow.is_beside(path)).then(|| sub.flow.is_near(path))
    }

    /// Others found that the peer of a subflow is beside this host.
    pub(crate) fn note_beside(&mut self, subflow: SubflowId) {
        if let Some(i) = self.index(subflow) {
            self.subflows[i].flow.note_beside();
        }
    }

    /// Bytes that the peer has acknowledged, and bytes that came in order.
    pub(crate) fn moved(&self) -> u64 {
        self.shared.send.una.0 + self.shared.recv.nxt().0
    }
}
