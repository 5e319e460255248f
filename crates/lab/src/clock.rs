//! The only place of the lab that reads a clock.

use manypath_base::Instant;
use nix::time::{ClockId, clock_gettime};

/// The system's monotonic clock. Instants of all threads and processes of one machine compare.
#[must_use]
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
    let part = |n: i64| u64::try_from(n).expect("the monotonic clock is never negative");
    Instant::from_nanos(part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec()))
}
