//! A flow from a SYN cookie (RFC 4987 §3.6): nothing was kept of the SYN, and its answer comes
//! back with the third segment.
//!
//! **Leaves out** the cookie: the owner puts what it needs into its initial sequence number (and
//! timestamp) and checks it when the acknowledgment comes.

use manypath_base::{Instant, SeqNum, SubflowOffset};
use manypath_wire::{Flags, Options, Segment};

use crate::{Extension, Flow, Opening, Received, State};

/// What a cookie tells of a SYN that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynOffer {
    /// The peer's initial sequence number: one before the acknowledgment's.
    pub isn: SeqNum,
    /// The peer's MSS, or the largest value below it that the cookie has room for.
    pub mss: u16,
    /// The peer's window scale, if both sides scale.
    pub window_scale: Option<u8>,
    /// Whether both sides use SACK.
    pub sack_permitted: bool,
    /// Whether both sides use timestamps.
    pub timestamps: bool,
}

impl Flow {
    /// The flow that a SYN/ACK with a cookie promised, now that `ack` has brought it back: in
    /// ESTABLISHED, or beyond if `ack` carries FIN. `opening` must be that of the SYN/ACK, the
    /// initial sequence number and what was offered included. `None` if `ack` does not complete
    /// the handshake.
    ///
    /// Explicit congestion notification is off, and no round-trip time is known yet.
    #[must_use]
    pub fn resume(
        now: Instant,
        opening: Opening,
        offer: &SynOffer,
        ack: Received,
        ext: &mut dyn Extension,
    ) -> Option<Self> {
        let mut flow = Self::accept(now, opening, &remembered_syn(offer, &ack.segment));
        flow.handshake = None;
        flow.send.nxt = SubflowOffset(1);
        flow.handle_segment(now, ack, ext);
        matches!(flow.state(), State::Established | State::CloseWait).then_some(flow)
    }
}

/// The SYN, as far as it is known.
fn remembered_syn(offer: &SynOffer, ack: &Segment) -> Segment {
    let options = Options {
        mss: Some(offer.mss),
        window_scale: offer.window_scale,
        sack_permitted: offer.sack_permitted,
        timestamps: ack.options.timestamps.filter(|_| offer.timestamps),
        ..Options::default()
    };
    Segment {
        seq: offer.isn,
        ack: SeqNum::default(),
        flags: Flags::SYN,
        window: 0,
        urgent: 0,
        options,
        payload: Default::default(),
        ..*ack
    }
}
