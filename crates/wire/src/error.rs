//! Why bytes are not a packet.

use thiserror::Error;

/// Why a packet was not understood. Such packets are dropped and counted by this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum Error {
    /// It ends before a header, option or length field says it does.
    #[error("packet is truncated")]
    Truncated,
    /// The IP version is neither 4 nor 6.
    #[error("unknown IP version")]
    IpVersion,
    /// A length field contradicts itself.
    #[error("a length field is wrong")]
    BadLength,
    /// The IP, TCP or ICMP checksum does not match.
    #[error("wrong checksum")]
    BadChecksum,
    /// An IP fragment; the stack does not reassemble.
    #[error("IP fragment")]
    Fragment,
    /// Neither TCP nor an ICMP error about TCP.
    #[error("not TCP")]
    NotTcp,
    /// A TCP or MPTCP option has a wrong form (RFC 9293 §3.1, RFC 8684 §3).
    #[error("malformed option")]
    BadOption,
    /// The options need more than the 40 bytes that a TCP header has for them. Only emission
    /// gives this: what was parsed always fits again.
    #[error("options do not fit the header")]
    NoSpace,
}
