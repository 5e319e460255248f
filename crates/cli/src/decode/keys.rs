//! What a key of MP_CAPABLE gives away: the token and the initial data sequence number.

use manypath_base::{DataSeq, Key, Token};
use sha2::{Digest as _, Sha256};

/// The token of a key: the top 32 bits of its SHA-256 (RFC 8684 §3.2).
pub(crate) fn token(key: Key) -> Token {
    let [a, b, c, d, ..] = hash(key);
    Token(u32::from_be_bytes([a, b, c, d]))
}

/// The initial data sequence number of a key: the low 64 bits of its SHA-256 (RFC 8684 §3.1).
pub(crate) fn idsn(key: Key) -> DataSeq {
    let [.., a, b, c, d, e, f, g, h] = hash(key);
    DataSeq(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

fn hash(key: Key) -> [u8; 32] {
    Sha256::digest(key.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of eight zero octets, as any other tool prints it, begins with af5570f5 and ends with
    /// e5b2328de0e83dfc.
    #[test]
    fn token_and_initial_number_are_the_two_ends_of_the_hash() {
        assert_eq!(token(Key([0; 8])), Token(0xaf55_70f5));
        assert_eq!(idsn(Key([0; 8])), DataSeq(0xe5b2_328d_e0e8_3dfc));
    }
}
