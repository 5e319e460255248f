//! Rate traces as mahimahi records them.
//!
//! **Owns** the format: one line for each chance to send 1,500 bytes, with its time in
//! milliseconds; at the end the trace begins anew. **Leaves out** files.

use std::time::Duration;

use manypath_base::{Instant, len64, usize64};
use thiserror::Error;

/// Bytes that may leave at one opportunity.
pub(crate) const OPPORTUNITY: u64 = 1_500;

/// Moments at which a link may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Nanoseconds since the start of a round, ascending.
    moments: Vec<u64>,
}

/// What is wrong with a trace.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TraceError {
    /// A line is no number.
    #[error("line {line}: expected a time in milliseconds, found {found:?}")]
    NotANumber {
        /// Number of the line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A time is earlier than the one before.
    #[error("line {line}: expected no earlier time than on the line before")]
    Backwards {
        /// Number of the line, from 1.
        line: usize,
    },
    /// There is no time after 0, so a round would take none.
    #[error("expected at least one time after 0")]
    Empty,
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// Which line is wrong, and how.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut moments = Vec::new();
        for (i, line) in text.lines().map(str::trim).enumerate() {
            let line_number = i + 1;
            if line.is_empty() {
                continue;
            }
            let not = || TraceError::NotANumber { line: line_number, found: line.to_owned() };
            let ms: u64 = line.parse().map_err(|_| not())?;
            let nanos = ms.checked_mul(1_000_000).ok_or_else(not)?;
            if moments.last().is_some_and(|&last| last > nanos) {
                return Err(TraceError::Backwards { line: line_number });
            }
            moments.push(nanos);
        }
        if moments.last().is_none_or(|&last| last == 0) {
            return Err(TraceError::Empty);
        }
        Ok(Self { moments })
    }

    /// How long a round takes: the time of the last opportunity.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.round())
    }

    fn round(&self) -> u64 {
        self.moments.last().copied().unwrap_or(1)
    }

    /// The time of opportunity `n`, counted from 0 over all rounds.
    pub(crate) fn moment(&self, n: u64) -> Instant {
        let count = len64(self.moments.len());
        let within = self.moments[usize64(n % count)];
        Instant::from_nanos((n / count).saturating_mul(self.round()).saturating_add(within))
    }

    /// The first opportunity at or after `at`.
    pub(crate) fn first_from(&self, at: Instant) -> u64 {
        let (rounds, within) = (at.as_nanos() / self.round(), at.as_nanos() % self.round());
        let count = len64(self.moments.len());
        // At the very end of a round the last opportunities of it are still there.
        let first = rounds.saturating_sub(1) * count;
        let guess = rounds * count + len64(self.moments.partition_point(|&m| m < within));
        if within > 0 {
            return guess;
        }
        (first..=guess).find(|&n| self.moment(n) >= at).unwrap_or(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opportunities_go_on_after_the_end() {
        let trace = Trace::parse("1\n1\n4\n").unwrap();
        let times: Vec<u64> = (0..7).map(|n| trace.moment(n).as_nanos() / 1_000_000).collect();
        assert_eq!(times, [1, 1, 4, 5, 5, 8, 9]);
        for (at, first) in [(0, 0), (1, 0), (2, 2), (4, 2), (5, 3), (6, 5), (8, 5), (9, 6)] {
            assert_eq!(trace.first_from(Instant::from_millis(at)), first, "at {at} ms");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| Trace::parse(text).unwrap_err().to_string();
        assert_eq!(error("1\nx"), "line 2: expected a time in milliseconds, found \"x\"");
        assert_eq!(error("5\n4"), "line 2: expected no earlier time than on the line before");
        assert_eq!(error("0\n"), "expected at least one time after 0");
    }
}
