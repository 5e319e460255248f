//! Real hosts in network namespaces, joined by links that this crate emulates itself (rate, delay,
//! queue, loss, reordering, duplication, middleboxes, cut and restore), with Linux at either end.
//!
//! **Owns** the laboratory in which the stack meets the kernel: for the demonstration, integration
//! tests and benchmarks. **Invariants**: every lab has namespaces of its own, so labs run side by
//! side; what a lab made is gone when it is dropped, also after a failed test. **Leaves out** the
//! stack under test.
#![forbid(unsafe_code)]

mod capability;
mod children;
mod clock;
mod emulator;
mod error;
mod linux;
pub mod middlebox;
mod mptcp;
mod mptcp_info;
mod netns;
mod ping;
mod role;
mod timeline;
mod topology;
mod veth;

pub use capability::{Capability, MPTCP_LAB, Skip, kernel, skip_unless};
pub use children::ChildGuard;
pub use clock::now;
pub use emulator::{
    Direction, EmulatedLink, Emulator, EmulatorStats, LinkHandle, Tap, TapPoint, Tapped,
};
pub use error::LabError;
pub use linux::{Client, PeerConfig, Server, Transport};
pub use manypath_link::{
    Counter, Discipline, Limit, LinkConfig, LinkStats, Loss, Red, Transmitter,
};
pub use middlebox::Middlebox;
pub use mptcp::{Counters, EndpointKind};
pub use mptcp_info::MptcpInfo;
pub use netns::{Family, Namespace, cleanup_stale};
pub use role::{Amount, Half, Pattern, Report, Role};
pub use timeline::Timeline;
pub use topology::{Builder, Host, Topology};
pub use veth::{Packets, Veths, without_offload};
