//! Bytes that anyone can compute, at any place: what tests send instead of files.

use bytes::{Bytes, BytesMut};
use manypath_base::{len64, usize64};

/// The endless bytes of a seed: SplitMix64 in its counter form, each word in little-endian order.
/// Different seeds give different bytes, and no two places of one seed look alike.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    seed: u64,
    at: u64,
}

impl Pattern {
    /// The bytes of `seed` from byte `at` on.
    pub(crate) fn new(seed: u64, at: u64) -> Self {
        Self { seed, at }
    }

    /// The next `len` bytes.
    pub(crate) fn chunk(&mut self, len: usize) -> Bytes {
        let skip = usize64(self.at % 8);
        let mut bytes = BytesMut::with_capacity(skip + len + 8);
        let mut word = self.at / 8;
        while bytes.len() < skip + len {
            bytes.extend_from_slice(&self.word(word).to_le_bytes());
            word = word.wrapping_add(1);
        }
        self.at += len64(len);
        bytes.freeze().slice(skip..skip + len)
    }

    /// Whether the next bytes are these.
    pub(crate) fn matches(&mut self, bytes: &[u8]) -> bool {
        self.chunk(bytes.len()) == bytes
    }

    fn word(&self, index: u64) -> u64 {
        let step = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed.wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs that the authors of SplitMix64 publish for this seed.
    #[test]
    fn it_is_splitmix64() {
        let words = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973];
        let expected = words.map(u64::to_le_bytes).concat();
        assert_eq!(Pattern::new(1_234_567, 0).chunk(16), expected);
    }

    #[test]
    fn any_pieces_give_the_same_bytes() {
        let whole = Pattern::new(7, 0).chunk(1_000);
        let mut pieces = Pattern::new(7, 3);
        for range in [3..4, 4..11, 11..500, 500..1_000] {
            assert!(pieces.matches(&whole[range.clone()]), "{range:?}");
        }
        assert!(!Pattern::new(8, 0).matches(&whole[..8]));
    }
}
