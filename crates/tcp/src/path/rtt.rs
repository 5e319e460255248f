//! Round-trip time and retransmission timeout (RFC 6298), in integers.

use core::time::Duration;

use manypath_base::Instant;

/// Clock granularity G of RFC 6298 §2.
const GRANULARITY: Duration = Duration::from_millis(1);
/// RTO before the first sample (RFC 6298 (2.1)).
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// RTO of the first data after a SYN was sent again (RFC 6298 (5.7)).
const SLOW_RTO: Duration = Duration::from_secs(3);
/// **Choice:** the smallest cap that RFC 6298 (2.5) allows.
pub(crate) const MAX_RTO: Duration = Duration::from_secs(60);
/// How long a smallest sample is believed: routes change.
const MIN_WINDOW: Duration = Duration::from_secs(60);

/// Estimates one path's round-trip time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimator {
    srtt: Option<Duration>,
    var: Duration,
    min: Option<(Duration, Instant)>,
    backoff: u32,
    initial: Duration,
    min_rto: Duration,
    max_rto: Duration,
}

impl RttEstimator {
    pub(crate) const fn new(min_rto: Duration) -> Self {
        Self {
            srtt: None,
            var: Duration::ZERO,
            min: None,
            backoff: 0,
            initial: INITIAL_RTO,
            min_rto,
            max_rto: MAX_RTO,
        }
    }

    /// The SYN had to be sent again: data begins with a longer timeout (RFC 6298 (5.7)).
    pub(crate) fn on_slow_handshake(&mut self) {
        self.initial = SLOW_RTO;
    }

    /// Takes a sample in (RFC 6298 (2.2), (2.3)) and ends the back-off (5.7).
    pub(crate) fn sample(&mut self, rtt: Duration, now: Instant) {
        let rtt = rtt.max(Duration::from_micros(1));
        self.backoff = 0;
        if self.min.is_none_or(|(min, at)| rtt <= min || now.since(at) > MIN_WINDOW) {
            self.min = Some((rtt, now));
        }
        match self.srtt {
            None => {
                self.srtt = Some(rtt);
                self.var = rtt / 2;
            }
            Some(srtt) => {
                self.var = (self.var * 3 + srtt.abs_diff(rtt)) / 4;
                self.srtt = Some((srtt * 7 + rtt) / 8);
            }
        }
    }

    /// Doubles the timeout after it expired (RFC 6298 (5.5)).
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    /// An acknowledgment came: the timeout is that of the estimate again.
    pub(crate) fn end_back_off(&mut self) {
        self.backoff = 0;
    }

    /// Caps the backed-off timeout: where other paths carry the connection, a failed path is
    /// probed at least this often.
    pub(crate) fn set_max_rto(&mut self, max: Duration) {
        self.max_rto = max;
    }

    /// The retransmission timeout, backed off.
    #[inline]
    pub(crate) fn rto(&self) -> Duration {
        let base = self.srtt.map_or(self.initial, |srtt| {
            (srtt + (self.var * 4).max(GRANULARITY)).max(self.min_rto)
        });
        base.saturating_mul(1 << self.backoff).min(self.max_rto.max(base)).min(MAX_RTO)
    }

    /// How long a path with data in flight may be silent before it is suspected: what the
    /// retransmission timeout would be without its floor, plus what a receiver may delay an
    /// acknowledgment.
    pub(crate) fn silence(&self, ack_delay: Duration) -> Duration {
        self.srtt.map_or(self.initial, |srtt| srtt + self.var * 4 + SILENCE_MARGIN + ack_delay)
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt
    }

    pub(crate) fn var(&self) -> Duration {
        self.var
    }

    pub(crate) fn min(&self) -> Duration {
        self.min.map_or(Duration::ZERO, |(min, _)| min)
    }
}

/// Schedulers of hosts run late by a few milliseconds, and a full packet takes longer than the SYN
/// that gave the first sample; that is no reason to suspect a path.
const SILENCE_MARGIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_sample_sets_both_estimates() {
        let mut rtt = RttEstimator::new(Duration::ZERO);
        assert_eq!(rtt.rto(), INITIAL_RTO);
        rtt.sample(ms(100), Instant::ZERO);
        assert_eq!((rtt.srtt(), rtt.var()), (Some(ms(100)), ms(50)));
        assert_eq!(rtt.rto(), ms(300), "RFC 6298 (2.2): SRTT + 4 * R/2");
    }

    #[test]
    fn later_samples_move_by_an_eighth_and_a_quarter() {
        let mut rtt = RttEstimator::new(Duration::ZERO);
        rtt.sample(ms(80), Instant::ZERO);
        rtt.sample(ms(160), Instant::ZERO);
        assert_eq!((rtt.srtt(), rtt.var()), (Some(ms(90)), ms(50)));
        assert_eq!(rtt.min(), ms(80));
    }

    #[test]
    fn back_off_doubles_up_to_the_cap_and_a_sample_ends_it() {
        let mut rtt = RttEstimator::new(ms(200));
        rtt.sample(ms(10), Instant::ZERO);
        let mut seen = [Duration::ZERO; 10];
        for slot in &mut seen {
            *slot = rtt.rto();
            rtt.back_off();
        }
        assert_eq!(seen[..3], [ms(200), ms(400), ms(800)]);
        assert_eq!(rtt.rto(), MAX_RTO);
        rtt.set_max_rto(ms(1000));
        assert_eq!(rtt.rto(), ms(1000));
        rtt.sample(ms(10), Instant::ZERO);
        assert_eq!(rtt.rto(), ms(200));
    }
}
