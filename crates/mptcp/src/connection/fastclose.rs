//! MP_FASTCLOSE in an acknowledgment (RFC 8684 §3.5, option A): FASTCLOSE_WAIT.
//!
//! **Invariant**: one subflow is left, and for a bounded time: until the peer's RST, or until the
//! last repetition was not answered.

use manypath_base::{Instant, SubflowId};

use super::Connection;
use super::subflow::{Signal, Stage};

/// Repetitions (RFC 8684 §3.5: "A RECOMMENDED number is 3").
const REPETITIONS: u32 = 3;

/// The peer is to answer with RST.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastCloseWait {
    subflow: SubflowId,
    sent: u32,
    pub(super) next: Instant,
}

impl Connection {
    /// Says MP_FASTCLOSE on one subflow and resets the others. Returns whether there is one on
    /// which it can be said.
    pub(super) fn begin_fastclose(&mut self, now: Instant) -> bool {
        let multipath = self.shared.is_multipath();
        let confirmed = |i: &usize| self.subflows[*i].state.stage == Stage::Confirmed;
        let Some(i) = self.best_subflow().filter(|_| multipath).filter(confirmed) else {
            return false;
        };
        let subflow = self.subflows[i].id;
        for sub in self.subflows.iter_mut().filter(|s| s.id != subflow) {
            sub.flow.abort(None);
        }
        self.shared.recv.discard();
        self.fastclose = Some(FastCloseWait { subflow, sent: 0, next: now });
        self.fastclose_timeout(now);
        true
    }

    /// Repeats it after each retransmission timeout; at last a RST with the option goes out, to
    /// clear what middleboxes remember.
    pub(super) fn fastclose_timeout(&mut self, now: Instant) {
        let Some(wait) = self.fastclose.filter(|wait| wait.next <= now) else { return };
        let (Some(i), Some(remote)) = (self.index(wait.subflow), self.shared.remote) else {
            self.fastclose = None;
            return;
        };
        let sub = &mut self.subflows[i];
        if wait.sent > REPETITIONS {
            self.fastclose = None;
            self.shared.fastclosing = true;
            sub.flow.abort(None);
            return self.settle_all(now);
        }
        let rto = sub.flow.paths().next().map(|p| p.rto).unwrap_or_default();
        sub.state.say(Signal::FastClose(remote.key));
        self.fastclose = Some(FastCloseWait { sent: wait.sent + 1, next: now + rto, ..wait });
    }
}
