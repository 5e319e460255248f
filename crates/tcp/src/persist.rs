//! Probing a closed window (RFC 9293 §3.8.6.1).

use core::time::Duration;

use manypath_base::Instant;

/// The persist timer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Persist {
    timer: Option<Instant>,
    backoff: u32,
    /// A probe is to be sent.
    pub(crate) due: bool,
}

impl Persist {
    /// Starts the timer unless it runs, and says whether this is the first time; the first probe waits one retransmission timeout
    /// (SHLD-29), each later one twice as long (SHLD-30).
    pub(crate) fn start(&mut self, now: Instant, rto: Duration, max: Duration) -> bool {
        let starts = self.timer.is_none() && !self.due;
        if starts {
            self.timer = Some(now + rto.saturating_mul(1 << self.backoff).min(max));
        }
        starts && self.backoff == 0
    }

    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.timer.is_some_and(|at| at <= now) {
            self.timer = None;
            self.due = true;
            self.backoff = (self.backoff + 1).min(16);
        }
    }

    pub(crate) const fn timeout(&self) -> Option<Instant> {
        self.timer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_come_at_doubling_intervals() {
        let mut persist = Persist::default();
        let (mut now, mut waits) = (Instant::ZERO, [0; 4]);
        for wait in &mut waits {
            persist.start(now, Duration::from_millis(200), Duration::from_secs(1));
            let at = persist.timeout().expect("it runs");
            *wait = at.since(now).as_millis();
            now = at;
            persist.handle_timeout(now);
            assert!(core::mem::take(&mut persist.due));
        }
        assert_eq!(waits, [200, 400, 800, 1000]);
    }
}
