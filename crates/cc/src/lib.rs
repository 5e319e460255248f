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
mod balia;
mod bbr;
mod controller;
mod coupled;
mod coupled_cubic;
mod coupling;
mod cubic;
mod ewtcp;
mod lia;
mod new_reno;
mod olia;
mod slow_start;
#[cfg(test)]
mod testing;
mod window;
mod window_based;
mod wvegas;

pub use algorithm::Algorithm;
pub use balia::Balia;
pub use bbr::Bbr;
pub use controller::{AckSample, Config, Controller, FlowView, Signal};
pub use coupled::Coupled;
pub use coupled_cubic::coupled_cubic;
pub use cubic::{Cubic, Haste};
pub use ewtcp::Ewtcp;
pub use lia::Lia;
pub use new_reno::NewReno;
pub use olia::Olia;
pub use slow_start::{SlowStart, Step};
pub use window::{Decrease, Phase, Reduced, Window};
pub use window_based::WindowBased;
pub use wvegas::WVegas;
