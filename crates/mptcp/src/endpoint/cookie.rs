//! The numbers of a SYN cookie (RFC 4987 §3.6): what an initial sequence number and a timestamp
//! remember of a SYN of which nothing else is kept.
//!
//! ```text
//! sequence number = hash of the ends + clock, its low 24 bits replaced by:
//!                   24 bits of a keyed hash of ends, the peer's number and the period
//!                   + which of eight MSS values
//! TSval           = clock, its low 5 bits replaced by: SACK permitted, window scale
//! ```
//!
//! So numbers keep rising as those of [`super::isn`] do, to within a period of 67 seconds. A guess
//! is right once in 2^28 times. **Leaves out** when a cookie is sent.

use manypath_base::{FourTuple, Instant, Key, SeqNum};

use super::Shard;
use super::isn::{IsnClock, ticks};
use super::secret::Secret;
use crate::SynCookieCounters;
use crate::crypto::Identity;

/// Bits of a number that are a keyed hash; as many ticks are a period.
const HASH_BITS: u32 = 24;
const HASH_MASK: u32 = (1 << HASH_BITS) - 1;
/// Periods during which a cookie is good: its own, and the next.
const PERIODS: u64 = 2;
/// Values of the peer's MSS that a cookie can tell, the largest that is not above it counts. The
/// smallest is the least that is believed.
const MSS: [u16; 8] = [64, 536, 1220, 1360, 1400, 1440, 1460, 8940];

/// Bits of a timestamp that tell options.
const STAMP_BITS: u32 = 5;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const SACK_BIT: u32 = 0x10;
/// Instead of a window scale: there is none.
const NO_SCALE: u32 = 0x0f;

/// What makes cookies and knows them again.
#[derive(Debug)]
pub(super) struct Cookies {
    secret: Secret,
    shard: Shard,
    /// When the last one was sent; without one nobody has any.
    sent_at: Option<Instant>,
    pub(super) counters: SynCookieCounters,
}

/// What a cookie tells when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) mss: u16,
    pub(super) key: Key,
}

impl Cookies {
    pub(super) fn new(secret: Secret, shard: Shard) -> Self {
        Self { secret, shard, sent_at: None, counters: SynCookieCounters::default() }
    }

    /// The initial sequence number of an answer to a SYN, and the MPTCP key, which is made of the
    /// same hash so that it can be verified (RFC 8684 §3.1).
    pub(super) fn make(
        &mut self,
        now: Instant,
        isns: &IsnClock,
        ends: FourTuple,
        peer_isn: SeqNum,
        mss: u16,
    ) -> (SeqNum, Key) {
        self.sent_at = Some(now);
        let period = period(now);
        let (hash, key) = self.hash(ends, peer_isn, period);
        let index = MSS.iter().rposition(|&known| known <= mss).unwrap_or(0);
        let index = u32::try_from(index).expect("there are eight");
        let low = hash.wrapping_add(index) & HASH_MASK;
        (base(isns, ends, period).wrapping_add(low), key)
    }

    /// What the cookie `isn` tells, if it is one that was sent to this peer lately.
    pub(super) fn check(
        &self,
        now: Instant,
        isns: &IsnClock,
        ends: FourTuple,
        peer_isn: SeqNum,
        isn: SeqNum,
    ) -> Option<Remembered> {
        let newest = period(now);
        if period(self.sent_at?) + PERIODS <= newest {
            return None;
        }
        (newest.saturating_sub(PERIODS - 1)..=newest).find_map(|period| {
            let low = isn.0.wrapping_sub(base(isns, ends, period).0);
            let (hash, key) = self.hash(ends, peer_isn, period);
            let index = low.wrapping_sub(hash) & HASH_MASK;
            let mss = *MSS.get(manypath_base::usize32(index))?;
            (low <= HASH_MASK).then_some(Remembered { mss, key })
        })
    }

    fn hash(&self, ends: FourTuple, peer_isn: SeqNum, period: u64) -> (u32, Key) {
        let hash = self.secret.hash_ends(ends.local, ends.remote);
        let hash = hash.with(&peer_isn.0.to_be_bytes()).with(&period.to_be_bytes()).finish();
        let [a, b, c, k0, k1, k2, k3, k4, k5, k6, k7, ..] = hash;
        let mut key = Key([k0, k1, k2, k3, k4, k5, k6, k7]);
        // Whoever joins the connection is to come to this shard.
        while self.shard != Shard::ONLY && !self.shard.is_of(Identity::new(key).token) {
            key = self.secret.next_key(key);
        }
        (u32::from_be_bytes([0, a, b, c]), key)
    }
}

/// The sequence number of these ends at the beginning of a period.
fn base(isns: &IsnClock, ends: FourTuple, period: u64) -> SeqNum {
    let [a, b, c, d, ..] = (period << HASH_BITS).to_le_bytes();
    let (first, _) = isns.draw(Instant::ZERO, ends.local, ends.remote);
    first.wrapping_add(u32::from_le_bytes([a, b, c, d]))
}

fn period(now: Instant) -> u64 {
    ticks(now) >> HASH_BITS
}

/// A TSval that tells options, and does not lie ahead of `value`.
pub(super) fn stamp(value: u32, window_scale: Option<u8>, sack_permitted: bool) -> u32 {
    let scale = window_scale.map_or(NO_SCALE, |shift| u32::from(shift.min(14)));
    let told = scale | if sack_permitted { SACK_BIT } else { 0 };
    let stamped = value & !STAMP_MASK | told;
    if told > value & STAMP_MASK { stamped.wrapping_sub(STAMP_MASK + 1) } else { stamped }
}

/// Window scale, and whether SACK is permitted, of a TSval that came back.
pub(super) fn read_stamp(echo: u32) -> (Option<u8>, bool) {
    let scale = u8::try_from(echo & NO_SCALE).ok().filter(|&shift| shift <= 14);
    (scale, echo & SACK_BIT != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use manypath_base::Rng;

    const PERIOD: Duration = Duration::from_nanos(4_000 << HASH_BITS);

    fn ends(port: u16) -> FourTuple {
        let local = "[fd00::1]:80".parse().unwrap();
        FourTuple { local, remote: ([10, 0, 0, 1], port).into() }
    }

    fn setup() -> (Cookies, IsnClock) {
        (Cookies::new(Secret::new([1; 32]), Shard::ONLY), IsnClock::new(Secret::new([2; 32])))
    }

    #[test]
    fn a_cookie_tells_the_mss_and_the_key_for_a_period_at_least() {
        let (mut cookies, isns) = setup();
        let now = Instant::from_millis(1_000_000);
        let peer = SeqNum(77);
        for (said, told) in [(1, 64), (536, 536), (1459, 1440), (1460, 1460), (65_495, 8940)] {
            let (isn, key) = cookies.make(now, &isns, ends(1), peer, said);
            let check = |at| cookies.check(at, &isns, ends(1), peer, isn);
            let good = Some(Remembered { mss: told, key });
            assert_eq!((check(now), check(now + PERIOD)), (good, good));
            assert_eq!(check(now + PERIOD * 2), None);
        }
    }

    #[test]
    fn it_is_good_for_one_peer_and_one_syn() {
        let (mut cookies, isns) = setup();
        let now = Instant::from_millis(1_000_000);
        let (isn, _) = cookies.make(now, &isns, ends(1), SeqNum(77), 1460);
        let check = |port, peer, isn| cookies.check(now, &isns, ends(port), SeqNum(peer), isn);
        assert!(check(1, 77, isn).is_some());
        assert_eq!(check(2, 77, isn), None);
        assert_eq!(check(1, 78, isn), None);
        assert_eq!(check(1, 77, isn.wrapping_add(8)), None);
    }

    #[test]
    fn numbers_rise_from_period_to_period() {
        let (mut cookies, isns) = setup();
        let mut now = Instant::from_millis(1_000);
        let mut last = cookies.make(now, &isns, ends(1), SeqNum(0), 1460).0;
        for n in 1..600 {
            now += PERIOD;
            let (isn, _) = cookies.make(now, &isns, ends(1), SeqNum(n), 1460);
            assert!(last.before(isn));
            let (drawn, _) = isns.draw(now, ends(1).local, ends(1).remote);
            assert!(drawn.0.wrapping_sub(isn.0).wrapping_add(HASH_MASK) <= 2 * HASH_MASK);
            last = isn;
        }
    }

    /// Who has seen no cookie is told nothing by chance.
    #[test]
    fn guesses_are_wrong() {
        let (mut cookies, isns) = setup();
        let now = Instant::from_millis(1_000_000);
        let mut rng = Rng::seeded(1);
        let guess = SeqNum(rng.u32());
        assert_eq!(cookies.check(now, &isns, ends(1), SeqNum(0), guess), None, "none was sent");
        cookies.make(now, &isns, ends(1), SeqNum(0), 1460);
        let mut check = || cookies.check(now, &isns, ends(2), SeqNum(0), SeqNum(rng.u32()));
        assert!((0..10_000).all(|_| check().is_none()));
    }

    #[test]
    fn a_stamp_tells_options_and_is_not_ahead() {
        for value in [0, 1, 31, 32, 1_000, u32::MAX] {
            for scale in [None, Some(0), Some(7), Some(14)] {
                for sack in [false, true] {
                    let stamped = stamp(value, scale, sack);
                    assert_eq!(read_stamp(stamped), (scale, sack));
                    assert!(value.wrapping_sub(stamped) <= STAMP_MASK, "{value}");
                }
            }
        }
        assert_eq!(read_stamp(stamp(9, Some(200), true)), (Some(14), true));
    }
}
