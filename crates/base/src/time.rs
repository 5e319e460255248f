//! A point in time without an epoch, so that simulated and real clocks look the same.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// Nanoseconds since a moment that the driver chose. Only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment the driver counts from.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after [`Instant::ZERO`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `millis` milliseconds after [`Instant::ZERO`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since [`Instant::ZERO`].
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The sooner of two moments that may not come. Folding with it is what
    /// `flatten().min()` does, in fewer steps: deadlines are looked at for every packet.
    #[must_use]
    pub fn sooner(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        }
    }

    /// Time from `earlier` to `self`, or zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(d: Duration) -> u64 {
    d.as_secs().saturating_mul(1_000_000_000).saturating_add(d.subsec_nanos().into())
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(d)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let t = Instant::from_millis(5);
        assert_eq!(t - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::ZERO.since(t), Duration::ZERO);
        assert_eq!((t + Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!((t + Duration::new(2, 7)).as_nanos(), 2_005_000_007);
    }

    #[test]
    fn a_moment_that_comes_is_sooner_than_one_that_does_not() {
        let (five, six) = (Some(Instant::from_millis(5)), Some(Instant::from_millis(6)));
        assert_eq!((Instant::sooner(six, five), Instant::sooner(five, six)), (five, five));
        assert_eq!((Instant::sooner(None, six), Instant::sooner(six, None)), (six, six));
        assert_eq!(Instant::sooner(None, None), None);
    }
}
