//! A secret of the endpoint, and keyed hashes with it: initial sequence numbers (RFC 6528) and the
//! cookies that this host hands out (RFC 4987, RFC 7413).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use manypath_base::{Key, Rng};
use sha2::Sha256;

/// 256 bits that nobody else knows.
pub(super) struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    /// Whoever reads a log must not be able to guess numbers (RFC 6528 §3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Secret {
    pub(super) const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// A secret for another purpose, from which this one cannot be learned. `label` has a length
    /// that nothing else is hashed with.
    pub(super) fn derive(&self, label: &'static str) -> Self {
        Self(Keyed::new(self).with(label.as_bytes()).finish())
    }

    /// A generator of what nobody else can know; each number has another.
    pub(super) fn generator(&self, number: u32) -> Rng {
        match number {
            0 => Rng::from_seed(self.0),
            _ => Rng::from_seed(Keyed::new(self).with(&number.to_be_bytes()).finish()),
        }
    }

    /// A key that only this secret makes of another.
    pub(super) fn next_key(&self, key: Key) -> Key {
        let [a, b, c, d, e, f, g, h, ..] = Keyed::new(self).with(&key.0).finish();
        Key([a, b, c, d, e, f, g, h])
    }

    /// A hash of two ends.
    pub(super) fn hash_ends(&self, local: SocketAddr, remote: SocketAddr) -> Keyed {
        [local, remote].into_iter().fold(Keyed::new(self), |hash, end| {
            hash.with_ip(end.ip()).with(&end.port().to_be_bytes())
        })
    }

    /// A hash of two hosts.
    pub(super) fn hash_hosts(&self, local: IpAddr, remote: IpAddr) -> Keyed {
        Keyed::new(self).with_ip(local).with_ip(remote)
    }
}

/// A keyed hash in the making (HMAC-SHA-256).
pub(super) struct Keyed(Hmac<Sha256>);

impl Keyed {
    fn new(secret: &Secret) -> Self {
        Self(Hmac::new_from_slice(&secret.0).expect("HMAC takes keys of any length"))
    }

    fn with_ip(self, addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(v4) => self.with(&v4.octets()),
            IpAddr::V6(v6) => self.with(&v6.octets()),
        }
    }

    pub(super) fn with(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_shown() {
        assert_eq!(alloc::format!("{:?}", Secret::new([7; 32])), "Secret(hidden)");
    }

    #[test]
    fn purposes_do_not_share_a_secret() {
        let secret = Secret::new([7; 32]);
        assert_ne!(secret.derive("one").0, secret.derive("two").0);
        assert_ne!(secret.derive("one").0, secret.0);
    }
}
