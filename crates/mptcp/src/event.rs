//! What an endpoint reports.

use core::net::{IpAddr, SocketAddr};

use manypath_base::{AddrId, SubflowId};
use manypath_wire::ResetReason;

use crate::ConnectionError;
use crate::endpoint::{ConnId, ListenerId};

/// Why a connection is plain TCP although multipath was asked for (RFC 8684 §3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FallbackReason {
    /// The peer's SYN or SYN/ACK had no MP_CAPABLE.
    NotSupported,
    /// MP_CAPABLE of a version or with flags that this side does not speak.
    Incompatible,
    /// Options vanished in the third ACK or on the first data.
    OptionsStripped,
    /// Data came without a mapping.
    NoMapping,
    /// The checksum of the first mappings failed, or the peer said so with MP_FAIL.
    ChecksumFailed,
    /// The peer fell back, and says so with an infinite mapping.
    PeerFellBack,
    /// Several SYNs with MP_CAPABLE were not answered; one without was.
    SynDropped,
    /// SYNs with MP_CAPABLE were dropped on earlier connections to this destination.
    KnownToDrop,
    /// Both sides sent SYNs that crossed (RFC 9293 §3.5); MP_CAPABLE has no form for that.
    SimultaneousOpen,
}

/// Why a path went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathDownReason {
    /// Closed in good order.
    Closed,
    /// The peer reset it; with MP_TCPRST's reason code where there was one (RFC 8684 §3.6).
    Reset(Option<u8>),
    /// The handshake was refused or failed to authenticate.
    JoinFailed,
    /// Nothing was acknowledged for too long.
    TimedOut,
    /// The peer withdrew its address, or this side its own.
    AddressRemoved,
    /// This side gave it up: it was silent while data was due on it.
    Silent,
    /// With it a one-ended connection carried less than without.
    Harmful,
    /// The connection ended.
    ConnectionEnded,
}

impl PathDownReason {
    /// What the peer is told of a subflow that this side ends (RFC 8684 §3.6).
    pub(crate) const fn reset_reason(self) -> ResetReason {
        match self {
            Self::Silent | Self::TimedOut => ResetReason::UnacceptablePerformance,
            Self::JoinFailed => ResetReason::MptcpError,
            Self::Closed
            | Self::Reset(_)
            | Self::AddressRemoved
            | Self::Harmful
            | Self::ConnectionEnded => ResetReason::Unspecified,
        }
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection waits at a listener: [`crate::Endpoint::accept`] has it.
    Incoming(ListenerId),
    /// The handshake is complete; data may flow.
    Established(ConnId),
    /// There is something to read, or the end of it.
    Readable(ConnId),
    /// There is room to write.
    Writable(ConnId),
    /// The connection has ended; nothing follows. `None` is in good order.
    Closed(ConnId, Option<ConnectionError>),
    /// The connection goes on as plain TCP.
    FellBack(ConnId, FallbackReason),
    /// A subflow may carry data.
    PathUp {
        /// Which connection.
        conn: ConnId,
        /// Which subflow.
        subflow: SubflowId,
        /// This side of it.
        local: SocketAddr,
        /// The peer's side of it.
        remote: SocketAddr,
    },
    /// A subflow has fallen silent with data outstanding; its data goes elsewhere.
    PathSuspect(ConnId, SubflowId),
    /// A suspected or failed subflow delivers again.
    PathRestored(ConnId, SubflowId),
    /// A subflow is gone.
    PathDown(ConnId, SubflowId, PathDownReason),
    /// A subflow that this side tried to open did not come up, for the first time since the pair
    /// was last up; it is tried again unless the peer says that the reason will not pass
    /// (RFC 8684 §3.6).
    JoinFailed {
        /// Which connection.
        conn: ConnId,
        /// This side of the attempt.
        local: SocketAddr,
        /// The peer's side of it.
        remote: SocketAddr,
        /// MP_TCPRST's reason code, where the peer sent one.
        reason: Option<u8>,
    },
    /// The peer announced an address.
    AddrAnnounced(ConnId, AddrId, IpAddr),
    /// The peer withdrew an address.
    AddrRemoved(ConnId, AddrId),
    /// The peer changed the priority of a subflow.
    PrioChanged {
        /// Which connection.
        conn: ConnId,
        /// Which subflow.
        subflow: SubflowId,
        /// Whether it is a backup now.
        backup: bool,
    },
}
