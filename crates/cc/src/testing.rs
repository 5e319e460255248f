//! Samples for the tests of this crate.

use core::time::Duration;

use manypath_base::{Instant, Mss, PathId};

use crate::{AckSample, FlowView};

/// An acknowledgment of `acked` bytes at time zero, in a round trip of `rtt_ms`, with the window
/// the limit.
pub(crate) fn ack(acked: u32, rtt_ms: u64) -> AckSample {
    let rtt = Duration::from_millis(rtt_ms);
    AckSample {
        now: Instant::ZERO,
        path: PathId(0),
        acked,
        prior_in_flight: 0,
        rtt: Some(rtt),
        srtt: rtt,
        min_rtt: rtt,
        round_start: false,
        cwnd_limited: true,
        delivery_rate: None,
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
