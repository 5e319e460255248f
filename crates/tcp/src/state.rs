//! The states of RFC 9293 §3.3.2. LISTEN belongs to the endpoint: a flow is born in SYN-SENT or
//! SYN-RECEIVED.

use manypath_base::Instant;

/// State of a flow. What exists only in some states lives inside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A SYN was sent.
    SynSent,
    /// A SYN came, and a SYN/ACK was sent.
    SynReceived,
    /// Data may flow both ways.
    Established,
    /// This side sent FIN; it is not acknowledged.
    FinWait1,
    /// This side's FIN was acknowledged; the peer may still send.
    FinWait2,
    /// The peer sent FIN; this side may still send.
    CloseWait,
    /// Both sent FIN at the same time; this side's is not acknowledged.
    Closing,
    /// The peer closed, then this side; its FIN is not acknowledged.
    LastAck,
    /// Both closed, this side first: old segments are waited out.
    TimeWait {
        /// When the flow may be forgotten.
        until: Instant,
    },
    /// Gone.
    Closed,
}

impl State {
    /// Whether both SYNs were acknowledged.
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::SynSent | Self::SynReceived | Self::Closed)
    }

    /// Whether the peer may still send data.
    #[must_use]
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether this side may still have data to send or resend.
    #[must_use]
    pub const fn may_send(self) -> bool {
        matches!(
            self,
            Self::Established | Self::CloseWait | Self::FinWait1 | Self::Closing | Self::LastAck
        )
    }

    /// Whether the application may still hand in data: it has not closed.
    #[must_use]
    pub const fn may_write(self) -> bool {
        matches!(self, Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait)
    }
}
