//! Two endpoints in virtual time (`world`, `host`), or one and a peer made by hand (`raw`,
//! `options`, `show`), and what both need.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]
#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod host;
pub(crate) mod options;
pub(crate) mod raw;
mod show;
mod world;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use manypath_base::{IfaceId, Instant, Rng};
use manypath_link::LinkConfig;
use manypath_mptcp::{AddressFlags, Endpoint, EndpointConfig, Interface, LocalAddress};

pub(crate) use host::{Host, Stream};
pub(crate) use world::World;

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Port that the server listens on.
pub(crate) const PORT: u16 = 80;

/// Seeds of a fuzz: `count` of them from 0 on, or as the environment says with `FUZZ_COUNT` and
/// `FUZZ_FROM`.
pub(crate) fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let from = number("FUZZ_FROM", 0);
    from..from + number("FUZZ_COUNT", count)
}

/// Pseudo-random bytes that depend on the seed and the place alone.
pub(crate) fn pattern(seed: u64, at: u64, len: usize) -> Bytes {
    let word = |n: u64| {
        let x = n.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ (x >> 29)).to_le_bytes()
    };
    let skip = (at % 8) as usize;
    let mut out = Vec::with_capacity(skip + len + 8);
    for n in at / 8..(at + len as u64).div_ceil(8) {
        out.extend_from_slice(&word(n));
    }
    Bytes::from(out).slice(skip..skip + len)
}

/// An interface with one address that is used and not announced.
pub(crate) fn simple_interface(id: u32, addr: IpAddr) -> Interface {
    let addresses = vec![LocalAddress { addr, flags: AddressFlags::default(), port: None }];
    Interface { id: IfaceId(id), mtu: 1500, addresses }
}

/// A host with one interface, which does not pace what it sends.
pub(crate) fn unpaced_host(number: u8) -> Endpoint {
    let mut config = EndpointConfig::default();
    config.tcp.pacing = false;
    let mut endpoint = Endpoint::new(config, Rng::seeded(number.into()));
    endpoint.add_interface(Instant::ZERO, simple_interface(0, addr(0, number)));
    endpoint
}

/// One that is announced, and opens nothing.
pub(crate) fn signalling(id: u32, addr: [u8; 4]) -> Interface {
    let flags = AddressFlags { signal: true, subflow: false, ..AddressFlags::default() };
    let addresses = vec![LocalAddress { addr: addr.into(), flags, port: None }];
    Interface { id: IfaceId(id), mtu: 1500, addresses }
}

pub(crate) fn addr(link: usize, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, link as u8 + 1, host).into()
}

/// The same with IPv6.
pub(crate) fn addr6(link: usize, host: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, link as u16 + 1, 0, 0, 0, host.into()).into()
}

/// A link with a queue of one bandwidth-delay product.
pub(crate) fn link(mbps: u64, delay: Duration) -> LinkConfig {
    LinkConfig::mbps(mbps, delay)
}
