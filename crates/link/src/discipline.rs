//! Queue disciplines at work: random tail, RED and `CoDel`.
//!
//! **Owns** what they remember. **Invariants**: integers only. **Leaves out** the queue itself.

use manypath_base::{Instant, Rng, len64};

use crate::config::{CoDel, Discipline, Limit, MILLION, Red};

/// Binary places of RED's average.
const AVERAGE_BITS: u32 = 16;

/// What a discipline remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// RED: the average queue in bytes, with [`AVERAGE_BITS`] binary places.
    average: u64,
    /// RED: packets since the last drop.
    since_drop: u64,
    /// `CoDel`: when the wait will have been too long for an interval.
    first_above: Option<Instant>,
    /// `CoDel`: packets are being dropped; the next at this time.
    dropping: Option<Instant>,
    /// `CoDel`: packets dropped in this episode.
    count: u64,
}

impl State {
    /// Whether a packet that comes is dropped (or marked) although there is room.
    pub(crate) fn refuses(
        &mut self,
        discipline: Discipline,
        limit: Limit,
        waiting: (u64, u64),
        rng: &mut Rng,
    ) -> bool {
        match discipline {
            Discipline::DropTail | Discipline::CoDel(_) => false,
            Discipline::RandomTail { packets } => {
                let left = match limit {
                    Limit::Packets(limit) => limit.saturating_sub(waiting.0),
                    Limit::Bytes(limit) => limit.saturating_sub(waiting.1) / 1_500,
                };
                left < packets && rng.chance(packets - left, packets)
            }
            Discipline::Red(red) => self.red(red, waiting.1, rng),
        }
    }

    /// Floyd and Jacobson 1993, figure 2, without the decay over idle time: the average of a queue
    /// that is seldom asked falls as slowly as it rises.
    fn red(&mut self, red: Red, waiting: u64, rng: &mut Rng) -> bool {
        let now = waiting << AVERAGE_BITS;
        self.average = self.average - (self.average >> red.weight) + (now >> red.weight);
        let average = self.average >> AVERAGE_BITS;
        if average < red.min {
            self.since_drop = 0;
            return false;
        }
        self.since_drop += 1;
        let span = red.max.saturating_sub(red.min).max(1);
        let ppm = u64::from(red.max_ppm) * average.saturating_sub(red.min) / span;
        // Spread evenly: p / (1 - count * p).
        let whole = MILLION.saturating_sub(self.since_drop.saturating_mul(ppm));
        let drops = average >= red.max || whole <= ppm || rng.chance(ppm, whole);
        if drops {
            self.since_drop = 0;
        }
        drops
    }

    /// Whether the packet that comes to the head of the queue at `now` is dropped (RFC 8289 §5.5).
    /// `left` are the bytes that wait behind it.
    pub(crate) fn drops_at_head(
        &mut self,
        codel: CoDel,
        now: Instant,
        arrived: Instant,
        left: u64,
    ) -> bool {
        if !self.waits_too_long(codel, now, arrived, left) {
            self.dropping = None;
            return false;
        }
        match self.dropping {
            Some(next) if now >= next => {
                self.count += 1;
                self.dropping = Some(next + self.gap(codel));
                true
            }
            Some(_) => false,
            None => {
                self.count = if self.count > 2 { self.count - 2 } else { 1 };
                self.dropping = Some(now + self.gap(codel));
                true
            }
        }
    }

    fn waits_too_long(&mut self, codel: CoDel, now: Instant, arrived: Instant, left: u64) -> bool {
        if now.since(arrived) < codel.target || left < 1_500 {
            self.first_above = None;
            return false;
        }
        let due = *self.first_above.get_or_insert(now + codel.interval);
        now >= due
    }

    /// The interval over the square root of the count (RFC 8289 §5.4).
    fn gap(&self, codel: CoDel) -> std::time::Duration {
        let nanos = codel.interval.as_nanos();
        let gap = (nanos * nanos / u128::from(self.count.max(1))).isqrt();
        std::time::Duration::from_nanos(u64::try_from(gap).unwrap_or(u64::MAX))
    }
}

/// Whether `limit` has been reached by what waits: packets and bytes.
pub(crate) fn reaches(limit: Limit, waiting: (u64, u64), bytes: usize) -> bool {
    match limit {
        Limit::Packets(limit) => waiting.0 >= limit,
        Limit::Bytes(limit) => waiting.1 + len64(bytes) > limit,
    }
}
