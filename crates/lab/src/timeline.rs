//! When bytes moved: for the stalls and rates that a user would notice.

use std::time::Duration;

use manypath_base::{Instant, Rate, len64};

/// Bytes of one direction of a connection, each chunk with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    start: Instant,
    chunks: Vec<(Instant, u64)>,
}

impl Timeline {
    /// Nothing has moved since `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self { start, chunks: Vec::new() }
    }

    /// Notes that `bytes` moved.
    pub fn note(&mut self, at: Instant, bytes: usize) {
        self.chunks.push((at, len64(bytes)));
    }

    /// When the connection was there.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// When the last bytes moved; the start if none did.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.chunks.last().map_or(self.start, |&(at, _)| at)
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|&(_, bytes)| bytes).sum()
    }

    /// Bytes that moved from `from` on and before `to`.
    #[must_use]
    pub fn bytes_between(&self, from: Instant, to: Instant) -> u64 {
        let within = self.chunks.iter().filter(|&&(at, _)| (from..to).contains(&at));
        within.map(|&(_, bytes)| bytes).sum()
    }

    /// Mean rate between two moments.
    #[must_use]
    pub fn rate_between(&self, from: Instant, to: Instant) -> Rate {
        Rate::from_transfer(self.bytes_between(from, to), to.since(from))
    }

    /// Mean rate from the start to the last bytes.
    #[must_use]
    pub fn rate(&self) -> Rate {
        Rate::from_transfer(self.bytes(), self.end().since(self.start))
    }

    /// The longest time without a byte, from `since` to the last bytes.
    #[must_use]
    pub fn longest_stall(&self, since: Instant) -> Duration {
        let later = self.chunks.iter().map(|&(at, _)| at).filter(|&at| at > since);
        let steps = later.scan(since, |last, at| {
            let gap = at.since(*last);
            *last = at;
            Some(gap)
        });
        steps.max().unwrap_or_default()
    }

    /// Bytes in each interval of length `step` from the start to the last bytes.
    #[must_use]
    pub fn per_interval(&self, step: Duration) -> Vec<u64> {
        let mut out = Vec::new();
        for &(at, bytes) in &self.chunks {
            let index = at.since(self.start).as_nanos() / step.as_nanos().max(1);
            let index = usize::try_from(index).expect("intervals are counted in memory");
            if out.len() <= index {
                out.resize(index + 1, 0);
            }
            out[index] += bytes;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_and_intervals_are_counted_from_where_they_are_asked() {
        let at = Instant::from_millis;
        let mut line = Timeline::new(at(100));
        for (ms, bytes) in [(150, 10), (320, 20), (360, 30), (500, 40)] {
            line.note(at(ms), bytes);
        }
        assert_eq!(line.longest_stall(at(100)), Duration::from_millis(170));
        assert_eq!(line.longest_stall(at(330)), Duration::from_millis(140));
        assert_eq!(line.longest_stall(at(500)), Duration::ZERO);
        assert_eq!(line.per_interval(Duration::from_millis(100)), [10, 0, 50, 0, 40]);
        assert_eq!(line.rate(), Rate::from_bytes_per_sec(250));
        assert_eq!(line.bytes_between(at(320), at(500)), 50);
    }
}
