//! What tests of a flow are made of: a fixed window, scripts that read like a packet trace, and a
//! pair of flows over a simulated network.
//!
//! **Owns** virtual time and everything random, which comes from a seed. **Invariants**: nothing
//! that a flow does goes unseen: [`Script`] fails on any segment that it does not list.
//! **Leaves out** the wire: segments are handed over as values.

mod check;
mod fixed;
mod link;
mod notation;
mod pair;
mod run;
mod script;
mod setup;

pub use fixed::FixedWindow;
pub use link::{Link, LinkConfig};
pub use pair::{Pair, Side, Sides, Transfer};
pub use script::Script;

#[cfg(test)]
pub(crate) use setup::{established, opening, received};

use core::time::Duration;

/// `n` milliseconds.
#[must_use]
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
