//! Congestion control: how many bytes one path may have in flight.
//!
//! **Owns** the [`Controller`] trait and its algorithms, a file each, and the two parts they are
//! made from: [`Window`] (the variables of RFC 5681) and [`SlowStart`] (with `HyStart++`), joined in
//! [`WindowBased`].
//! **Invariants**: pure and in integers: no clock, no I/O, no sharing; a coupled algorithm sees
//! its siblings as a slice of plain values. **Leaves out** loss detection and what recovery sends
//! (`manypath-tcp`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod algorithm;
mod controller;
mod coupling;
mod cubic;
mod lia;
mod new_reno;
mod slow_start;
#[cfg(test)]
mod testing;
mod window;
mod window_based;

pub use algorithm::Algorithm;
pub use controller::{AckSample, Config, Controller, FlowView, Signal};
pub use cubic::Cubic;
pub use lia::Lia;
pub use new_reno::NewReno;
pub use slow_start::{SlowStart, Step};
pub use window::{Decrease, Phase, Reduced, Window};
pub use window_based::WindowBased;
