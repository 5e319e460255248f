//! What the coupled algorithms compute of all paths of a connection, in integers that no window
//! and no round-trip time overflow.
//!
//! **Owns** who counts, and the factors that all increases share.

use core::time::Duration;

use crate::{AckSample, FlowView, Window};

/// The paths that have a round-trip time; the others do not count yet.
pub(crate) fn measured(flows: &[FlowView]) -> impl Iterator<Item = &FlowView> {
    flows.iter().filter(|f| !f.srtt.is_zero() && f.cwnd > 0)
}

/// Microseconds, at least one and at most 2^32, so that products with windows fit.
pub(crate) fn micros(d: Duration) -> u128 {
    d.as_micros().clamp(1, 1 << 32)
}

/// Bytes acknowledged (no more than a window) times the segment size: divided by the window, it is
/// what one TCP grows. Below 2^48.
pub(crate) fn product(window: &Window, ack: &AckSample) -> u128 {
    u128::from(ack.acked.min(window.cwnd())) * u128::from(window.mss().bytes())
}
