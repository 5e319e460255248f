//! What the coupled algorithms compute of all paths of a connection, in integers that no window
//! and no round-trip time overflow.
//!
//! **Owns** the sum of rates, as a path of one's own sees it: with S = SUM w_i * rtt_r / rtt_i the
//! sum of rates X = SUM w_i / rtt_i is S / rtt_r, and whatever the formulas say of rates becomes a
//! ratio of windows.

use core::time::Duration;

use manypath_base::PathId;

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
///
/// Bytes count as their part of the window's whole segments, which are what can be in flight
/// (as [`NewReno`](crate::NewReno) counts them): a window of 3.5 segments, acknowledged, has grown
/// by one.
pub(crate) fn product(window: &Window, ack: &AckSample) -> u128 {
    let (cwnd, usable) = (u128::from(window.cwnd()), u128::from(window.usable()));
    let acked = u128::from(ack.acked).min(usable);
    acked * cwnd * u128::from(window.mss().bytes()) / usable
}

/// The rates of all measured paths as one of them sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Its own window, w_r.
    pub(crate) own: u128,
    /// SUM w_i * rtt_r / rtt_i: its rate is `own` where the rate of all is this. Not below `own`.
    pub(crate) sum: u128,
    /// The largest term of the sum. Not below `own`.
    pub(crate) max: u128,
}

impl Rates {
    /// Binary places of all three.
    const BITS: u32 = 12;

    /// `None` where the path has no row or no round-trip time yet. With its binary places a term
    /// stays below 2^76, and 2^16 paths below 2^92.
    pub(crate) fn seen_from(path: PathId, flows: &[FlowView]) -> Option<Self> {
        let me = measured(flows).find(|f| f.path == path)?;
        let term =
            |f: &FlowView| ((u128::from(f.cwnd) << Self::BITS) * micros(me.srtt)) / micros(f.srtt);
        let own = u128::from(me.cwnd) << Self::BITS;
        let (sum, max) = measured(flows).map(term).fold((0, 0), |(s, m), t| (s + t, t.max(m)));
        Some(Self { own, sum, max })
    }

    /// `part / sum` in 1/2^32.
    pub(crate) fn of_sum(&self, part: u128) -> u128 {
        (part << 32) / self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ack, avoiding};

    #[test]
    fn the_whole_segments_of_a_window_are_the_window() {
        for (cwnd, acked, grows_by) in
            [(20_000, 20_000, 1000), (20_000, 1000, 50), (3_500, 3_000, 1000), (700, 700, 1000)]
        {
            let (window, ack) = (avoiding(cwnd), ack(acked, 100));
            let grown = product(&window, &ack) / u128::from(cwnd);
            assert_eq!(grown, grows_by, "{acked} of {cwnd}");
        }
    }
}
