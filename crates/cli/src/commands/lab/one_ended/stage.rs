//! Hosts and links: the stack's host with two TUNs, one for each path, that share its address. It is
//! the topology's client, whoever opens the connections.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use manypath::device::{Tun, TunConfig};
use manypath::{CongestionControl, Endpoint, Path};
use manypath_lab::{Capability, Host, LinkConfig, LinkHandle, Namespace, Topology};

use super::Role;
use crate::failure::Failure;

const MTU: u16 = 1_500;
/// The stack's address, whichever path it sends on, and its network, routed back to it.
pub(super) const STACK: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 9, 7));
const STACK_PREFIX: &str = "100.64.9.0/24";
const TUNS: [&str; 2] = ["path0", "path1"];
const NEEDS: [Capability; 5] = [
    Capability::Root,
    Capability::Tun,
    Capability::NetworkNamespaces,
    Capability::Program("python3"),
    Capability::Program("nft"),
];

/// The links that carry data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// 20 Mb/s, 10 ms.
    Fast,
    /// 10 Mb/s, 40 ms.
    Slow,
}

/// Megabits per second of each, in the order of [`Link`].
pub(super) const MBPS: [u64; 2] = [20, 10];
const DELAY_MS: [u64; 2] = [10, 40];
/// The number of the link that acknowledgments come back on.
const BACK: usize = 2;

/// Whether this machine can do it.
///
/// # Errors
/// What is missing.
pub(super) fn check(role: Role) -> Result<(), Failure> {
    let client = match role {
        Role::Client => None,
        Role::Server => Some(Capability::Program("curl")),
    };
    match NEEDS.into_iter().chain(client).find_map(Capability::missing) {
        None => Ok(()),
        Some(missing) => Err(Failure::Usage(format!("`lab one-ended` {missing}"))),
    }
}

/// Hosts and links.
pub(super) struct Stage {
    topology: Topology,
}

impl Stage {
    pub(super) fn set(seed: u64) -> Result<Self, Failure> {
        let link = |n: usize| LinkConfig::mbps(MBPS[n], Duration::from_millis(DELAY_MS[n]));
        let back = LinkConfig { delay: Duration::from_millis(10), ..LinkConfig::default() };
        let builder = Topology::builder().seed(seed);
        let builder = builder.link("fast", link(0)).link("slow", link(1)).link("back", back);
        let topology = builder.build().map_err(|error| Failure::failed("the links", &error))?;
        Ok(Self { topology })
    }

    pub(super) fn client(&self) -> &Namespace {
        self.topology.client()
    }

    pub(super) fn server(&self) -> &Namespace {
        self.topology.server()
    }

    pub(super) fn link(&self, link: Link) -> &LinkHandle {
        self.topology.link(match link {
            Link::Fast => 0,
            Link::Slow => 1,
        })
    }

    pub(super) fn server_addr(&self, port: u16) -> SocketAddr {
        self.topology.socket_addr(Host::Server, 0, port)
    }

    /// The stack in the client, with a path over each link.
    pub(super) fn endpoint(
        &self,
        algorithm: CongestionControl,
        send_buffer: u32,
    ) -> Result<Endpoint, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::failed("the stack's paths", error);
        self.topology.route_to(STACK_PREFIX, BACK).map_err(|e| failed(&e))?;
        let mut builder =
            Endpoint::builder().congestion_control(algorithm).send_buffer(send_buffer);
        for (n, name) in TUNS.into_iter().enumerate() {
            let config = TunConfig { name: name.to_owned(), mtu: MTU, ..TunConfig::default() };
            let tun = self.client().run(|| Tun::open(&config)).map_err(|e| failed(&e))?;
            let tun = tun.map_err(|e| failed(&e))?;
            self.topology.forward(name, n).map_err(|e| failed(&e))?;
            builder = builder.path(tun, Path::new(name, STACK));
        }
        let route = [format!("route add {STACK} dev {}", TUNS[0])];
        self.client().ip_batch(manypath_lab::Family::V4, &route).map_err(|e| failed(&e))?;
        builder.build().map_err(|e| failed(&e))
    }

    /// From now on the packets of the client's kernel go over the links in turn, by their rates.
    pub(super) fn spray(&self) -> Result<(), Failure> {
        let failed = |error: &dyn std::error::Error| Failure::failed("spraying", error);
        let rules = "add table ip spray\n\
                     add chain ip spray out { type route hook output priority mangle; }\n\
                     add rule ip spray out ip protocol tcp \
                     meta mark set numgen inc mod 3 map { 0 : 1, 1 : 2, 2 : 1 }\n";
        let mut command = self.client().command("nft");
        command.args(["-f", "-"]).stdin(Stdio::piped());
        let mut nft = self.client().child(command).map_err(|e| failed(&e))?;
        let mut input = nft.process().stdin.take().expect("its standard input is piped");
        input.write_all(rules.as_bytes()).map_err(|e| failed(&e))?;
        drop(input);
        let ended = nft.wait().map_err(|e| failed(&e))?;
        if !ended.success() {
            return Err(Failure::Failed("nft refuses the rules that spray packets".to_owned()));
        }
        self.topology.forward_marked(1, 0).map_err(|e| failed(&e))?;
        self.topology.forward_marked(2, 1).map_err(|e| failed(&e))
    }

    /// Takes everything down.
    pub(super) fn close(self) {
        drop(self.topology);
    }
}
