//! ICMP errors about TCP packets (RFC 792, RFC 4443), as far as TCP acts on them.

use core::net::SocketAddr;

use manypath_base::SeqNum;

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// The packet was longer than the next link's MTU (RFC 1191, RFC 8201).
    PacketTooBig {
        /// MTU of that link; 0 where an old router does not say.
        mtu: u32,
    },
    /// Net, host or address unreachable, or time exceeded: a soft error (RFC 9293 §3.9.2.2).
    Unreachable,
    /// Protocol or port unreachable, or administratively prohibited: hard errors.
    Refused,
}

/// An ICMP error with what it quotes of the packet that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What is wrong.
    pub kind: IcmpKind,
    /// Source of the quoted TCP packet: our side.
    pub local: SocketAddr,
    /// Destination of the quoted TCP packet: the peer's side.
    pub remote: SocketAddr,
    /// Sequence number of the quoted packet: must be in flight to be believed (RFC 5927 §4.1).
    pub seq: SeqNum,
}
