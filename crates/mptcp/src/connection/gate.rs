//! Whether new data may leave for a peer beside this host.
//!
//! **Owns** the connection's side of it. **Leaves out** whose turn it is: the endpoint knows
//! (`endpoint/beside.rs`). **Invariant**: what was sent before, acknowledgments, and data on its way to
//! elsewhere never wait.

use manypath_base::{DataOffset, PathId, Rate, SubflowId};
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

    /// Up to where the peer has acknowledged data, of a connection with one subflow of which it is not
    /// known yet whether it leads to a peer beside this host, though the round trip is as short.
    pub(crate) fn acknowledged_near(&self) -> Option<DataOffset> {
        let [sub] = &self.subflows[..] else { return None };
        let unknown = self.shared.is_multipath() && sub.flow.may_be_beside(PathId::from(sub.id));
        unknown.then_some(self.shared.send.una)
    }

    /// Connections to the same peer were delivered so much together.
    pub(crate) fn note_delivery(&mut self, rate: Rate) {
        for sub in &mut self.subflows {
            sub.flow.note_delivery(rate);
        }
    }
}
