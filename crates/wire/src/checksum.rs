//! The Internet checksum (RFC 1071): of IP and TCP headers, and of DSS mappings.
//!
//! **Owns** the ones' complement sum, whole or in parts. **Invariant**: the parts may have odd
//! lengths; the result is that of the joined bytes. **Leaves out** where checksums stand.

use core::net::IpAddr;

use manypath_base::Payload;

/// A ones' complement sum of 16-bit words that grows with every part (RFC 1071 §1).
///
/// ```
/// use manypath_wire::Sum;
/// let (mut whole, mut parts) = (Sum::new(), Sum::new());
/// whole.add(b"multipath");
/// parts.add(b"mul");
/// parts.add(b"tipath");
/// assert_eq!(whole.checksum(), parts.checksum());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    words: u64,
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: 0, odd: false }
    }

    /// The sum of the pseudo-header in front of a TCP or ICMPv6 message of `len` bytes
    /// (RFC 9293 §3.1, RFC 8200 §8.1).
    #[must_use]
    pub(crate) fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Self {
        let mut sum = Self::new();
        for addr in [src, dst] {
            match addr {
                IpAddr::V4(a) => sum.add(&a.octets()),
                IpAddr::V6(a) => sum.add(&a.octets()),
            }
        }
        sum.add_u64(manypath_base::len64(len));
        sum.add_u64(u64::from(protocol));
        sum
    }

    /// The sum of the pseudo-header of a DSS mapping (RFC 8684 §3.3.1, Figure 10). The data
    /// follows with [`Sum::add_payload`], in order and in as many parts as it comes in.
    #[must_use]
    pub fn dss(dsn: u64, ssn: u32, len: u16) -> Self {
        let mut sum = Self::new();
        sum.add_u64(dsn);
        sum.add_u64(u64::from(ssn));
        sum.add_u64(u64::from(len));
        sum
    }

    /// Adds the bytes that come next.
    pub fn add(&mut self, bytes: &[u8]) {
        let part = u16::from_be(fold(sum_native(bytes)));
        self.words += u64::from(if self.odd { part.swap_bytes() } else { part });
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// Adds the payload that comes next.
    pub fn add_payload(&mut self, payload: &Payload) {
        for chunk in payload.chunks() {
            self.add(chunk);
        }
    }

    /// Adds a number that stands at an even place.
    fn add_u64(&mut self, n: u64) {
        debug_assert!(!self.odd, "numbers of pseudo-headers stand at even places");
        self.words += u64::from(fold(n));
    }

    /// The sum itself, in 16 bits: what the checksum field holds where a device completes it.
    #[must_use]
    pub fn folded(&self) -> u16 {
        fold(self.words)
    }

    /// The checksum: the complement of the sum. Over bytes that hold their own right checksum
    /// it is 0.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        !self.folded()
    }
}

/// The checksum of one contiguous piece.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add(bytes);
    sum.checksum()
}

/// The checksum of a DSS mapping over its payload; `dsn` is always the whole 64-bit number
/// (RFC 8684 §3.3.1). A DATA_FIN counts in `len` but adds no byte to the payload.
#[must_use]
pub fn dss_checksum(dsn: u64, ssn: u32, len: u16, payload: &Payload) -> u16 {
    let mut sum = Sum::dss(dsn, ssn, len);
    sum.add_payload(payload);
    sum.checksum()
}

/// Folds a sum to 16 bits: adding the carries back is what makes it a ones' complement sum.
fn fold(n: u64) -> u16 {
    let [a, b, c, d, e, f, g, h] = n.to_le_bytes();
    let words = [[a, b], [c, d], [e, f], [g, h]].map(|w| u32::from(u16::from_le_bytes(w)));
    let [a, b, c, d] = words.iter().sum::<u32>().to_le_bytes();
    let sum = u32::from(u16::from_le_bytes([a, b])) + u32::from(u16::from_le_bytes([c, d]));
    let [a, b, carry, _] = sum.to_le_bytes();
    u16::from_le_bytes([a, b]) + u16::from(carry)
}

/// The sum of `bytes` as words in the machine's own byte order, which only swaps the result
/// (RFC 1071 §2.B). Four lanes of eight bytes let the compiler use vector instructions; a lane
/// cannot overflow below 16 GiB.
fn sum_native(bytes: &[u8]) -> u64 {
    let mut lanes = [0u64; 4];
    let (blocks, tail) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += halves(u64::from_ne_bytes(*word));
        }
    }
    let (words, tail) = tail.as_chunks::<2>();
    let last = tail.first().map_or(0, |&b| u64::from(u16::from_ne_bytes([b, 0])));
    let rest: u64 = words.iter().map(|&w| u64::from(u16::from_ne_bytes(w))).sum();
    lanes.iter().sum::<u64>() + rest + last
}

/// The sum of the two halves, which has room for many more.
fn halves(n: u64) -> u64 {
    (n & 0xffff_ffff) + (n >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use proptest::prelude::*;

    /// RFC 1071 §1 word by word.
    fn model(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let mut sum = Sum::new();
        sum.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.folded(), 0xddf2);
    }

    proptest! {
        #[test]
        fn parts_of_any_length_sum_like_the_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..6),
        ) {
            let mut sum = Sum::new();
            parts.iter().for_each(|part| sum.add(part));
            prop_assert_eq!(sum.checksum(), model(&parts.concat()));
        }

        #[test]
        fn a_dss_checksum_is_that_of_its_pseudo_header_and_data(
            dsn: u64, ssn: u32, len: u16, a: Vec<u8>, b: Vec<u8>,
        ) {
            let header = [&dsn.to_be_bytes()[..], &ssn.to_be_bytes(), &len.to_be_bytes(), &[0, 0]];
            let flat = [header.concat(), a.clone(), b.clone()].concat();
            let mut payload = Payload::from(Bytes::from(a));
            payload.push(Bytes::from(b));
            prop_assert_eq!(dss_checksum(dsn, ssn, len, &payload), model(&flat));
        }
    }
}
