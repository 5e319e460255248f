//! Congestion control: how many bytes one path may have in flight.
//!
//! **Owns** the [`Controller`] trait and its algorithms, a file each. **Invariants**: pure and in
//! integers: no clock, no I/O, no sharing; a coupled algorithm sees its siblings as a slice of
//! plain values. **Leaves out** loss detection and what recovery sends (`manypath-tcp`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod controller;

pub use controller::{AckSample, Config, Controller, FlowView, Signal};
