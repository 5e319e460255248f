//! How many connections are busy at once.
//!
//! **Owns** a count of those that something was done to of late. **Leaves out** what follows from it.

use core::time::Duration;

use manypath_base::Instant;

/// Long enough for every busy connection to be heard of: of a few thousand that have turns, and of
/// those whose round trips are long.
const ROUND: Duration = Duration::from_secs(1);

/// Counts busy connections round by round.
#[derive(Debug)]
pub(super) struct Crowd {
    round: u32,
    until: Instant,
    counted: u32,
    /// Of the round before.
    last: u32,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { round: 1, until: Instant::ZERO, counted: 0, last: 0 }
    }
}

impl Crowd {
    /// Something is done to a connection that was `seen` in a round. How many are busy now; always
    /// a power of two, so that it seldom changes.
    pub(super) fn note(&mut self, now: Instant, seen: &mut u32) -> u32 {
        if now >= self.until {
            self.last = core::mem::take(&mut self.counted);
            self.round = self.round.wrapping_add(1);
            self.until = now + ROUND;
        }
        if *seen != self.round {
            *seen = self.round;
            self.counted += 1;
        }
        self.last.max(self.counted).next_power_of_two()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_counts_once_in_a_round_and_who_rests_not_at_all() {
        let (mut crowd, mut seen) = (Crowd::default(), [0; 9]);
        let at = Instant::from_millis;
        let counts = [0, 1, 1, 0, 2, 3, 4].map(|n| crowd.note(at(100), &mut seen[n]));
        assert_eq!(counts, [1, 2, 2, 2, 4, 4, 8]);
        assert_eq!(crowd.note(at(1_100), &mut seen[0]), 8, "those of the last round");
        assert_eq!(crowd.note(at(2_100), &mut seen[0]), 1);
    }
}
