//! Sizes: the MSS, and conversions between lengths that say why they cannot lose.

/// Maximum segment size in bytes: the payload one packet carries, without IP and TCP headers and
/// without options (RFC 9293 §3.7.1, RFC 6691).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mss(pub u16);

impl Mss {
    /// What a host may assume that every IPv4 peer accepts (RFC 9293 §3.7.1, MUST-15).
    pub const DEFAULT_V4: Self = Self(536);
    /// What a host may assume that every IPv6 peer accepts (RFC 9293 §3.7.1, MUST-15).
    pub const DEFAULT_V6: Self = Self(1220);

    /// As bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        // Widening; `From` is not const.
        let [a, b] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, 0, 0])
    }
}

/// A length in memory as 64 bits: cannot lose, `usize` is at most 64 bits wide.
#[must_use]
pub fn len64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A length in memory as 32 bits. Buffers are bounded far below 4 GiB; beyond, it saturates.
#[must_use]
pub fn len32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The length of something that fits an IP packet; beyond 65,535 it saturates.
#[must_use]
pub fn len16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// 32 bits as a length in memory: cannot lose where `usize` has 32 bits or more.
#[must_use]
pub fn usize32(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// 64 bits as a length in memory: only for lengths of things that are in memory; saturates.
#[must_use]
pub fn usize64(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
