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
pub(crate) struct UsableWindow(Option<Learned>);

/// What closed windows have shown.
#[derive(Clone, Copy, Debug)]
struct Learned {
    /// Outstanding when the window closed.
    bytes: u64,
    /// When that was last raised.
    at: Instant,
    /// The largest window that the peer had offered by then.
    offered: u32,
}

impl UsableWindow {
    /// The window closed with so much outstanding. `offered` is the largest that there ever was.
    pub(crate) fn on_closed(&mut self, now: Instant, outstanding: u64, offered: u32) {
        let before = self.learned(offered).map_or(u64::MAX, |learned| learned.bytes);
        self.0 = Some(Learned { bytes: before.min(outstanding), at: now, offered });
    }

    /// It closed and nothing is outstanding: the peer does not read, and what was learned as it closed
    /// says nothing of what it can hold.
    pub(crate) fn on_unread(&mut self) {
        self.0 = None;
    }

    /// How much may be outstanding, as far as known; `round` is the longest round trip.
    pub(crate) fn bytes(&mut self, now: Instant, round: Duration, offered: u32) -> u64 {
        let Some(Learned { bytes, at, .. }) = self.learned(offered) else { return u64::MAX };
        if now.since(*at) >= round {
            *bytes = bytes.saturating_add(*bytes / GROWTH);
            *at = now;
        }
        *bytes
    }

    /// What was learned, as the part of a window that is the largest now: a peer that offers more has
    /// more memory, and what closed a small window was its size.
    fn learned(&mut self, offered: u32) -> Option<&mut Learned> {
        let learned = self.0.as_mut()?;
        let before = core::mem::replace(&mut learned.offered, offered);
        if offered > before {
            let bytes = u128::from(learned.bytes) * u128::from(offered) / u128::from(before.max(1));
            learned.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        }
        Some(learned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_at_once_and_grows_by_the_round_trip() {
        let (ms, at) = (Duration::from_millis, Instant::from_millis);
        let mut window = UsableWindow::default();
        let offered = 400_000;
        assert_eq!(window.bytes(at(0), ms(100), offered), u64::MAX);
        window.on_closed(at(0), 160_000, offered);
        window.on_closed(at(10), 320_000, offered);
        assert_eq!(window.bytes(at(109), ms(100), offered), 160_000);
        assert_eq!(window.bytes(at(110), ms(100), offered), 165_000);
        assert_eq!(window.bytes(at(120), ms(100), offered), 165_000);
        window.on_unread();
        assert_eq!(window.bytes(at(121), ms(100), offered), u64::MAX);
    }

    /// Linux begins with 64 KB and offers more as it sees what it is sent.
    #[test]
    fn it_grows_with_what_is_offered() {
        let (ms, at) = (Duration::from_millis, Instant::from_millis);
        let mut window = UsableWindow::default();
        window.on_closed(at(0), 64_000, 64_000);
        assert_eq!(window.bytes(at(1), ms(100), 512_000), 512_000);
        window.on_closed(at(2), 256_000, 512_000);
        assert_eq!(window.bytes(at(3), ms(100), 1_024_000), 512_000);
        assert_eq!(window.bytes(at(4), ms(100), 1_024_000), 512_000, "it is of that now");
    }
}
