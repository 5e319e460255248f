//! One small error for each kind of call.

use core::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::FallbackReason;

/// Why a connection could not be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No interface has an address of the family of the remote one.
    #[error("no local address can reach {0}: add an interface with an address of that family")]
    NoAddress(SocketAddr),
    /// The address is multicast, broadcast or unspecified (RFC 9293 §3.9.1.1, MUST-46).
    #[error("{0} is not the address of one host")]
    NotUnicast(SocketAddr),
    /// The source address asked for is on no interface.
    #[error("{0} is not an address of this endpoint")]
    NotLocal(IpAddr),
    /// Every port towards that address is in use.
    #[error("no free local port towards {0}")]
    NoPort(SocketAddr),
    /// The source port asked for is in use towards that address.
    #[error("{0} is in use: choose another local port, or none")]
    PortInUse(SocketAddr),
    /// The endpoint holds as many connections as it may.
    #[error("too many connections")]
    TooMany,
}

/// Why an address could not be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Something listens there.
    #[error("{0} is in use")]
    InUse(SocketAddr),
    /// The address is on no interface.
    #[error("{0} is not an address of this endpoint")]
    NotLocal(IpAddr),
}

/// A call about a connection that is not there, or not open in that direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection is not open for this")]
pub struct NotOpen;

/// Why a connection ended, as the application sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Nobody listens there: the peer answered the SYN with RST.
    #[error("connection refused")]
    Refused,
    /// The peer reset the connection, or sent MP_FASTCLOSE.
    #[error("the peer reset the connection")]
    Reset,
    /// No data was acknowledged for too long, on any path.
    #[error("the peer does not answer")]
    TimedOut,
    /// The network says that the peer cannot be reached.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// Every subflow is gone and none could be opened again.
    #[error("all paths are gone")]
    NoPath,
    /// This side aborted.
    #[error("aborted")]
    Aborted,
    /// The peer could not go on after falling back (RFC 8684 §3.7).
    #[error("multipath failed and could not fall back: {0:?}")]
    FallbackImpossible(FallbackReason),
}
