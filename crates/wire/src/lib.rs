//! Bytes to values and back: IPv4, IPv6, TCP, ICMP errors, every TCP option that the stack
//! speaks and every MPTCP option of RFC 8684.
//!
//! **Owns** form only. Whether an option is *allowed* where it stands, or a value must be clamped,
//! is the state machine's to say. **Invariants**: parsing never panics, never allocates more than
//! it was given, and what parses emits the same meaning again. **Leaves out** reassembly of IP
//! fragments: a fragment is dropped and counted.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checksum;
mod cut;
mod datagram;
mod describe;
mod error;
mod gro;
mod gso;
mod icmp;
mod ip;
mod layout;
mod mptcp;
mod options;
mod packet;
mod reader;
mod segment;
mod writer;

pub use checksum::{Sum, dss_checksum};
pub use cut::Cut;
pub use datagram::{Checksum, Datagram};
pub use error::Error;
pub use gro::{Coalescer, Run, tcp_checksum_holds};
pub use gso::{Segments, segment, segment_offloaded};
pub use icmp::{IcmpError, IcmpKind};
pub use ip::{Ecn, IpHeader};
pub use mptcp::{
    AddAddr, CapableFlags, Dss, DssMapping, DssNumber, FastClose, MpCapable, MpFail, MpJoin,
    MpPrio, MpTcpRst, MptcpOptions, RemoveAddr, ResetReason,
};
pub use options::{Options, SackBlocks, Timestamps, UnknownOption, UserTimeout};
pub use packet::{Packet, Transport};
pub use reader::Reader;
pub use segment::{Flags, Segment};
pub use writer::Writer;
