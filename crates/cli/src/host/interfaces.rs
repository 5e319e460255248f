//! What the kernel says of network interfaces, read from /proc and /sys.

use std::fs;

/// Interfaces with a default route of either IP version, each once, those of IPv4 first.
pub(super) fn with_default_route() -> Vec<String> {
    // Without a file there is no such route.
    let v4 = fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for name in v4.lines().filter_map(default_v4).chain(v6.lines().filter_map(default_v6)) {
        if name != "lo" && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask ..`
fn default_v4(line: &str) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
    default.then(|| fields[0])
}

/// `destination length source length gateway metric refcount use flags iface`
fn default_v6(line: &str) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let any = fields.first().is_some_and(|addr| addr.bytes().all(|digit| digit == b'0'));
    if any && fields.get(1) == Some(&"00") { fields.last().copied() } else { None }
}

/// Whether the interface has a global IPv6 address.
pub(super) fn has_v6(interface: &str) -> bool {
    let table = fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    table.lines().any(|line| global_v6(line) == Some(interface))
}

/// `address index length scope flags iface`; scope 0 is global.
fn global_v6(line: &str) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    (fields.get(3) == Some(&"00")).then(|| fields.last().copied()).flatten()
}

/// The longest packet of the interface in bytes; `None` if there is no such interface.
pub(super) fn mtu(interface: &str) -> Option<u16> {
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok()?;
    let mtu: u32 = text.trim().parse().ok()?;
    Some(u16::try_from(mtu).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_told_from_others() {
        let v4 = "wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0";
        assert_eq!(default_v4(v4), Some("wlan0"));
        assert_eq!(default_v4("wlan0 0000A8C0 00000000 0001 0 0 600 00FFFFFF 0 0 0"), None);
        assert_eq!(default_v4("Iface Destination Gateway Flags"), None);
        let zero = "0".repeat(32);
        let v6 = format!("{zero} 00 {zero} 00 fe8{zero} 400 1 0 00000003 eth0");
        assert_eq!(default_v6(&v6), Some("eth0"));
        assert_eq!(default_v6(&v6.replacen(" 00 ", " 40 ", 1)), None);
    }

    #[test]
    fn only_global_addresses_count() {
        let line = "20010db8000000000000000000000001 02 40 00 80     eth0";
        assert_eq!(global_v6(line), Some("eth0"));
        assert_eq!(global_v6(&line.replace(" 40 00 ", " 40 20 ")), None);
    }
}
