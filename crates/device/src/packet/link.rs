//! What the kernel knows of the interface: its number and address, and who is reached over it.

use std::net::IpAddr;

use nix::libc;
use nix::net::if_::if_nametoindex;

use super::PacketError;
use crate::Mac;
use crate::paths::{Family, Prefix, query};

/// An interface, as its routes were when it was asked about.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) index: libc::c_int,
    pub(super) mac: Mac,
    pub(super) mtu: u16,
    subnets: Vec<Prefix>,
    gateways: Vec<IpAddr>,
}

impl Link {
    /// Asks about `interface`; none of `ours` may be the kernel's.
    pub(super) fn ask(interface: &str, ours: &[IpAddr]) -> Result<Self, PacketError> {
        let none = || PacketError::NoInterface { interface: interface.to_owned() };
        let index = if_nametoindex(interface).ok().and_then(|n| libc::c_int::try_from(n).ok());
        let index = index.ok_or_else(none)?;
        let all = query::interfaces()?;
        let found = all.iter().find(|i| i.ifname == interface).ok_or_else(none)?;
        let mac = found.address.parse().map_err(|_| none())?;
        let kernels = |addr: &&IpAddr| {
            all.iter().flat_map(|i| &i.addr_info).any(|own| own.local == Some(**addr))
        };
        if let Some(&address) = ours.iter().find(kernels) {
            return Err(PacketError::AddressTaken { address });
        }
        let (mut subnets, mut gateways) = (Vec::new(), Vec::new());
        for family in [Family::V4, Family::V6] {
            let routes = query::routes(family)?;
            subnets.extend(query::connected(&routes, interface).filter_map(Prefix::parse));
            gateways.extend(query::default_gateway(&routes, interface));
        }
        // Longer IP packets than 64 KiB do not exist, whatever the interface takes.
        let mtu = u16::try_from(found.mtu).unwrap_or(u16::MAX);
        Ok(Self { index, mac, mtu, subnets, gateways })
    }

    /// The neighbour that packets to `dst` go to: itself in a subnet of the interface, else the
    /// gateway.
    pub(super) fn next_hop(&self, dst: IpAddr) -> Option<IpAddr> {
        if self.subnets.iter().any(|subnet| subnet.contains(dst)) {
            return Some(dst);
        }
        self.gateways.iter().find(|gateway| gateway.is_ipv4() == dst.is_ipv4()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_reached_directly_and_others_by_the_gateway() {
        let addr = |text: &str| text.parse::<IpAddr>().expect("an address");
        let link = Link {
            index: 1,
            mac: Mac([2, 0, 0, 0, 0, 7]),
            mtu: 1500,
            subnets: ["10.0.0.0/24", "fd00::/64"].into_iter().filter_map(Prefix::parse).collect(),
            gateways: vec![addr("10.0.0.1")],
        };
        for (dst, hop) in [
            ("10.0.0.9", Some("10.0.0.9")),
            ("192.0.2.1", Some("10.0.0.1")),
            ("fd00::9", Some("fd00::9")),
            ("2001:db8::1", None),
        ] {
            assert_eq!(link.next_hop(addr(dst)), hop.map(addr), "{dst}");
        }
    }
}
