//! Schedulers: which path the next bytes take.
//!
//! **Owns** the [`Scheduler`] trait and its algorithms, a file each. **Invariants**: a scheduler
//! only looks; it cannot touch a path, and "no one" is `None`. **Leaves out** how much a path may
//! carry (`manypath-cc`) and the sending itself.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod algorithm;
mod blest;
mod candidates;
mod ecf;
mod handover;
mod linger;
mod min_rtt;
mod redundant;
mod round_robin;
mod scheduler;
mod sttf;
#[cfg(test)]
mod testing;
mod weighted;

pub use algorithm::Algorithm;
pub use blest::Blest;
pub use candidates::{candidates, lowest_rtt, worth_waiting};
pub use ecf::Ecf;
pub use handover::Handover;
pub use linger::LeastLinger;
pub use min_rtt::MinRtt;
pub use redundant::Redundant;
pub use round_robin::RoundRobin;
pub use scheduler::{Demand, PathView, Scheduler};
pub use sttf::Sttf;
pub use weighted::Weighted;
