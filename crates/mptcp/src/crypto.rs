//! Keys, tokens and authentication (RFC 8684 §3.1, §3.2, §3.4.1), with SHA-256.

use core::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use manypath_base::{AddrId, DataSeq, Key, Token};
use sha2::{Digest, Sha256};

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) key: Key,
    pub(crate) token: Token,
    pub(crate) idsn: DataSeq,
}

impl Identity {
    /// Token: the most significant 32 bits of the key's hash. Initial data sequence number: the
    /// least significant 64 (RFC 8684 §3.1, §3.2).
    pub(crate) fn new(key: Key) -> Self {
        let hash: [u8; 32] = Sha256::digest(key.0).into();
        let [t0, t1, t2, t3, .., a, b, c, d, e, f, g, h] = hash;
        Self {
            key,
            token: Token(u32::from_be_bytes([t0, t1, t2, t3])),
            idsn: DataSeq(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        }
    }
}

fn hmac(first: Key, second: Key, message: &[u8]) -> [u8; 32] {
    let [a, b, c, d, e, f, g, h] = first.0;
    let [i, j, k, l, m, n, o, p] = second.0;
    let key = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// HMAC of a join, made by the holder of `own` for the holder of `peer` (RFC 8684 §3.2).
pub(crate) fn join_hmac(own: Key, peer: Key, own_nonce: u32, peer_nonce: u32) -> [u8; 32] {
    let [a, b, c, d] = own_nonce.to_be_bytes();
    let [e, f, g, h] = peer_nonce.to_be_bytes();
    hmac(own, peer, &[a, b, c, d, e, f, g, h])
}

/// The leftmost `N` bytes.
pub(crate) fn leftmost<const N: usize>(hmac: &[u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&hmac[..N]);
    out
}

/// Truncated HMAC of ADD_ADDR, made by the holder of `own`: the rightmost 64 bits (RFC 8684
/// §3.4.1). A port that is not announced counts as 0.
pub(crate) fn add_addr_hmac(
    own: Key,
    peer: Key,
    id: AddrId,
    addr: IpAddr,
    port: Option<u16>,
) -> [u8; 8] {
    let mut message = smallvec::SmallVec::<[u8; 19]>::new();
    message.push(id.0);
    match addr {
        IpAddr::V4(v4) => message.extend(v4.octets()),
        IpAddr::V6(v6) => message.extend(v6.octets()),
    }
    message.extend(port.unwrap_or(0).to_be_bytes());
    let [.., a, b, c, d, e, f, g, h] = hmac(own, peer, &message);
    [a, b, c, d, e, f, g, h]
}

/// Whether two secrets are equal, in time that does not tell where they differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of eight zero bytes is af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc.
    #[test]
    fn token_and_idsn_are_the_ends_of_the_hash() {
        let identity = Identity::new(Key([0; 8]));
        assert_eq!(identity.token, Token(0xaf55_70f5));
        assert_eq!(identity.idsn, DataSeq(0xe5b2_328d_e0e8_3dfc));
    }

    #[test]
    fn both_sides_compute_the_same_hmac_of_a_join() {
        let (a, b) = (Key(*b"key of A"), Key(*b"key of B"));
        assert_eq!(join_hmac(a, b, 1, 2), join_hmac(a, b, 1, 2));
        assert_ne!(join_hmac(a, b, 1, 2), join_hmac(b, a, 2, 1));
        assert!(equal(&[1, 2], &[1, 2]) && !equal(&[1, 2], &[1, 3]) && !equal(&[1], &[1, 2]));
    }

    #[test]
    fn an_announced_port_changes_the_hmac() {
        let (a, b) = (Key([1; 8]), Key([2; 8]));
        let hmac = |port| add_addr_hmac(a, b, AddrId(3), [10, 0, 0, 1].into(), port);
        assert_eq!(hmac(None), hmac(Some(0)));
        assert_ne!(hmac(None), hmac(Some(80)));
    }
}
