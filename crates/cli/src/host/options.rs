//! The options that say what the host is made of.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use manypath::{CongestionControl, Scheduler};

use crate::names;

/// Options of every command that connects or listens.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Paths")]
pub(crate) struct HostOptions {
    /// Make a path of this network interface (repeatable). Without --path, --backup and --address:
    /// every interface with a default route
    #[arg(long = "path", value_name = "IFACE")]
    pub(crate) paths: Vec<String>,
    /// Make a path of this interface that carries data only where no regular one is alive
    /// (repeatable)
    #[arg(long = "backup", value_name = "IFACE")]
    pub(crate) backups: Vec<String>,
    /// Give the stack this address instead of an allocated one (repeatable); with @IFACE its
    /// packets leave by that interface
    #[arg(long = "address", value_name = "ADDR[@IFACE]")]
    pub(crate) addresses: Vec<StackAddress>,
    /// What carries the packets
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    pub(crate) device: DeviceKind,
    /// Spread connections over so many threads, each with a queue of the TUN interface; one connection
    /// alone is no faster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) shards: u32,
    /// Leave packets their addresses: the network routes the stack's addresses to this host
    #[arg(long)]
    pub(crate) no_masquerade: bool,
    /// Name of the TUN interface
    #[arg(long, value_name = "NAME", default_value = "mpath0")]
    pub(crate) tun: String,
    /// Give this host's kernel an address on the TUN interface (repeatable), so that programs
    /// here can be the peer
    #[arg(long = "tun-address", value_name = "ADDR/LEN")]
    pub(crate) tun_addresses: Vec<Prefix>,
    /// Longest IP packet in bytes; otherwise that of the interfaces
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(576..))]
    pub(crate) mtu: Option<u16>,
    #[arg(long = "cc", value_name = "NAME", default_value = "lia", help = names::congestion_control())]
    pub(crate) congestion_control: CongestionControl,
    #[arg(long, value_name = "NAME", default_value = "lowest-rtt", help = names::scheduler())]
    pub(crate) scheduler: Scheduler,
    /// Write every packet to this pcapng file, one interface for each path
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
}

/// What carries packets between the stack and the interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DeviceKind {
    /// A TUN interface: the kernel routes and masquerades
    #[default]
    Tun,
    /// Packet sockets: no routes are changed, and each --address ADDR@IFACE is one of the
    /// interface's subnet that the kernel does not have
    Packet,
}

/// An address of the stack, and the interface by which its packets leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackAddress {
    /// The address.
    pub(crate) addr: IpAddr,
    /// The interface; without one, packets go as the kernel's main routes say.
    pub(crate) interface: Option<String>,
}

impl FromStr for StackAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (addr, interface) = match text.split_once('@') {
            Some((_, "")) => return Err("an interface name is missing behind @".to_owned()),
            Some((addr, interface)) => (addr, Some(interface.to_owned())),
            None => (text, None),
        };
        let addr = addr.parse().map_err(|_| format!("`{addr}` is no IP address"))?;
        Ok(Self { addr, interface })
    }
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// The address.
    pub(crate) addr: IpAddr,
    /// Bits of the prefix.
    pub(crate) len: u8,
}

impl Prefix {
    /// Whether `addr` is in the network.
    pub(crate) fn contains(self, addr: IpAddr) -> bool {
        let bits = |addr: IpAddr| match addr {
            IpAddr::V4(addr) => u128::from(u32::from(addr)) << 96,
            IpAddr::V6(addr) => u128::from(addr),
        };
        let differ = bits(self.addr) ^ bits(addr);
        self.addr.is_ipv4() == addr.is_ipv4() && differ.leading_zeros() >= u32::from(self.len)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not ADDR/LEN, as 10.77.0.1/24");
        let (addr, len) = text.split_once('/').ok_or_else(wrong)?;
        let addr: IpAddr = addr.parse().map_err(|_| wrong())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let len = len.parse().ok().filter(|&len| len <= most).ok_or_else(wrong)?;
        Ok(Self { addr, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_its_interface() {
        let parsed: StackAddress = "fd00::7@wlan0".parse().expect("an address");
        assert_eq!(parsed.interface.as_deref(), Some("wlan0"));
        assert_eq!("10.0.0.7".parse::<StackAddress>().expect("an address").interface, None);
        for wrong in ["10.0.0@eth0", "10.0.0.7@", "@eth0", ""] {
            assert!(wrong.parse::<StackAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_contains_its_network() {
        let prefix: Prefix = "10.77.0.1/24".parse().expect("a prefix");
        assert!(prefix.contains("10.77.0.255".parse().expect("an address")));
        assert!(!prefix.contains("10.77.1.0".parse().expect("an address")));
        assert!(!prefix.contains("::1".parse().expect("an address")));
        assert!("10.77.0.1/33".parse::<Prefix>().is_err());
    }
}
