//! When an acknowledgment goes out (RFC 9293 §3.8.6.3, RFC 5681 §4.2).

use core::time::Duration;

use manypath_base::Instant;

/// Segments acknowledged at once at the start, so that slow start is not slowed.
const QUICK_SEGMENTS: u8 = 16;
/// Duplicate acknowledgments that may be due: more tell the peer nothing (RFC 5681 §3.2 acts on
/// the third, and what is beyond only meters what it sends).
const MAX_REPEATS: u8 = 64;

/// Decides between now, later, and not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckPolicy {
    now: bool,
    later: Option<Instant>,
    unacknowledged: u64,
    /// The largest segment that came: what the peer's full segments have, its options taken off.
    largest: u64,
    quick: u8,
    /// Duplicate acknowledgments that are due.
    repeats: u8,
}

impl AckPolicy {
    pub(crate) const fn new() -> Self {
        Self {
            now: false,
            later: None,
            unacknowledged: 0,
            largest: 0,
            quick: QUICK_SEGMENTS,
            repeats: 0,
        }
    }

    /// No more quick acknowledgments.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn end_quick_start(&mut self) {
        self.quick = 0;
    }

    /// `bytes` came in order and nothing is missing: more than one full segment is acknowledged, less
    /// may wait for `delay`.
    pub(crate) fn on_data(&mut self, now: Instant, bytes: u64, mss: u32, delay: Duration) {
        self.unacknowledged += bytes;
        self.repeats = 0;
        self.largest = self.largest.max(bytes).min(mss.into());
        if self.quick > 0 || self.unacknowledged > self.largest {
            self.quick = self.quick.saturating_sub(1);
            self.now = true;
        } else if self.later.is_none() {
            self.later = Some(now + delay);
        }
    }

    /// Something came that must be answered at once: out of order, a duplicate, FIN, a filled hole.
    pub(crate) fn at_once(&mut self) {
        self.now = true;
    }

    /// A segment came out of order, and there is no SACK: the peer counts duplicate
    /// acknowledgments, so each such segment has one of its own (RFC 5681 §4.2).
    pub(crate) fn repeat(&mut self) {
        self.repeats = (self.repeats + 1).min(MAX_REPEATS);
    }

    /// An acknowledgment went out, alone or with data.
    pub(crate) fn on_sent(&mut self) {
        self.repeats = self.repeats.saturating_sub(1);
        self.now = self.repeats > 0;
        self.later = None;
        self.unacknowledged = 0;
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.later.is_some_and(|at| at <= now) {
            self.later = None;
            self.now = true;
        }
    }

    /// Whether one is due now.
    pub(crate) const fn is_due(&self) -> bool {
        self.now
    }

    pub(crate) const fn timeout(&self) -> Option<Instant> {
        self.later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(40);

    #[test]
    fn every_second_full_segment_after_the_quick_start() {
        let mut acks = AckPolicy::new();
        for _ in 0..QUICK_SEGMENTS {
            acks.on_data(Instant::ZERO, 100, 100, DELAY);
            assert!(acks.is_due());
            acks.on_sent();
        }
        acks.on_data(Instant::ZERO, 100, 100, DELAY);
        assert!(!acks.is_due());
        assert_eq!(acks.timeout(), Some(Instant::from_millis(40)));
        acks.on_data(Instant::ZERO, 100, 100, DELAY);
        assert!(acks.is_due());
    }

    #[test]
    fn one_segment_alone_waits_for_the_timer() {
        let mut acks = AckPolicy { quick: 0, ..AckPolicy::new() };
        acks.on_data(Instant::ZERO, 1, 100, DELAY);
        acks.handle_timeout(Instant::from_millis(39));
        assert!(!acks.is_due());
        acks.handle_timeout(Instant::from_millis(40));
        assert!(acks.is_due());
    }
}
