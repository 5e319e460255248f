//! Two hosts, client and server, joined by any number of emulated links.
//!
//! **Owns** addresses, routes and rules between the two. Link number k (from 0) has
//! 10.(k+1).1.0/24 and fd00:(k+1)::/64; the client has host part 1, the server 2. **Invariant**:
//! **the client's address decides the link, in both directions**: what the client sends from its
//! address on link k leaves on link k wherever it goes, and what the server sends to that address
//! comes back on it. Everything else leaves on the link of its source address, and on link 0
//! where it has none. **Leaves out** which stack runs in the hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use manypath_device::{Tun, TunConfig};
use manypath_link::LinkConfig;

use crate::emulator::{EmulatedLink, Emulator, EmulatorStats, LinkHandle, Tap};
use crate::error::{Context as _, LabError};
use crate::mptcp::EndpointKind;
use crate::netns::{Family, Namespace};
use crate::ping;

/// Links have numbers that fit an address byte and a table number.
const MAX_LINKS: usize = 100;

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// End A of every link.
    Client,
    /// End B of every link.
    Server,
}

/// Address of a host on link `link`, and the length of its network's prefix.
fn address(host: Host, link: usize, family: Family) -> (IpAddr, u8) {
    let number = u8::try_from(link + 1).expect("there are at most 100 links");
    let part = match host {
        Host::Client => 1,
        Host::Server => 2,
    };
    match family {
        Family::V4 => (Ipv4Addr::new(10, number, 1, part).into(), 24),
        Family::V6 => {
            let part = u16::from(part);
            (Ipv6Addr::new(0xfd00, u16::from(number), 0, 0, 0, 0, 0, part).into(), 64)
        }
    }
}

fn table(link: usize) -> usize {
    100 + link
}

/// Describes a [`Topology`].
#[derive(Default)]
pub struct Builder {
    links: Vec<(String, LinkConfig, LinkConfig)>,
    seed: u64,
    tap: Option<Tap>,
    super_segments: bool,
}

impl Builder {
    /// Adds a link that is the same in both directions. `name` becomes the name of the interface
    /// at both ends.
    #[must_use]
    pub fn link(self, name: &str, config: LinkConfig) -> Self {
        self.asymmetric_link(name, config.clone(), config)
    }

    /// Adds a link with `up` from client to server and `down` from server to client.
    #[must_use]
    pub fn asymmetric_link(mut self, name: &str, up: LinkConfig, down: LinkConfig) -> Self {
        self.links.push((name.to_owned(), up, down));
        self
    }

    /// The seed of loss, reordering and duplication. 0 if not set.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Has interfaces that take and deliver super-segments, as those of real hosts do; links cut
    /// and join them. Only so a link of 1 Gbit/s leaves the processors to the hosts. A tap sees
    /// packets without their checksums then.
    #[must_use]
    pub fn super_segments(mut self) -> Self {
        self.super_segments = true;
        self
    }

    /// Shows every packet to `tap`.
    #[must_use]
    pub fn tap(mut self, tap: Tap) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Makes hosts, interfaces and routes, and starts the links.
    ///
    /// # Errors
    /// Without the capabilities of [`crate::MPTCP_LAB`] (kernel MPTCP excepted), without links or
    /// with more than 100, or when the system refuses.
    pub fn build(self) -> Result<Topology, LabError> {
        if !(1..=MAX_LINKS).contains(&self.links.len()) {
            return Err(LabError::Invalid("a topology has 1 to 100 links"));
        }
        let (client, server) = (Namespace::create("client")?, Namespace::create("server")?);
        let names: Vec<_> = self.links.iter().map(|(name, ..)| name.clone()).collect();
        let mut links = Vec::new();
        let joins = self.super_segments;
        for (name, up, down) in self.links {
            let a = Box::new(open_tun(&client, &name, up.mtu, joins)?);
            let b = Box::new(open_tun(&server, &name, down.mtu, joins)?);
            links.push(EmulatedLink { name, a, b, up, down, joins });
        }
        for family in [Family::V4, Family::V6] {
            client.ip_batch(family, &configuration(Host::Client, family, &names))?;
            server.ip_batch(family, &configuration(Host::Server, family, &names))?;
        }
        let emulator = Emulator::start(links, self.seed, self.tap);
        let emulator = emulator.context(|| "starting the emulator".to_owned())?;
        Ok(Topology { emulator, client, server })
    }
}

fn open_tun(host: &Namespace, name: &str, mtu: u16, offload: bool) -> Result<Tun, LabError> {
    let config = TunConfig { name: name.to_owned(), mtu, offload, ..TunConfig::default() };
    Ok(host.run(|| Tun::open(&config))??)
}

/// The `ip` commands that give a host its addresses, routes and rules.
fn configuration(host: Host, family: Family, names: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let nodad = match family {
        Family::V4 => "",
        Family::V6 => " nodad",
    };
    if host == Host::Server {
        // Connected networks first: the client's address decides.
        lines.push("rule add pref 100 lookup main suppress_prefixlength 0".to_owned());
    }
    for (link, name) in names.iter().enumerate() {
        let (addr, prefix) = address(host, link, family);
        let table = table(link);
        lines.push(format!("address add {addr}/{prefix} dev {name}{nodad}"));
        lines.push(format!("route add default dev {name} table {table}"));
        lines.push(format!("rule add pref {} from {addr} lookup {table}", 100 + table));
    }
    lines.push(format!("route add default dev {}", names[0]));
    lines
}

/// Two hosts and the links between them. Dropping it removes everything.
#[derive(Debug)]
pub struct Topology {
    // Dropped first: closes the interfaces before the namespaces go.
    emulator: Emulator,
    client: Namespace,
    server: Namespace,
}

impl Topology {
    /// Starts a description.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One of the hosts.
    #[must_use]
    pub fn host(&self, host: Host) -> &Namespace {
        match host {
            Host::Client => &self.client,
            Host::Server => &self.server,
        }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Namespace {
        &self.server
    }

    /// The links, in the order of the description.
    #[must_use]
    pub fn links(&self) -> &[LinkHandle] {
        self.emulator.links()
    }

    /// Link number `link`, from 0.
    ///
    /// # Panics
    /// When there is no such link.
    #[must_use]
    pub fn link(&self, link: usize) -> &LinkHandle {
        &self.emulator.links()[link]
    }

    /// See [`Emulator::set_grain`].
    pub fn set_grain(&self, most: Duration) {
        self.emulator.set_grain(most);
    }

    /// How well the links keep their times.
    #[must_use]
    pub fn emulator_stats(&self) -> EmulatorStats {
        self.emulator.stats()
    }

    /// The address of `host` on link number `link`.
    #[must_use]
    pub fn addr(&self, host: Host, link: usize, family: Family) -> IpAddr {
        address(host, link, family).0
    }

    /// The IPv4 address of `host` on link number `link`, with a port.
    #[must_use]
    pub fn socket_addr(&self, host: Host, link: usize, port: u16) -> SocketAddr {
        SocketAddr::new(self.addr(host, link, Family::V4), port)
    }

    /// Lets the kernel's path manager of `host` use its IPv4 addresses on `links`, with room for
    /// eight subflows. Without links only the room is made, which is all a server needs that
    /// shall accept subflows.
    ///
    /// # Errors
    /// Where the kernel has no MPTCP.
    pub fn kernel_mptcp(
        &self,
        host: Host,
        kind: EndpointKind,
        links: impl IntoIterator<Item = usize>,
    ) -> Result<(), LabError> {
        self.host(host).mptcp_limits(8, 8)?;
        links.into_iter().try_for_each(|link| {
            let addr = self.addr(host, link, Family::V4);
            self.host(host).mptcp_endpoint(addr, self.link(link).name(), kind)
        })
    }

    /// Makes addresses *behind* the client reachable over link number `link`: the server sends
    /// what goes to `prefix` (like `100.64.1.0/24`) there, and the client forwards, and sends
    /// what comes from `prefix` there. For a userspace stack on an interface inside the client.
    ///
    /// # Errors
    /// When `prefix` is not one.
    pub fn route_to(&self, prefix: &str, link: usize) -> Result<(), LabError> {
        let (family, forwarding) = if prefix.contains(':') {
            (Family::V6, "net/ipv6/conf/all/forwarding")
        } else {
            (Family::V4, "net/ipv4/ip_forward")
        };
        self.client.sysctl(forwarding, "1")?;
        let table = table(link);
        let rule = format!("rule add pref {} from {prefix} lookup {table}", 100 + table);
        self.client.ip_batch(family, &[rule])?;
        let name = self.link(link).name();
        self.server.ip_batch(family, &[format!("route replace {prefix} dev {name}")])
    }

    /// What comes into the client on one of its interfaces leaves on link number `link`: a path of a
    /// stack that has one address on all its paths.
    ///
    /// # Errors
    /// When the interface is not there.
    pub fn forward(&self, interface: &str, link: usize) -> Result<(), LabError> {
        let rule = format!("rule add pref {} iif {interface} lookup {}", 10 + link, table(link));
        self.client.ip_batch(Family::V4, std::slice::from_ref(&rule))?;
        self.client.ip_batch(Family::V6, &[rule])
    }

    /// What the client's kernel sends with this mark leaves on link number `link`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn forward_marked(&self, mark: u32, link: usize) -> Result<(), LabError> {
        let rule = format!("rule add pref {} fwmark {mark} lookup {}", 50 + link, table(link));
        self.client.ip_batch(Family::V4, &[rule])
    }

    /// One echo over link number `link`, from the client's IPv4 address to the server's.
    ///
    /// # Errors
    /// When no answer comes in `timeout`.
    pub fn ping(&self, link: usize, timeout: Duration) -> Result<Duration, LabError> {
        let (from, to) =
            (address(Host::Client, link, Family::V4), address(Host::Server, link, Family::V4));
        let (IpAddr::V4(from), IpAddr::V4(to)) = (from.0, to.0) else {
            return Err(LabError::Invalid("an IPv4 address was asked for"));
        };
        let echo = self.client.run(|| ping::ping(from, to, timeout))?;
        echo.context(|| format!("ping from {from} to {to}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_answers_to_the_clients_address_before_its_own() {
        let names = ["wifi".to_owned(), "lte".to_owned()];
        let client = configuration(Host::Client, Family::V4, &names);
        assert_eq!(client[5], "rule add pref 201 from 10.2.1.1 lookup 101");
        let server = configuration(Host::Server, Family::V6, &names);
        assert_eq!(server[0], "rule add pref 100 lookup main suppress_prefixlength 0");
        assert_eq!(server[1], "address add fd00:1::2/64 dev wifi nodad");
        assert_eq!(server.last().map(String::as_str), Some("route add default dev wifi"));
    }
}
