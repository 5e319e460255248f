//! Checksums over mapped data (RFC 8684 §3.3.1), and what follows when one does not match (§3.7).
//!
//! **Invariant**: where checksums were agreed, data reaches reassembly only after the whole of its
//! mapping was verified; once one has failed on the only subflow, nothing is verified any more.
//!
//! On the only subflow a failed checksum ends multipath, but not at once: the peer goes on with
//! mappings and awaits DATA_ACKs, until MP_FAIL has reached it and it has new data to map without
//! end. So data is taken and acknowledged as before (there is no other subflow on which it could
//! come again), and TCP takes over with whichever comes first: an infinite mapping or a segment
//! without DATA_ACK from the peer, or new data of this side once the peer has answered.

use manypath_base::{DataOffset, DataSeq, Payload, RangeSet};
use manypath_wire::Sum;

use super::Connection;
use super::mapping::Mapping;
use crate::FallbackReason;

/// Data of one mapping, not yet whole.
#[derive(Debug, Default)]
pub(crate) struct Unverified {
    payload: Payload,
    /// Where it belongs if it is never verified.
    dsn: DataOffset,
}

impl Unverified {
    pub(super) fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }
}

impl Connection {
    /// Takes a piece of a mapping in; once it is whole, it is verified and goes on.
    pub(super) fn take_checked(&mut self, i: usize, mapping: Mapping, piece: Payload) {
        let unverified = self.subflows[i].state.unverified.get_or_insert_default();
        unverified.dsn = mapping.dsn;
        unverified.payload.append(piece);
        if manypath_base::len64(unverified.payload.len()) < u64::from(mapping.len) {
            return;
        }
        let payload = core::mem::take(&mut unverified.payload);
        if self.is_genuine(i, mapping, &payload) {
            self.deliver(i, mapping.dsn, payload);
        } else {
            self.on_checksum_failed(i, mapping, payload);
        }
    }

    fn is_genuine(&self, i: usize, mapping: Mapping, payload: &Payload) -> bool {
        let Some(remote) = self.shared.remote else { return false };
        // The length as it was on the wire, DATA_FIN counted.
        let len = manypath_base::len16(payload.len() + usize::from(mapping.fin));
        let ssn = self.subflows[i].state.on_syn.ssn_received(mapping.ssn);
        let mut sum = Sum::dss(mapping.dsn.seq(remote.idsn).0, ssn, len);
        sum.add_payload(payload);
        Some(sum.checksum()) == mapping.checksum
    }

    /// A middlebox changed the data. With other subflows this one is closed, and the data comes
    /// again on another; alone, the connection is to go on as TCP, which would have taken the data.
    fn on_checksum_failed(&mut self, i: usize, mapping: Mapping, payload: Payload) {
        let Some(remote) = self.shared.remote else { return };
        let dsn = mapping.dsn.seq(remote.idsn);
        if self.shared.may_fall_back() {
            self.shared.leaving = Some(FallbackReason::ChecksumFailed);
            // Both levels go on counting alike, so that TCP can take over.
            self.shared.send.reinject = RangeSet::default();
            self.deliver(i, mapping.dsn, payload);
            self.tell_failure(i, dsn);
        } else {
            let sub = &mut self.subflows[i];
            sub.state.failed_at = Some(dsn);
            sub.end_disturbed();
        }
    }

    /// Says MP_FAIL at once; it is repeated, since acknowledgments are lost in silence.
    fn tell_failure(&mut self, i: usize, dsn: DataSeq) {
        self.shared.telling_failure = Some(dsn);
        self.subflows[i].flow.request_ack();
    }

    /// The peer says that a checksum of ours did not match: it is answered in kind, and TCP goes
    /// on. Where the two levels do not count alike the subflow ends. Where this side said so first,
    /// that was the answer.
    pub(super) fn on_fail(&mut self, i: usize) {
        if self.shared.is_distrusted() {
            return self.revert();
        }
        let remote = self.shared.remote.filter(|_| self.shared.may_fall_back());
        let Some(remote) = remote else { return self.subflows[i].end_disturbed() };
        let next = self.shared.recv.nxt().seq(remote.idsn);
        self.shared.fall_back(FallbackReason::ChecksumFailed);
        self.tell_failure(i, next);
    }

    /// The peer has answered, or there is new data. Where both is so, both sides know that a
    /// checksum failed, and that data is the place to say that it goes on as TCP (RFC 8684 §3.7).
    /// Of vanished options only new data can tell the peer.
    pub(super) fn revert(&mut self) {
        if self.shared.telling_failure.is_none() && self.shared.send.unsent() > 0 {
            self.shared.revert();
        }
    }

    /// What waits to be verified is taken as it is: TCP would have taken it.
    pub(super) fn take_unverified(&mut self, i: usize) {
        let waits = self.subflows[i].state.unverified.take();
        if let Some(Unverified { payload, dsn }) = waits.map(|waits| *waits)
            && !payload.is_empty()
        {
            self.deliver(i, dsn, payload);
        }
    }
}
