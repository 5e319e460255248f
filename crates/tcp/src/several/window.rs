//! How much of the peer's window can be used while data waits there for a slow path.
//!
//! A receiver charges what it holds out of order by the memory that it takes, which may be twice its
//! bytes or more: with holes open the right edge stands still long before it would be reached.
//! **Owns** what was outstanding when that happened last.

use core::time::Duration;

use manypath_base::Instant;

/// Each round trip without a closed window adds this part.
const GROWTH: u64 = 32;

/// What is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UsableWindow {
    /// Bytes outstanding with which the window closed, and when they were last raised.
    learned: Option<(u64, Instant)>,
}

impl UsableWindow {
    /// The window closed with so much outstanding.
    pub(crate) fn on_closed(&mut self, now: Instant, outstanding: u64) {
        let before = self.learned.map_or(u64::MAX, |(bytes, _)| bytes);
        self.learned = Some((before.min(outstanding), now));
    }

    /// It closed and nothing is outstanding: the peer does not read, and what was learned as it closed
    /// says nothing of what it can hold.
    pub(crate) fn on_unread(&mut self) {
        self.learned = None;
    }

    /// How much may be outstanding, as far as known; `round` is the longest round trip.
    pub(crate) fn bytes(&mut self, now: Instant, round: Duration) -> u64 {
        match &mut self.learned {
            None => u64::MAX,
            Some((bytes, at)) => {
                if now.since(*at) >= round {
                    *bytes = bytes.saturating_add(*bytes / GROWTH);
                    *at = now;
                }
                *bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_at_once_and_grows_by_the_round_trip() {
        let (ms, at) = (Duration::from_millis, Instant::from_millis);
        let mut window = UsableWindow::default();
        assert_eq!(window.bytes(at(0), ms(100)), u64::MAX);
        window.on_closed(at(0), 160_000);
        window.on_closed(at(10), 320_000);
        assert_eq!(window.bytes(at(109), ms(100)), 160_000);
        assert_eq!(window.bytes(at(110), ms(100)), 165_000);
        assert_eq!(window.bytes(at(120), ms(100)), 165_000);
        window.on_unread();
        assert_eq!(window.bytes(at(121), ms(100)), u64::MAX);
    }
}
