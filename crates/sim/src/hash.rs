//! A hash that is the same on every machine.

/// Spreads the bits of a number (the finaliser of `SplitMix64`).
pub(crate) const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of everything that was delivered, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TraceHash(u64);

impl TraceHash {
    /// Takes in one delivery: when, where and what.
    pub fn note(&mut self, nanos: u64, place: u32, summary: u64) {
        let delivery = mix(nanos ^ u64::from(place).rotate_left(40)) ^ summary;
        self.0 = (self.0.rotate_left(5) ^ delivery).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The hash so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_time_place_and_content_count() {
        let hash = |notes: &[(u64, u32, u64)]| {
            let mut hash = TraceHash::default();
            notes.iter().for_each(|&(at, place, what)| hash.note(at, place, what));
            hash.value()
        };
        let all = [
            hash(&[(1, 2, 3), (4, 5, 6)]),
            hash(&[(4, 5, 6), (1, 2, 3)]),
            hash(&[(1, 2, 3), (4, 5, 7)]),
            hash(&[(1, 2, 3), (5, 5, 6)]),
            hash(&[(1, 2, 3), (4, 6, 6)]),
            hash(&[(1, 2, 3)]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!all[..i].contains(a), "{i}");
        }
        assert_eq!(all[0], 13_937_239_434_426_130_248, "the same on every machine");
    }
}
