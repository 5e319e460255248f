//! What the endpoint asks before subflows come and go: joins of the peer, 4-tuples that are wanted
//! anew, and the host's own addresses.

use alloc::sync::Arc;
use core::net::SocketAddr;

use manypath_base::{Instant, SeqNum, SubflowId, usize64};
use manypath_tcp::TimeWait;
use manypath_wire::{MpTcpRst, ResetReason, Segment};

use super::Connection;
use super::path_manager::LocalEntry;
use super::subflow::{Kind, Stage, Subflow};
use crate::event::PathDownReason;

impl Connection {
    /// Makes room for a join of the peer to the address `to` of this side. A join that does not
    /// complete makes way for the next one, so that nobody who has but the token can keep others
    /// out (RFC 8684 §5).
    ///
    /// # Errors
    /// What the peer is told if it cannot be taken in.
    pub(crate) fn admit_join(&mut self, to: SocketAddr) -> Result<(), MpTcpRst> {
        let prohibited =
            |transient| MpTcpRst { transient, reason: ResetReason::AdministrativelyProhibited };
        let able = self.shared.may_join() && self.shared.remote.is_some();
        let denied = self.shared.denies_join_id0 && to == self.ends.local();
        if !able || self.ended.is_some() || denied {
            return Err(prohibited(false));
        }
        if self.subflows.len() <= usize64(self.paths.limits().subflows.into()) {
            return Ok(());
        }
        let half_open = |s: &&Subflow| {
            matches!(s.state.kind, Kind::Join { opener: false, .. })
                && s.state.stage == Stage::Offered
        };
        let oldest = self.subflows.iter().find(half_open).map(|s| s.id).ok_or(prohibited(true))?;
        // In silence: whoever it was may not be there.
        self.forget_subflow(oldest);
        Ok(())
    }

    pub(crate) fn has_subflow(&self, id: SubflowId) -> bool {
        self.index(id).is_some()
    }

    /// Number of subflows that are not forgotten.
    pub(crate) fn subflow_count(&self) -> usize {
        self.subflows.len()
    }

    /// A subflow makes way for a new one, without a word.
    pub(crate) fn forget_subflow(&mut self, id: SubflowId) {
        self.subflows.retain(|s| s.id != id);
        self.paths.is_stale = true;
        self.refresh_plan();
    }

    /// Whether `syn` may take the 4-tuple of a subflow: it waits in TIME-WAIT for old segments,
    /// which this is not, and the connection does not need it.
    pub(crate) fn gives_way(&self, id: SubflowId, syn: &Segment) -> bool {
        self.unneeded_wait(id).is_some_and(|wait| wait.may_be_replaced(syn))
    }

    /// Whether a connection that this side opens may take the 4-tuple of a subflow, and the sequence
    /// number that it has to begin with at least.
    pub(crate) fn reopens_from(&self, now: Instant, id: SubflowId) -> Option<SeqNum> {
        self.unneeded_wait(id)?.reopens_from(now)
    }

    fn unneeded_wait(&self, id: SubflowId) -> Option<TimeWait> {
        let subflow = self.subflows.iter().find(|s| s.id == id).filter(|_| self.ended.is_some());
        subflow?.flow.time_wait()
    }

    /// The host's addresses changed: subflows of those that are gone end, and the peer hears of it
    /// (RFC 8684 §3.4.2).
    pub(crate) fn set_addresses(&mut self, now: Instant, locals: Arc<[LocalEntry]>) {
        let initial = self.ends.local().ip();
        let before = Arc::clone(self.paths.locals());
        let mut gone = self.paths.set_locals(now, locals, initial);
        self.one_ended.interfaces_changed();
        self.spread(now);
        self.follow_priorities(&before);
        for sub in &mut self.subflows {
            if !self.paths.has_local(sub.flow.local().ip()) {
                gone.push(sub.state.local_id);
                sub.down = Some(PathDownReason::AddressRemoved);
            }
        }
        self.withdraw(&gone);
        self.end_marked(now);
        self.announce_timeout(now);
        self.refresh_plan();
    }
}
