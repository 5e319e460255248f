//! Multipath TCP, version 1 (RFC 8684), over [`manypath_tcp`].
//!
//! **Owns** keys and tokens, the handshakes, data sequence mappings, the shared window,
//! reassembly and reinjection, path management, closing and falling back, and the [`Endpoint`]:
//! the host that demultiplexes packets to many connections. **Invariants**: sans-IO, with time and
//! randomness handed in; inside, data sequence numbers are unwrapped offsets; falling back to TCP
//! is one transition that is never taken back. **Leaves out** clocks, devices and waiting
//! (`manypath`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod config;
mod connection;
mod crypto;
mod endpoint;
mod error;
mod event;
mod info;

pub use config::{
    AddressFlags, ConnectOptions, ConnectionMode, EndpointConfig, Interface, ListenOptions,
    LocalAddress, PathLimits, SynCookies,
};
pub use endpoint::{ConnId, Departure, Endpoint, Handover, ListenerId, Shard, Transmit};
pub use error::{ConnectError, ConnectionError, ListenError, NotOpen};
pub use event::{Event, FallbackReason, PathDownReason};
pub use info::{ConnectionInfo, DropCounters, Protocol, SubflowInfo, SynCookieCounters};

/// The examples of `docs/extending.md`, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/extending.md")]
struct Extending;
