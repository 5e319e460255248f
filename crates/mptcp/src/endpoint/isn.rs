//! Initial sequence numbers (RFC 9293 §3.4.1, RFC 6528): a clock plus a keyed hash of the
//! addresses, so that they rise over successive connections of a pair and nobody else can guess.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use manypath_base::{Instant, SeqNum};
use sha2::Sha256;

/// One tick of the clock: 4 microseconds (RFC 9293 §3.4.1).
const TICK_NANOS: u64 = 4_000;

/// Makes initial sequence numbers and timestamp offsets.
pub(super) struct IsnClock {
    secret: [u8; 32],
}

impl fmt::Debug for IsnClock {
    /// Whoever reads a log must not be able to guess numbers (RFC 6528 §3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IsnClock(hidden)")
    }
}

impl IsnClock {
    pub(super) const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The initial sequence number, and the offset of the timestamp clock, of a 4-tuple.
    pub(super) fn draw(
        &self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> (SeqNum, u32) {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        for addr in [local, remote] {
            match addr.ip() {
                IpAddr::V4(v4) => mac.update(&v4.octets()),
                IpAddr::V6(v6) => mac.update(&v6.octets()),
            }
            mac.update(&addr.port().to_be_bytes());
        }
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        let [t0, t1, t2, t3, ..] = (now.as_nanos() / TICK_NANOS).to_le_bytes();
        let ticks = u32::from_le_bytes([t0, t1, t2, t3]);
        let isn = u32::from_be_bytes([a, b, c, d]).wrapping_add(ticks);
        (SeqNum(isn), u32::from_be_bytes([e, f, g, h]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_shown() {
        let shown = alloc::format!("{:?}", IsnClock::new([7; 32]));
        assert_eq!(shown, "IsnClock(hidden)");
    }

    #[test]
    fn numbers_rise_for_one_pair_and_differ_between_pairs() {
        let clock = IsnClock::new([7; 32]);
        let (a, b): (SocketAddr, SocketAddr) =
            ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let (first, offset) = clock.draw(Instant::ZERO, a, b);
        let (later, same) = clock.draw(Instant::from_millis(4), a, b);
        assert_eq!(later.offset_from(first), Some(1_000));
        assert_eq!(offset, same);
        assert_ne!(clock.draw(Instant::ZERO, b, a).0, first);
    }
}
