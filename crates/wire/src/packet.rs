//! A whole packet: IP header and what it carries.

use crate::{IcmpError, IpHeader, Segment};

/// What the stack understands of an IP packet's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(Segment),
    /// An ICMP or ICMPv6 error that quotes a TCP packet.
    Icmp(IcmpError),
}

/// One IP packet that the stack understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IP header.
    pub ip: IpHeader,
    /// What it carries.
    pub transport: Transport,
}
