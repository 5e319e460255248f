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
mod min_rtt;
mod round_robin;
mod scheduler;
#[cfg(test)]
mod testing;

pub use algorithm::Algorithm;
pub use blest::Blest;
pub use candidates::{candidates, lowest_rtt};
pub use min_rtt::MinRtt;
pub use round_robin::RoundRobin;
pub use scheduler::{Demand, PathView, Scheduler};
