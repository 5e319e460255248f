//! A rate in bytes per second, in integers.

use core::fmt;
use core::time::Duration;

/// Bytes per second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(u64);

impl Rate {
    /// A rate of `n` bytes per second.
    #[must_use]
    pub const fn from_bytes_per_sec(n: u64) -> Self {
        Self(n)
    }

    /// A rate of `n` bits per second, rounded down to bytes.
    #[must_use]
    pub const fn from_bits_per_sec(n: u64) -> Self {
        Self(n / 8)
    }

    /// The rate that moves `bytes` in `time`; the largest rate there is if `time` is zero.
    #[must_use]
    pub fn from_transfer(bytes: u64, time: Duration) -> Self {
        match u128::from(bytes) * 1_000_000_000 {
            n if time.is_zero() => Self(if n == 0 { 0 } else { u64::MAX }),
            n => Self(u64::try_from(n / time.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    /// Bytes per second.
    #[must_use]
    pub const fn bytes_per_sec(self) -> u64 {
        self.0
    }

    /// Bits per second.
    #[must_use]
    pub const fn bits_per_sec(self) -> u64 {
        self.0.saturating_mul(8)
    }

    /// How long `bytes` take at this rate, rounded up to a nanosecond; [`Duration::MAX`] at rate 0.
    #[must_use]
    pub fn time_for(self, bytes: u64) -> Duration {
        match (self.0, bytes.checked_mul(1_000_000_000)) {
            (0, _) => Duration::MAX,
            // What fits an IP packet, and a good deal more: 128 bits are slow to divide.
            (rate, Some(parts)) => Duration::from_nanos(parts.div_ceil(rate)),
            (rate, None) => {
                let ns = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate));
                Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
        }
    }

    /// Bytes that pass in `time`, rounded down.
    #[must_use]
    pub fn bytes_in(self, time: Duration) -> u64 {
        u64::try_from(u128::from(self.0) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bit/s", self.bits_per_sec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_takes_its_serialisation_time() {
        let rate = Rate::from_bits_per_sec(12_000_000);
        assert_eq!(rate.time_for(1_500), Duration::from_millis(1));
        assert_eq!(rate.bytes_in(Duration::from_millis(2)), 3_000);
        assert_eq!(Rate::from_transfer(1_500, Duration::from_millis(1)), rate);
        assert_eq!(Rate::default().time_for(1), Duration::MAX);
    }

    #[test]
    fn amounts_beyond_64_bits_of_parts_take_their_time_too() {
        let most_in_64_bits = u64::MAX / 1_000_000_000;
        for bytes in [most_in_64_bits, most_in_64_bits + 1] {
            let time = Rate::from_bytes_per_sec(7_000_000_000).time_for(bytes);
            let exact = (u128::from(bytes) * 1_000_000_000).div_ceil(7_000_000_000);
            assert_eq!(time.as_nanos(), exact, "{bytes}");
        }
        assert_eq!(Rate::from_bytes_per_sec(1).time_for(u64::MAX), Duration::from_nanos(u64::MAX));
    }
}
