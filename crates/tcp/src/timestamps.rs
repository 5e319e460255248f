//! The timestamps option (RFC 7323): the clock sent as TSval, and PAWS.

use core::time::Duration;

use manypath_base::Instant;
use manypath_wire::Timestamps;

/// TS.Recent older than this is no longer trusted by PAWS (RFC 7323 §5.5).
const OUTDATED: Duration = Duration::from_secs(24 * 24 * 3600);

/// Nanoseconds between two values of the clock (RFC 7323 §5.4).
const TICK: u64 = 1_000_000;

/// This side's timestamp clock and what the peer's said last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampState {
    /// Random per connection, so that TSval tells no uptime (RFC 7323 §5.4).
    offset: u32,
    /// TS.Recent and when it was taken.
    recent: Option<(u32, Instant)>,
}

impl TimestampState {
    pub(crate) const fn new(offset: u32) -> Self {
        Self { offset, recent: None }
    }

    /// TS.Recent, if anything came.
    pub(crate) fn recent(&self) -> Option<u32> {
        self.recent.map(|(value, _)| value)
    }

    /// TSval at `now`: one tick a millisecond (RFC 7323 §5.4).
    pub(crate) fn value(&self, now: Instant) -> u32 {
        let millis = now.as_nanos() / TICK;
        let [a, b, c, d, ..] = millis.to_le_bytes();
        u32::from_le_bytes([a, b, c, d]).wrapping_add(self.offset)
    }

    /// When a segment with this TSval was sent at the latest; one that is yet to come excludes
    /// nothing.
    pub(crate) fn sent_by(&self, value: u32, now: Instant) -> Instant {
        let ticks = self.value(now).wrapping_sub(value);
        if ticks > i32::MAX.unsigned_abs() {
            return now;
        }
        let tick = (now.as_nanos() / TICK).saturating_sub(ticks.into());
        Instant::from_nanos(tick * TICK + (TICK - 1))
    }

    pub(crate) fn option(&self, now: Instant) -> Timestamps {
        Timestamps { value: self.value(now), echo: self.recent.map_or(0, |(value, _)| value) }
    }

    /// PAWS (RFC 7323 §5.3 R1): whether a segment with this TSval is too old to be accepted.
    pub(crate) fn is_old(&self, value: u32, now: Instant) -> bool {
        self.recent
            .is_some_and(|(recent, at)| tick_before(value, recent) && now.since(at) < OUTDATED)
    }

    /// Takes TS.Recent of a segment that covers the last acknowledgment sent (RFC 7323 §4.3).
    pub(crate) fn update(&mut self, value: u32, now: Instant) {
        if self
            .recent
            .is_none_or(|(recent, at)| !tick_before(value, recent) || now.since(at) >= OUTDATED)
        {
            self.recent = Some((value, now));
        }
    }
}

/// Whether tick `a` comes before tick `b` on the circle.
pub(crate) const fn tick_before(a: u32, b: u32) -> bool {
    matches!(b.wrapping_sub(a), 1..=0x7fff_ffff)
}
