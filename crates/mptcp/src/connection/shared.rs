//! What all subflows of a connection share: identities, mode, both sides of the data level, and
//! how every path looks to coupled congestion control.

use alloc::vec::Vec;

use manypath_base::{DataOffset, DataSeq, SubflowOffset};
use manypath_cc::FlowView;
use manypath_wire::DssNumber;

use super::data_recv::DataRecv;
use super::data_send::DataSend;
use crate::FallbackReason;
use crate::crypto::Identity;

/// What the connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// MP_CAPABLE was sent or received; the handshake goes on.
    Negotiating,
    /// Multipath.
    Multipath,
    /// TCP: it was never asked for more, or it fell back. There is no way back (RFC 8684 §3.7).
    Plain(Option<FallbackReason>),
}

/// Which side opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// This side sent the first SYN.
    Initiator,
    /// The peer did.
    Responder,
}

/// Shared by the subflows of one connection.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) role: Role,
    pub(crate) mode: Mode,
    pub(crate) local: Identity,
    pub(crate) remote: Option<Identity>,
    /// Checksums over mapped data were agreed (RFC 8684 §3.1, flag A).
    pub(crate) checksum: bool,
    /// The peer asked for no subflows to its initial address (flag C).
    pub(crate) deny_join_id0: bool,
    /// This side asks for none to its own.
    pub(crate) denies_join_id0: bool,
    pub(crate) send: DataSend,
    pub(crate) recv: DataRecv,
    /// Rows of every established path.
    pub(crate) views: Vec<FlowView>,
    /// MP_FASTCLOSE goes out with every RST.
    pub(crate) fastclosing: bool,
    /// A checksum failed on the only subflow: MP_FAIL goes out with every segment until the peer
    /// shows that it knows.
    pub(crate) telling_failure: Option<DataSeq>,
    /// Why multipath ends as soon as either side can say so: the peer's data failed a checksum on
    /// the only subflow, and nothing is verified any more (see `checksum`), or data of this side
    /// was acknowledged without options. Until then both go on with mappings and DATA_ACKs: without
    /// them the peer would send again, at another place, what TCP had taken.
    pub(crate) leaving: Option<FallbackReason>,
    /// There was a second subflow once, of which both sides may know: the two levels no longer count
    /// alike.
    pub(crate) joined: bool,
    /// The first subflow is gone, the only one that TCP could go on with.
    pub(crate) lost_first: bool,
    /// The peer sent a byte at another place of the subflow than of the stream.
    pub(crate) skewed: bool,
    /// The peer numbers with 8 bytes, and is acknowledged so (RFC 8684 §3.3.2).
    pub(crate) wide: bool,
    /// Where the infinite mapping begins that tells the peer of falling back (RFC 8684 §3.7).
    pub(crate) infinite: Infinite,
    /// MP_CAPABLE in this side's SYN was answered, or was not where a SYN without it was.
    pub(crate) capable_answered: Option<bool>,
}

/// The mapping without end that is sent once, on the first data after falling back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Infinite {
    /// There is none to send.
    No,
    /// The next new data carries it.
    Due,
    /// The data at this place carries it, as often as it is sent.
    At(SubflowOffset),
}

impl Shared {
    /// Falls back to TCP: the one transition (RFC 8684 §3.7). What was received so far stays.
    /// Where it was about to, that is the reason.
    pub(crate) fn fall_back(&mut self, reason: FallbackReason) {
        if !matches!(self.mode, Mode::Plain(_)) {
            let reason = self.leaving.unwrap_or(reason);
            let one_way =
                matches!(reason, FallbackReason::ChecksumFailed | FallbackReason::OptionsStripped);
            if self.is_multipath() && one_way {
                self.infinite = Infinite::Due;
            }
            self.mode = Mode::Plain(Some(reason));
            self.send.forget_timers();
        }
    }

    /// DATA_ACK of all that came, once the peer's numbers are known.
    pub(crate) fn data_ack(&self) -> Option<DssNumber> {
        let ack = self.recv.nxt().seq(self.remote?.idsn).0;
        Some(if self.wide { DssNumber::Eight(ack) } else { DssNumber::Four(low32(ack)) })
    }

    /// Falls back if that was only waiting for either side to say so.
    pub(crate) fn revert(&mut self) {
        if let Some(reason) = self.leaving {
            self.fall_back(reason);
        }
    }

    /// Whether a checksum failed on the only subflow.
    pub(crate) fn is_distrusted(&self) -> bool {
        self.leaving == Some(FallbackReason::ChecksumFailed)
    }

    /// Whether data was acknowledged without options, and the peer does not know it yet.
    pub(crate) fn has_lost_options(&self) -> bool {
        self.leaving == Some(FallbackReason::OptionsStripped)
    }

    /// Whether both levels count alike, so that TCP can go on with the same stream.
    pub(crate) fn may_fall_back(&self) -> bool {
        !(self.joined || self.lost_first || self.skewed) && self.send.reinjected == 0
    }

    /// Option bytes of a DSS, padded, with DATA_ACK alone.
    pub(crate) fn dss_ack_len(&self) -> usize {
        if self.wide { 12 } else { 8 }
    }

    /// Option bytes of a DSS, padded, with DATA_ACK and mapping, with or without checksum.
    pub(crate) fn dss_len(&self) -> usize {
        self.dss_ack_len() + if self.send.wrap.needs_64_bits() { 16 } else { 12 }
    }

    pub(crate) fn is_multipath(&self) -> bool {
        self.mode == Mode::Multipath
    }

    /// Whether subflows may be added: not where multipath is about to end.
    pub(crate) fn may_join(&self) -> bool {
        self.is_multipath() && self.leaving.is_none()
    }

    /// A data offset of this side's stream as it goes out.
    pub(crate) fn local_number(&self, at: DataOffset) -> DssNumber {
        let seq = at.seq(self.local.idsn).0;
        if self.send.wrap.needs_64_bits() {
            DssNumber::Eight(seq)
        } else {
            DssNumber::Four(low32(seq))
        }
    }
}

/// The low half of a data sequence number, as the 4-byte forms carry it.
pub(crate) fn low32(n: u64) -> u32 {
    let [a, b, c, d, ..] = n.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
