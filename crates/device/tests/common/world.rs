//! A host with two interfaces, and the network that they lead to:
//!
//! ```text
//!              host                        net
//! stack - mp0 -+- wifi 10.1.0.1/24 ----- 10.1.0.2  wifi -+- lo 10.99.0.1
//!              +- lte  10.2.0.1/24 ----- 10.2.0.2  lte --+
//! ```

use std::fs;
use std::process::Command;

use manypath_device::{Tun, TunConfig};

use super::{Namespace, sh, skipped};

/// The two namespaces of the picture.
pub(crate) struct World {
    pub(crate) host: Namespace,
    pub(crate) net: Namespace,
}

/// Makes them; `None`, with a word on stderr, where this process may not.
pub(crate) fn world(test: &str) -> Option<World> {
    if Command::new("nft").arg("--version").output().is_err() {
        skipped(test, "nft is not installed");
        return None;
    }
    let (host, net) = (Namespace::new(test)?, Namespace::new(test)?);
    // No link-local addresses: they would come and go by themselves.
    let quiet = || sh("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1");
    host.run(quiet);
    net.run(quiet);
    let far = net.name();
    for (number, link) in [(1, "wifi"), (2, "lte")] {
        host.run(|| {
            sh(&format!("ip link add {link} type veth peer name {link} netns {far}"));
            sh(&format!("ip address add 10.{number}.0.1/24 dev {link}"));
            sh(&format!("ip address add fd00:{number}::1/64 dev {link} nodad"));
            sh(&format!("ip link set {link} up"));
        });
        net.run(|| {
            sh(&format!("ip address add 10.{number}.0.2/24 dev {link}"));
            sh(&format!("ip address add fd00:{number}::2/64 dev {link} nodad"));
            sh(&format!("ip link set {link} up"));
        });
        host.run(|| {
            let metric = number * 100;
            sh(&format!("ip route add default via 10.{number}.0.2 dev {link} metric {metric}"));
            sh(&format!("ip route add default via fd00:{number}::2 dev {link} metric {metric}"));
        });
    }
    net.run(|| {
        sh("ip address add 10.99.0.1/32 dev lo");
        sh("ip address add fd00:99::1/128 dev lo");
    });
    host.run(|| sh("sysctl -qw net.ipv4.conf.all.rp_filter=1"));
    Some(World { host, net })
}

/// A TUN interface of this name in the namespace of the calling thread.
pub(crate) fn tun(name: &str) -> Tun {
    Tun::open(&TunConfig { name: name.to_owned(), ..TunConfig::default() })
        .expect("root may open a TUN interface")
}

/// Everything that a setup may change.
pub(crate) fn snapshot() -> String {
    let mut text = String::new();
    for command in [
        "ip -4 rule",
        "ip -6 rule",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "nft list ruleset",
        "ip address",
    ] {
        text += &format!("# {command}\n{}", sh(command));
    }
    for family in ["ipv4", "ipv6"] {
        let dir = format!("/proc/sys/net/{family}/conf");
        let entries = fs::read_dir(dir).expect("the kernel has it");
        let mut names = entries.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>();
        names.sort();
        for key in ["forwarding", "rp_filter", "accept_ra", "arp_announce"] {
            for name in &names {
                let value = fs::read_to_string(name.join(key)).unwrap_or_default();
                text += &format!("{}/{key} = {value}\n", name.display());
            }
        }
    }
    text
}
