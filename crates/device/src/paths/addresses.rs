//! Finds addresses for the stack that nobody here uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Family, PathSetupError, query};

/// **Choice:** blocks of 256 addresses in the upper half of 198.18.0.0/15. That range is set aside
/// for benchmarks inside one network (RFC 2544, App. C.2.2), so no address on the Internet is
/// hidden by it, as with the private ranges that home and company networks use, and with
/// 100.64.0.0/10 that carriers and VPNs use. The lower half is left to the proxies that make up
/// addresses in it.
const V4_PREFIX: [u8; 2] = [198, 19];
/// The same for IPv6: a unique local prefix (RFC 4193) of our own, one /64 per block.
const V6_PREFIX: [u16; 3] = [0xfd6d, 0x7079, 0x7468];
/// Third byte of the IPv4 blocks, and fourth group of the IPv6 blocks, in the order of trial.
const BLOCKS: std::ops::RangeInclusive<u8> = 77..=254;

/// `count` pairs of addresses for the stack, one pair for each path, from a block that does not
/// overlap with any address or route of this host.
///
/// # Errors
/// When the kernel cannot be asked, or no block is free.
pub fn stack_addresses(count: u8) -> Result<Vec<(Ipv4Addr, Ipv6Addr)>, PathSetupError> {
    let taken = taken()?;
    let free = |block: &u8| !taken.iter().any(|prefix| prefix.overlaps_block(*block));
    let block = BLOCKS.clone().find(free).ok_or(PathSetupError::NoFreeAddresses)?;
    Ok((1..=count).map(|host| pair(block, host)).collect())
}

fn pair(block: u8, host: u8) -> (Ipv4Addr, Ipv6Addr) {
    let ([a, b], [d, e, f]) = (V4_PREFIX, V6_PREFIX);
    let v6 = Ipv6Addr::new(d, e, f, u16::from(block), 0, 0, 0, u16::from(host));
    (Ipv4Addr::new(a, b, block, host), v6)
}

/// A range of addresses that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(super) address: IpAddr,
    pub(super) len: u8,
}

impl Prefix {
    /// Reads `address` or `address/length`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, len) = text.split_once('/').map_or((text, None), |(a, len)| (a, Some(len)));
        let address = address.parse::<IpAddr>().ok()?;
        let full = if address.is_ipv4() { 32 } else { 128 };
        Some(Self { address, len: len.map_or(Some(full), |len| len.parse().ok())? })
    }

    /// Whether `address` is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        };
        let differ = bits(self.address) ^ bits(address);
        self.address.is_ipv4() == address.is_ipv4() && differ.leading_zeros() >= self.len.into()
    }

    fn overlaps_block(self, block: u8) -> bool {
        let (v4, v6) = pair(block, 0);
        match self.address {
            IpAddr::V4(address) => {
                let bits = u32::from(self.len.min(24));
                let differ = u32::from(address) ^ u32::from(v4);
                differ.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            IpAddr::V6(address) => {
                let bits = u32::from(self.len.min(64));
                let differ = u128::from(address) ^ u128::from(v6);
                differ.checked_shr(128 - bits).unwrap_or(0) == 0
            }
        }
    }
}

/// All addresses and the destinations of all routes, except for default routes.
fn taken() -> Result<Vec<Prefix>, PathSetupError> {
    let interfaces = query::interfaces()?;
    let addresses = interfaces.iter().flat_map(|interface| &interface.addr_info);
    let mut taken = addresses
        .filter_map(|a| a.local)
        .map(|address| Prefix { address, len: u8::MAX })
        .collect::<Vec<_>>();
    for family in [Family::V4, Family::V6] {
        let routes = query::routes(family)?;
        taken.extend(routes.iter().filter_map(|route| Prefix::parse(&route.dst)));
    }
    // Halves of everything, as VPNs have them instead of a default route, take nothing.
    taken.retain(|prefix| prefix.len > 1);
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_seen_whichever_is_the_longer_prefix() {
        let overlaps = |text: &str| Prefix::parse(text).expect("a prefix").overlaps_block(77);
        for text in ["198.19.77.9", "198.19.77.0/24", "198.18.0.0/15", "198.19.77.128/25"] {
            assert!(overlaps(text), "{text}");
        }
        for text in ["198.19.78.0/24", "198.18.0.0/16", "10.0.0.0/8"] {
            assert!(!overlaps(text), "{text}");
        }
        assert!(overlaps("fd6d:7079:7468:4d::1"));
        assert!(overlaps("fd00::/8"));
        assert!(!overlaps("fd6d:7079:7468:4e::/64"));
        assert_eq!(Prefix::parse("default"), None);
    }

    #[test]
    fn a_prefix_contains_its_network_and_none_of_the_other_version() {
        let contains = |text: &str, address: &str| {
            let prefix = Prefix::parse(text).expect("a prefix");
            prefix.contains(address.parse().expect("an address"))
        };
        assert!(contains("10.1.0.7/24", "10.1.0.255"));
        assert!(!contains("10.1.0.7/24", "10.1.1.0"));
        assert!(contains("fd00:1::1/64", "fd00:1::ffff"));
        assert!(!contains("::/0", "10.1.0.1"));
    }
}
