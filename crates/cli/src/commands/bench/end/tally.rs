//! What the connections of an end count, each for itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of a number of connections that is known before. Those that come after share the last.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Vec<AtomicU64>,
    /// Places from one counter to the next.
    stride: usize,
    taken: AtomicUsize,
    error: Mutex<Option<String>>,
}

/// Counters in a cache line, which two connections on two processors do not share; but of many that
/// only wait, the counters should not take more memory than need be.
const APART: usize = 8;
const MANY: usize = 1_024;

impl Tally {
    /// Counters for `connections`, at least one.
    pub(super) fn new(connections: usize) -> Self {
        let stride = if connections > MANY { 1 } else { APART };
        let counts = (0..connections.max(1) * stride).map(|_| AtomicU64::default()).collect();
        Self { counts, stride, taken: AtomicUsize::new(0), error: Mutex::new(None) }
    }

    /// The counter of the next connection.
    pub(super) fn next(&self) -> usize {
        self.taken.fetch_add(1, Ordering::Relaxed).min(self.counts.len() / self.stride - 1)
    }

    /// Counts.
    pub(super) fn add(&self, connection: usize, n: u64) {
        self.counts[connection * self.stride].fetch_add(n, Ordering::Relaxed);
    }

    /// All counters.
    pub(super) fn counts(&self) -> Vec<u64> {
        let counts = self.counts.iter().step_by(self.stride);
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Takes down what went wrong; the first counts.
    pub(super) fn fail(&self, error: &std::io::Error) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_string());
    }

    /// What went wrong first.
    pub(super) fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn every_connection_counts_for_itself_and_the_first_error_stays() {
        let tally = Tally::new(2);
        let taken = [tally.next(), tally.next(), tally.next()];
        assert_eq!(taken, [0, 1, 1]);
        for n in taken {
            tally.add(n, 5);
        }
        assert_eq!(tally.counts(), [5, 10]);
        tally.fail(&io::Error::other("first"));
        tally.fail(&io::Error::other("second"));
        assert_eq!(tally.error().as_deref(), Some("first"));
    }
}
