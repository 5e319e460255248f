//! Round-trip time and retransmission timeout (RFC 6298), in integers.

use core::num::NonZeroU64;
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
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// How long a smallest sample is believed: routes change.
const MIN_WINDOW: Duration = Duration::from_secs(60);

/// Estimates one path's round-trip time. All times are in nanoseconds, half as large as a
/// [`Duration`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimator {
    srtt: Option<NonZeroU64>,
    var: u64,
    min: Option<(u64, Instant)>,
    min_rto: u64,
    max_rto: u64,
    backoff: u8,
    /// The SYN had to be sent again.
    slow_handshake: bool,
}

impl RttEstimator {
    pub(crate) fn new(min_rto: Duration) -> Self {
        Self {
            srtt: None,
            var: 0,
            min: None,
            min_rto: nanos(min_rto),
            max_rto: nanos(MAX_RTO),
            backoff: 0,
            slow_handshake: false,
        }
    }

    /// The SYN had to be sent again: data begins with a longer timeout (RFC 6298 (5.7)).
    pub(crate) fn on_slow_handshake(&mut self) {
        self.slow_handshake = true;
    }

    /// Takes a sample in (RFC 6298 (2.2), (2.3)) and ends the back-off (5.7).
    pub(crate) fn sample(&mut self, rtt: Duration, now: Instant) {
        let rtt = NonZeroU64::new(nanos(rtt).max(1_000)).expect("it is a microsecond at least");
        let n = rtt.get();
        self.backoff = 0;
        if self.min.is_none_or(|(min, at)| n <= min || now.since(at) > MIN_WINDOW) {
            self.min = Some((n, now));
        }
        match self.srtt {
            None => {
                self.srtt = Some(rtt);
                self.var = n / 2;
            }
            Some(srtt) => {
                let srtt = srtt.get();
                self.var = (self.var * 3 + srtt.abs_diff(n)) / 4;
                self.srtt = NonZeroU64::new((srtt * 7 + n) / 8);
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
        self.max_rto = nanos(max);
    }

    /// The retransmission timeout, backed off.
    #[inline]
    pub(crate) fn rto(&self) -> Duration {
        let base = self.srtt().map_or(self.initial(), |srtt| {
            (srtt + (self.var() * 4).max(GRANULARITY)).max(Duration::from_nanos(self.min_rto))
        });
        let max_rto = Duration::from_nanos(self.max_rto);
        base.saturating_mul(1 << self.backoff).min(max_rto.max(base)).min(MAX_RTO)
    }

    /// Before the first sample.
    const fn initial(&self) -> Duration {
        if self.slow_handshake { SLOW_RTO } else { INITIAL_RTO }
    }

    /// How long a path with data in flight may be silent before it is suspected: what the
    /// retransmission timeout would be without its floor, plus what a receiver may delay an
    /// acknowledgment.
    pub(crate) fn silence(&self, ack_delay: Duration) -> Duration {
        self.srtt()
            .map_or(self.initial(), |srtt| srtt + self.var() * 4 + SILENCE_MARGIN + ack_delay)
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt.map(|srtt| Duration::from_nanos(srtt.get()))
    }

    pub(crate) fn var(&self) -> Duration {
        Duration::from_nanos(self.var)
    }

    pub(crate) fn min(&self) -> Duration {
        self.min.map_or(Duration::ZERO, |(min, _)| Duration::from_nanos(min))
    }
}

/// In nanoseconds, at most a year: no product of it overflows.
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.min(YEAR).as_nanos()).expect("a year fits")
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
