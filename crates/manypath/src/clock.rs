//! The one place that reads the clock and the system's randomness.
//!
//! **Invariant**: everything else in this crate is handed the time, and everything below it cannot
//! reach a clock at all.
#![expect(clippy::disallowed_methods, reason = "this is the one place")]

use std::io;
use std::time::{self, Duration, SystemTime};

use manypath_base::{Instant, Rng};

/// Counts from the moment it was made.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: time::Instant,
    /// The same moment since 1970-01-01 UTC.
    epoch: Duration,
}

impl Clock {
    /// A clock that says zero.
    pub(crate) fn start() -> Self {
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock set before 1970 only makes wrong time stamps in capture files.
        Self { start: time::Instant::now(), epoch: epoch.unwrap_or_default() }
    }

    /// Monotonic time.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// The moment that this clock calls zero, since 1970-01-01 UTC.
    pub(crate) fn epoch(&self) -> Duration {
        self.epoch
    }
}

/// A generator seeded by the operating system.
pub(crate) fn system_rng() -> io::Result<Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Rng::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards_and_counts_from_the_start() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.epoch() > Duration::from_secs(1_600_000_000), "later than 2020");
    }

    #[test]
    fn two_generators_differ() {
        let (mut a, mut b) = (system_rng().expect("works"), system_rng().expect("works"));
        assert_ne!(a.bytes::<16>(), b.bytes::<16>());
    }
}
