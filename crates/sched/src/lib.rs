//! Schedulers: which path the next bytes take.
//!
//! **Owns** the [`Scheduler`] trait and its algorithms, a file each. **Invariants**: a scheduler
//! only looks; it cannot touch a path, and "no one" is `None`. **Leaves out** how much a path may
//! carry (`manypath-cc`) and the sending itself.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod scheduler;

pub use scheduler::{Demand, PathView, Scheduler};
