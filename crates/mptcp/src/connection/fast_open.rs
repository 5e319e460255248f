//! TCP Fast Open and multipath (RFC 8684 appendix B): bytes on the SYN are the first of the stream,
//! and no part of the data sequence space.
//!
//! **Invariant**: inside they count like all others, so that both levels count alike and falling
//! back needs nothing; data sequence numbers and the subflow sequence numbers of mappings are as
//! much lower on the wire.
//!
//! **Choice:** a server that speaks multipath answers early data after the third ACK only: before,
//! it has no key of the peer to make a DATA_ACK of.

use bytes::Bytes;
use manypath_base::{DataOffset, DataSeq, Instant, Mss, Payload, SubflowOffset, len64, usize32};
use manypath_tcp::{FastOpenAnswer, Flow, State};
use manypath_wire::Segment;

use super::mapping::Mapping;
use super::seam::Seam;
use super::{Birth, Connection};
use crate::Event;
use crate::crypto::Identity;

/// Bytes on the SYNs of the first subflow that the other side took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OnSyn {
    /// This side's.
    pub(crate) sent: u64,
    /// The peer's.
    pub(crate) received: u64,
}

impl OnSyn {
    /// The first byte of this side that a mapping may cover.
    pub(crate) fn first_sent(self) -> SubflowOffset {
        SubflowOffset(1) + self.sent
    }

    /// The first byte of the peer that a mapping may cover.
    pub(crate) fn first_received(self) -> SubflowOffset {
        SubflowOffset(1) + self.received
    }

    /// A byte of this side as mappings count it: the first of them is 1.
    pub(crate) fn ssn_sent(self, at: SubflowOffset) -> u32 {
        SubflowOffset(at.0.saturating_sub(self.sent)).low()
    }

    /// A byte of the peer as mappings count it.
    pub(crate) fn ssn_received(self, at: SubflowOffset) -> u32 {
        SubflowOffset(at.0.saturating_sub(self.received)).low()
    }

    /// The byte of the peer that a mapping names.
    pub(crate) fn received_at(self, ssn: u32, near: SubflowOffset) -> Option<SubflowOffset> {
        let near = SubflowOffset(near.0.saturating_sub(self.received));
        SubflowOffset::from_low(ssn, near).map(|at| at + self.received)
    }

    /// A peer whose bytes on the SYN do not count.
    pub(crate) fn peer(self, identity: Identity) -> Identity {
        later(identity, self.received)
    }
}

/// An identity whose data sequence numbers begin `n` bytes later in the stream.
fn later(identity: Identity, n: u64) -> Identity {
    Identity { idsn: DataSeq(identity.idsn.0.wrapping_sub(n)), ..identity }
}

impl Connection {
    /// The stream begins with `early`. With a cookie, as much of it as one packet takes is offered
    /// to the SYN.
    pub(super) fn write_early(&mut self, early: Bytes, has_cookie: bool, packet: Mss) {
        let on_syn = early.slice(..early.len().min(usize32(packet.bytes())));
        let send = &mut self.shared.send;
        send.buffer.push(early);
        if has_cookie {
            send.nxt = send.una + len64(on_syn.len());
            self.subflows[0].flow.write(on_syn);
        }
    }

    /// Passive open of a SYN whose cookie is valid (RFC 7413 §4.2.2): the application has the
    /// connection, and the data of the SYN, before the handshake is complete.
    pub(crate) fn accept_early(now: Instant, birth: Birth, syn: Segment) -> Self {
        let options = syn.options.mptcp.clone();
        let mut conn = Self::begin(now, birth, |opening| Flow::accept_early(now, opening, syn));
        conn.read_syn_options(&options);
        conn.take_data_of_syn();
        conn.established = true;
        conn.events.push_back(Event::Established(conn.id));
        conn.settle(now, 0);
        conn
    }

    fn take_data_of_syn(&mut self) {
        let sub = &mut self.subflows[0];
        while let Some((at, payload)) = sub.flow.read() {
            sub.state.on_syn.received += len64(payload.len());
            self.shared.recv.insert(DataOffset(at.0), payload);
        }
    }

    /// Whether the third segment of the handshake has yet to come.
    pub(crate) fn is_half_open(&self) -> bool {
        self.subflows.first().is_some_and(|s| s.flow.state() == State::SynReceived)
    }

    /// How the server answered an attempt at Fast Open, once.
    pub(crate) fn take_fast_open_answer(&mut self) -> Option<FastOpenAnswer> {
        self.subflows.first_mut()?.flow.take_fast_open_answer()
    }
}

impl Seam<'_> {
    /// The SYN/ACK acknowledges everything before `acked`: that is no part of the data sequence
    /// space. What it leaves out of the data on the SYN is, and is mapped (RFC 8684 appendix B.3).
    pub(super) fn settle_data_of_syn(&mut self, acked: SubflowOffset) {
        let taken = acked - SubflowOffset(1);
        self.sub.on_syn.sent = taken;
        self.shared.local = later(self.shared.local, taken);
        let send = &mut self.shared.send;
        send.una = DataOffset(1) + taken;
        send.buffer.release(send.una);
        let rest = send.buffer.slice(send.una, send.nxt.max(send.una));
        if !rest.is_empty() {
            let (ssn, dsn) = (acked, send.una);
            let checksum = self.shared.mapping_checksum(dsn, self.sub.on_syn.ssn_sent(ssn), &rest);
            let len = manypath_base::len32(rest.len());
            self.sub.carried = dsn + u64::from(len);
            self.sub.tx.push(Mapping { ssn, dsn, len, checksum, fin: false });
        }
    }
}

impl super::shared::Shared {
    /// The checksum of a mapping of this side, if checksums were agreed.
    pub(super) fn mapping_checksum(
        &self,
        dsn: DataOffset,
        ssn: u32,
        payload: &Payload,
    ) -> Option<u16> {
        let len = manypath_base::len16(payload.len());
        let dsn = dsn.seq(self.local.idsn).0;
        self.checksum.then(|| manypath_wire::dss_checksum(dsn, ssn, len, payload))
    }
}
