//! Where packets go, on Linux: TUN interfaces that take super-segments, pairs in memory, capture
//! files, and the routes, rules and NAT that make a path out of a network interface.
//!
//! **Owns** every contact with the kernel's network configuration, and the only unsafe code of the
//! project's protocol side (`sys`). **Invariants**: nothing waits, except for the short-lived
//! commands (`ip`, `nft`) that configure interfaces; what a value of this crate changed in the
//! system, its `Drop` puts back. **Leaves out** when to read and write: readiness is a file
//! descriptor, and the loop belongs to the caller.

mod buffers;
mod command;
mod cut;
mod device;
mod headers;
mod joiner;
pub mod memory;
pub mod packet;
pub mod paths;
pub mod pcapng;
mod sys;
pub mod tun;
mod vnet;

pub use command::CommandError;
pub use device::{Device, Offload, Receiver, TOGETHER};
pub use memory::MemoryPort;
pub use packet::{PacketConfig, PacketError, PacketSocket};
pub use paths::{
    EstablishedPath, Mac, NextHop, PathSelector, PathSetup, PathSetupConfig, PathSetupError,
    PathSpec, SharedAddress, SharedPathSpec, SharedSetupConfig,
};
pub use pcapng::{CaptureError, CapturedPacket, Direction, PcapngReader, PcapngWriter};
pub use tun::{Tun, TunConfig, TunError};
