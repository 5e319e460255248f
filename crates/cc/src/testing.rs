//! Samples for the tests of this crate.

use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{Instant, Mss, PathId};
use proptest::prelude::*;

use crate::{AckSample, Config, FlowView, Window};

/// An acknowledgment of `acked` bytes at time zero, in a round trip of `rtt_ms`, with the window
/// the limit.
pub(crate) fn ack(acked: u32, rtt_ms: u64) -> AckSample {
    let rtt = Duration::from_millis(rtt_ms);
    AckSample {
        now: Instant::ZERO,
        path: PathId(0),
        acked,
        delivered: 0,
        lost: 0,
        lost_flight: None,
        prior_in_flight: 0,
        in_flight: 0,
        rtt: Some(rtt),
        srtt: rtt,
        min_rtt: rtt,
        round_start: false,
        cwnd_limited: true,
        app_limited: false,
        delivery_rate: None,
        beside: false,
    }
}

/// A path with segments of 1000 bytes that has not met a loss.
pub(crate) fn flow(id: u32, cwnd: u32, rtt_us: u64) -> FlowView {
    FlowView {
        path: PathId(id),
        cwnd,
        srtt: Duration::from_micros(rtt_us),
        mss: Mss(1000),
        since_loss: 0,
        between_losses: 0,
    }
}

/// A window of `cwnd` bytes in congestion avoidance, with segments of 1000 bytes.
pub(crate) fn avoiding(cwnd: u32) -> Window {
    let mut window = Window::new(Config { mss: Mss(1000), initial_window: cwnd });
    window.leave_slow_start();
    window
}

/// Up to five paths, each a window in bytes and a round-trip time in microseconds that divides
/// the number in [`per_rtt`].
pub(crate) fn any_rows() -> impl Strategy<Value = Vec<(u32, u64)>> {
    const RTTS: [u64; 8] = [1000, 5000, 10_000, 20_000, 40_000, 90_000, 120_000, 280_000];
    prop::collection::vec((1000u32..100_000_000, prop::sample::select(&RTTS[..])), 1..6)
}

/// The views of rows of (window, round-trip time), with ids from 0.
pub(crate) fn flows_of(rows: &[(u32, u64)]) -> Vec<FlowView> {
    (0..).zip(rows).map(|(id, &(cwnd, rtt))| flow(id, cwnd, rtt)).collect()
}

/// One over a round-trip time, exactly, but for a factor that all have.
pub(crate) fn per_rtt(rtt: u64) -> u128 {
    5_040_000 / u128::from(rtt)
}

/// n * num / den, with 40 binary places of the ratio.
pub(crate) fn ratio(n: u128, num: u128, den: u128) -> u128 {
    (n * ((num << 40) / den)) >> 40
}
