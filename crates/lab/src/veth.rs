//! Two hosts joined by veth pairs: links as fast as the machine, without delay, for measurements of
//! speed.
//!
//! **Owns** addresses, routes and rules between the two. Link number k (from 0) has
//! 10.(k+1).1.0/24; the client has host part 1, the server 2. Behind the client are stacks of
//! userspace with addresses of 100.64.(k+1).0/24 for link k, behind the server those of
//! 100.65.0.0/16: both hosts forward. **Invariant**: the client's address decides the link, in both
//! directions. **Leaves out** the stacks.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use crate::error::LabError;
use crate::mptcp::EndpointKind;
use crate::netns::{Family, Namespace, check};
use crate::topology::Host;

/// Links have numbers that fit an address byte.
const MAX_LINKS: usize = 100;

/// What a veth pair carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packets {
    /// Super-segments of up to 64 KB that nobody cuts, as Linux does by itself.
    SuperSegments,
    /// Packets of 1,500 bytes: no segmentation offload at the sender, no GRO at the receiver.
    MtuSized,
}

/// Two hosts and the pairs between them. Dropping it removes everything.
#[derive(Debug)]
pub struct Veths {
    client: Namespace,
    server: Namespace,
    links: usize,
}

impl Veths {
    /// Makes two hosts and `links` pairs between them.
    ///
    /// # Errors
    /// Without root, iproute2 or, for packets of the MTU's size, ethtool; without links or with more
    /// than 100.
    pub fn build(links: usize, packets: Packets) -> Result<Self, LabError> {
        if !(1..=MAX_LINKS).contains(&links) {
            return Err(LabError::Invalid("there are 1 to 100 links"));
        }
        let (client, server) = (Namespace::create("client")?, Namespace::create("server")?);
        for link in 0..links {
            let name = name(link);
            let pair = ["link", "add", &name, "type", "veth", "peer", "name", &name, "netns"];
            client.ip(&[&pair[..], &[server.name()]].concat())?;
        }
        for (host, side) in [(&client, Host::Client), (&server, Host::Server)] {
            host.sysctl("net/ipv4/ip_forward", "1")?;
            host.ip_batch(Family::V4, &configuration(side, links))?;
            if packets == Packets::MtuSized {
                host.run(|| (0..links).try_for_each(|link| without_offload(&name(link))))??;
            }
        }
        Ok(Self { client, server, links })
    }

    /// One of the hosts.
    #[must_use]
    pub fn host(&self, host: Host) -> &Namespace {
        match host {
            Host::Client => &self.client,
            Host::Server => &self.server,
        }
    }

    /// The name of link number `link`, the same in both hosts.
    #[must_use]
    pub fn interface(link: usize) -> String {
        name(link)
    }

    /// The address of `host` on link number `link`.
    ///
    /// # Panics
    /// When there is no such link.
    #[must_use]
    pub fn addr(&self, host: Host, link: usize) -> IpAddr {
        assert!(link < self.links, "no link {link}");
        address(host, link).into()
    }

    /// Lets the client's kernel use all links for each connection, and the server's accept that.
    ///
    /// # Errors
    /// Where the kernel has no MPTCP.
    pub fn kernel_mptcp(&self) -> Result<(), LabError> {
        self.server.mptcp_limits(8, 8)?;
        self.client.mptcp_limits(8, 8)?;
        (1..self.links).try_for_each(|link| {
            let addr = self.addr(Host::Client, link);
            self.client.mptcp_endpoint(addr, &name(link), EndpointKind::Subflow)
        })
    }
}

/// Lets the kernel neither join nor cut packets on an interface of the network namespace that the
/// calling thread is in.
///
/// # Errors
/// Without ethtool, or when it refuses.
pub fn without_offload(interface: &str) -> Result<(), LabError> {
    let mut command = Command::new("ethtool");
    check(command.args(["-K", interface, "tso", "off", "gso", "off", "gro", "off"])).map(drop)
}

fn name(link: usize) -> String {
    format!("veth{link}")
}

fn address(host: Host, link: usize) -> Ipv4Addr {
    let number = u8::try_from(link + 1).expect("there are at most 100 links");
    let part = match host {
        Host::Client => 1,
        Host::Server => 2,
    };
    Ipv4Addr::new(10, number, 1, part)
}

/// The `ip` commands that give a host its addresses, routes and rules.
fn configuration(host: Host, links: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for link in 0..links {
        let (name, table, number) = (name(link), 100 + link, link + 1);
        lines.push(format!("address add {}/24 dev {name}", address(host, link)));
        lines.push(format!("link set {name} up"));
        match host {
            Host::Client => {
                let gateway = address(Host::Server, link);
                lines.push(format!("route add default via {gateway} dev {name} table {table}"));
                for from in [address(host, link).to_string(), format!("100.64.{number}.0/24")] {
                    lines.push(format!("rule add pref {} from {from} lookup {table}", 100 + table));
                }
            }
            Host::Server => {
                let gateway = address(Host::Client, link);
                lines.push(format!("route add 100.64.{number}.0/24 via {gateway} dev {name}"));
            }
        }
    }
    if host == Host::Client {
        lines.push(format!("route add default via {}", address(Host::Server, 0)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capability, skip_unless};

    #[test]
    fn the_address_of_the_client_decides_the_link() {
        let client = configuration(Host::Client, 2);
        assert_eq!(client[7], "route add default via 10.2.1.2 dev veth1 table 101");
        assert_eq!(client[9], "rule add pref 201 from 100.64.2.0/24 lookup 101");
        let server = configuration(Host::Server, 2);
        assert_eq!(server[5], "route add 100.64.2.0/24 via 10.2.1.1 dev veth1");
    }

    #[test]
    fn both_kinds_of_links_can_be_made() {
        let needs =
            [Capability::Root, Capability::NetworkNamespaces, Capability::Program("ethtool")];
        if skip_unless(&needs).is_err() {
            return;
        }
        for packets in [Packets::SuperSegments, Packets::MtuSized] {
            let veths = Veths::build(2, packets).expect("the machine can");
            let mut command = veths.host(Host::Server).command("ethtool");
            let said = check(command.args(["-k", "veth1"])).expect("ethtool tells");
            let on = said.contains("generic-segmentation-offload: on");
            assert_eq!(on, packets == Packets::SuperSegments, "{said}");
        }
        assert!(Veths::build(0, Packets::SuperSegments).is_err());
    }
}
