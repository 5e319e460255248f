//! How commands write rates, times and hashes.

use std::time::Duration;

use manypath_base::Rate;

use crate::watch::float;

/// Megabits per second.
pub(crate) fn mbps(rate: Rate) -> f64 {
    float(rate.bits_per_sec()) / 1e6
}

/// Milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Hexadecimal digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
