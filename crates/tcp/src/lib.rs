//! TCP (RFC 9293) for one flow, over one path or several.
//!
//! **Owns** everything between one 4-tuple's two byte streams and its segments: states, sequence
//! spaces, loss detection and recovery, windows, timers. **Invariants**: sans-IO (see [`Flow`]);
//! a flow owns a list of paths, each with its own window, round-trip time, loss detection and
//! timers, and the scoreboard knows the path of every segment sent; inside, sequence numbers are
//! unwrapped offsets. **Leaves out** demultiplexing, listening and tokens (`manypath-mptcp`), and
//! anything that MPTCP adds: that comes in through [`Extension`] alone.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod beside;
mod config;
mod cork;
mod ecn;
mod event;
mod extension;
mod fast_open;
mod flow;
mod icmp;
mod info;
mod input;
mod keepalive;
mod output;
mod path;
mod persist;
mod query;
mod reassembly;
mod receive;
mod resume;
mod scoreboard;
mod send_buffer;
mod several;
mod spare;
mod state;
mod switches;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod time_wait;
mod timestamps;
mod user_timeout;

pub use beside::BEYOND_LINKS;
pub use config::{Config, PathConfig};
pub use cork::Cork;
pub use ecn::EcnMode;
pub use event::{CloseReason, Event};
pub use extension::{Extension, Incoming, Outgoing, Phase, Plain, Verdict};
pub use fast_open::{Cookie, FastOpen, FastOpenAnswer};
pub use flow::{Flow, Opening, Received, Transmit};
pub use info::{Counters, PathInfo};
pub use keepalive::Keepalive;
pub use reassembly::Reassembly;
pub use receive::{FREELY, ReceiveWindow};
pub use resume::SynOffer;
pub use send_buffer::SendBuffer;
pub use several::{Barred, SinglePath};
pub use state::State;
pub use time_wait::{Echo, TimeWait};
pub use user_timeout::UserTimeoutLimits;
