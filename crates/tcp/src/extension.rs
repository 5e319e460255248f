//! The one seam through which a protocol above TCP adds and reads options, maps bytes, shares the
//! receive window and couples congestion control.
//!
//! **Invariant**: without an extension ([`Plain`]) the flow is TCP and nothing else.

use manypath_base::{Instant, SubflowOffset};
use manypath_cc::FlowView;
use manypath_wire::{MpTcpRst, MptcpOptions};

/// Where in a flow's life a segment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// SYN of the active opener.
    Syn,
    /// SYN/ACK.
    SynAck,
    /// Anything after.
    Open,
    /// RST.
    Reset,
}

/// A segment about to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Now.
    pub now: Instant,
    /// Its place in the flow's life.
    pub phase: Phase,
    /// First byte of payload; `len` is 0 where there is none.
    pub start: SubflowOffset,
    /// Payload bytes, at most: the segment may be cut shorter after its options are known.
    pub len: u32,
    /// How often this segment was sent before.
    pub attempt: u8,
    /// Bytes that are left for options; more is a bug.
    pub space: usize,
    /// Whether the segment leaves as one packet whatever its options are. One that the device cuts
    /// repeats its options on every packet.
    pub whole: bool,
}

/// A segment that came in and passed TCP's acceptance tests.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Now.
    pub now: Instant,
    /// Its place in the flow's life.
    pub phase: Phase,
    /// First byte of payload.
    pub start: SubflowOffset,
    /// Payload bytes.
    pub len: u32,
    /// What it acknowledges of this side's bytes.
    pub ack: SubflowOffset,
    /// The window that it offers, in bytes.
    pub window: u32,
    /// Whether it carries FIN.
    pub fin: bool,
}

/// What becomes of a flow after an extension has read a segment's options.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Reset the flow and say why.
    Reset(MpTcpRst),
}

/// What MPTCP adds to TCP. Every method has the answer of plain TCP as default.
pub trait Extension {
    /// Adds options to an outgoing segment.
    fn write_options(&mut self, _segment: &Outgoing, _options: &mut MptcpOptions) {}

    /// Reads the options of an incoming segment, before its payload is taken in.
    fn read_options(&mut self, _segment: &Incoming, _options: &MptcpOptions) -> Verdict {
        Verdict::Continue
    }

    /// The peer ended the flow with a RST that carries these options.
    fn read_reset(&mut self, _options: &MptcpOptions) {}

    /// How many of the `len` bytes from `start` one segment may carry; at least one goes out.
    fn cut(&self, _start: SubflowOffset, len: u32) -> u32 {
        len
    }

    /// Whether there is something to say that must not wait for the next segment.
    fn wants_ack(&self) -> bool {
        false
    }

    /// The shared receive window in bytes, where the flow has none of its own (RFC 8684 §3.3.1).
    /// Then the window that the peer offers is not this flow's either.
    fn shared_window(&self) -> Option<u32> {
        None
    }

    /// Bytes of the buffer behind the shared window: the most that was ever offered.
    fn shared_buffer(&self) -> Option<u64> {
        None
    }

    /// Whether there is more to send than the flow was given, so that what stops it is the shared
    /// window and not the application.
    fn has_more(&self) -> bool {
        false
    }

    /// Every path of the connection, where it has more than this flow's.
    fn flow_views(&self) -> Option<&[FlowView]> {
        None
    }
}

/// No extension: plain TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Extension for Plain {}
