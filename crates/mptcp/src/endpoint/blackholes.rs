//! Destinations that swallow SYNs with MP_CAPABLE (RFC 8684 §3.9.3): the next connections to them
//! begin as TCP, for a time that doubles each time it happens again.
//!
//! **Choice:** once is no proof. A server whose queue is full drops SYNs too, and the first one that
//! it answers may be the first without the option; only the second time in a row counts. Linux has
//! no such patience, and takes all destinations for one.
//!
//! **Invariant**: at most [`MAX`] are remembered.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use manypath_base::Instant;

use super::memory::make_room;

/// Destinations that are remembered.
const MAX: usize = 1024;
/// Times that it must happen.
const PROOF: u32 = 2;
/// The time doubles so often at most.
const MAX_DOUBLINGS: u32 = 6;

/// One destination.
#[derive(Clone, Copy, Debug)]
struct Blackhole {
    /// Until then it is suspected, or black.
    until: Instant,
    times: u32,
}

/// What is known of destinations.
#[derive(Debug, Default)]
pub(super) struct Blackholes(BTreeMap<IpAddr, Blackhole>);

impl Blackholes {
    /// Takes in whether SYNs with MP_CAPABLE were answered.
    pub(super) fn learn(&mut self, now: Instant, dest: IpAddr, answered: bool, time: Duration) {
        if answered {
            self.on_answered(dest);
        } else {
            self.on_dropped(now, dest, time);
        }
    }

    /// A SYN without MP_CAPABLE was answered at once after several with it were not.
    fn on_dropped(&mut self, now: Instant, dest: IpAddr, time: Duration) {
        make_room(&mut self.0, &dest, MAX, |b| b.until);
        let there = self.0.entry(dest).or_insert(Blackhole { until: now, times: 0 });
        if there.times < PROOF && there.until <= now {
            there.times = 0; // The suspicion is too old.
        }
        there.times += 1;
        let doublings = there.times.saturating_sub(PROOF).min(MAX_DOUBLINGS);
        there.until = now + time.saturating_mul(1 << doublings);
    }

    /// MP_CAPABLE was answered.
    fn on_answered(&mut self, dest: IpAddr) {
        self.0.remove(&dest);
    }

    /// Whether a connection is to begin as TCP.
    pub(super) fn is_black(&self, now: Instant, dest: IpAddr) -> bool {
        self.0.get(&dest).is_some_and(|b| b.times >= PROOF && now < b.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn the_time_doubles_until_an_answer_comes() {
        let (mut holes, dest) = (Blackholes::default(), IpAddr::from([10, 0, 0, 1]));
        let mut now = Instant::ZERO;
        holes.on_dropped(now, dest, HOUR);
        for hours in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert!(!holes.is_black(now, dest));
            holes.on_dropped(now, dest, HOUR);
            now += HOUR * hours;
            assert!(holes.is_black(now - Duration::from_secs(1), dest));
        }
        holes.on_answered(dest);
        holes.on_dropped(now, dest, HOUR);
        assert!(!holes.is_black(now, dest), "it begins anew");
    }

    /// A server that is busy now and then does not lose its multipath.
    #[test]
    fn once_is_no_proof_however_often_it_is() {
        let (mut holes, dest) = (Blackholes::default(), IpAddr::from([10, 0, 0, 1]));
        for hours in 0..10 {
            holes.on_dropped(Instant::ZERO + HOUR * hours, dest, HOUR);
            assert!(!holes.is_black(Instant::ZERO + HOUR * hours, dest), "an hour apart");
        }
        for n in 0..10 {
            let now = Instant::ZERO + HOUR * 20 + Duration::from_secs(n);
            holes.on_dropped(now, dest, HOUR);
            assert!(!holes.is_black(now, dest), "answers in between");
            holes.on_answered(dest);
        }
    }

    #[test]
    fn no_more_than_the_limit_are_remembered() {
        let mut holes = Blackholes::default();
        for n in 0..3_000u32 {
            let now = Instant::ZERO + Duration::from_secs(n.into());
            holes.on_dropped(now, IpAddr::from(n.to_be_bytes()), HOUR);
        }
        assert_eq!(holes.0.len(), MAX);
        let now = Instant::ZERO + Duration::from_secs(3_000);
        holes.on_dropped(now, IpAddr::from(2_999u32.to_be_bytes()), HOUR);
        assert!(holes.is_black(now, IpAddr::from(2_999u32.to_be_bytes())));
    }
}
