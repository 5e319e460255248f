//! One direction of a link, without I/O: what goes in with a time comes out at a later time, or
//! never.
//!
//! **Owns** the model that the simulator, the laboratory and the tests of the crates above share:
//! rate or recorded trace, delay, queue and its discipline, congestion marks, loss, reordering,
//! duplication, cut and restore, and what is counted. **Invariant**: the outcome depends on the
//! configuration, the seed and what was pushed when, on every machine alike. **Leaves out** clocks,
//! devices and networks.
#![forbid(unsafe_code)]

mod carried;
mod config;
mod discipline;
mod link;
mod loss;
mod stats;
#[cfg(test)]
mod tests;
mod trace;

pub use carried::Carried;
pub use config::{
    CoDel, Discipline, GilbertElliott, Limit, LinkConfig, Loss, MILLION, Red, Transmitter,
};
pub use link::{Link, PushOutcome};
pub use stats::{Counter, DropReason, LinkStats};
pub use trace::{Trace, TraceError};
