//! Initial sequence numbers (RFC 9293 §3.4.1, RFC 6528): a clock plus a keyed hash of the
//! addresses, so that they rise over successive connections of a pair and nobody else can guess.

use core::net::SocketAddr;

use manypath_base::{Instant, SeqNum};

use super::secret::Secret;

/// One tick of the clock: 4 microseconds (RFC 9293 §3.4.1).
const TICK_NANOS: u64 = 4_000;

/// Makes initial sequence numbers and timestamp offsets.
#[derive(Debug)]
pub(super) struct IsnClock {
    secret: Secret,
}

impl IsnClock {
    pub(super) const fn new(secret: Secret) -> Self {
        Self { secret }
    }

    /// The initial sequence number, and the offset of the timestamp clock, of a 4-tuple.
    pub(super) fn draw(
        &self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> (SeqNum, u32) {
        let [a, b, c, d, e, f, g, h, ..] = self.secret.hash_ends(local, remote).finish();
        let [t0, t1, t2, t3, ..] = ticks(now).to_le_bytes();
        let ticks = u32::from_le_bytes([t0, t1, t2, t3]);
        let isn = u32::from_be_bytes([a, b, c, d]).wrapping_add(ticks);
        (SeqNum(isn), u32::from_be_bytes([e, f, g, h]))
    }
}

/// Ticks of the clock that drives initial sequence numbers.
pub(super) const fn ticks(now: Instant) -> u64 {
    now.as_nanos() / TICK_NANOS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_for_one_pair_and_differ_between_pairs() {
        let clock = IsnClock::new(Secret::new([7; 32]));
        let (a, b): (SocketAddr, SocketAddr) =
            ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let (first, offset) = clock.draw(Instant::ZERO, a, b);
        let (later, same) = clock.draw(Instant::from_millis(4), a, b);
        assert_eq!(later.offset_from(first), Some(1_000));
        assert_eq!(offset, same);
        assert_ne!(clock.draw(Instant::ZERO, b, a).0, first);
    }
}
