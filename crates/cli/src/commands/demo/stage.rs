//! Where the demo plays: with Linux as the peer in namespaces, or in this process alone.

use std::fs::File;
use std::io::BufWriter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use manypath::device::{Offload, PathSetup, PathSetupConfig, PathSpec, Tun, TunConfig, memory};
use manypath::{Endpoint, EndpointBuilder, Path};
use manypath_lab::{
    Capability, EmulatedLink, Emulator, EndpointKind, Host, LinkHandle, MPTCP_LAB, Topology, kernel,
};

use super::Args;
use super::plan::Plan;
use crate::failure::Failure;

const MTU: u16 = 1500;
const TUN: &str = "mpdemo";
/// How long the closing of connections may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Hosts and links.
pub(super) enum Stage {
    /// This side is manypath on a TUN in the client's namespace, the peer is Linux.
    Linux { topology: Box<Topology>, setup: Option<PathSetup>, endpoint: Endpoint },
    /// manypath at both ends, joined by emulated links in memory.
    Local { emulator: Emulator, endpoint: Endpoint, server: Endpoint, why: String },
}

impl Stage {
    pub(super) fn set(args: &Args, plan: &Plan) -> Result<Self, Failure> {
        let missing = MPTCP_LAB.iter().find_map(|need| Capability::missing(*need));
        match missing {
            _ if args.unprivileged => Self::local(args, plan, "as asked for".to_owned()),
            Some(missing) => Self::local(args, plan, missing),
            None => Self::linux(args, plan),
        }
    }

    fn linux(args: &Args, plan: &Plan) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::failed("setting up the demo", error);
        let mut builder = Topology::builder().seed(args.seed);
        for link in &plan.links {
            builder = builder.link(link.name, link.config());
        }
        let topology = builder.build().map_err(|e| failed(&e))?;
        topology.kernel_mptcp(Host::Server, EndpointKind::Signal, []).map_err(|e| failed(&e))?;
        let (tun, setup) = topology.client().run(|| open_paths(plan)).map_err(|e| failed(&e))??;
        let paths = setup.1.iter().zip(&plan.links).map(|(addr, l)| Path::new(l.name, *addr));
        let endpoint = settings(args, plan)?.paths(tun, paths).build().map_err(|e| failed(&e))?;
        Ok(Self::Linux { topology: Box::new(topology), setup: Some(setup.0), endpoint })
    }

    fn local(args: &Args, plan: &Plan, why: String) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::failed("setting up the demo", error);
        let (mut client, mut server) = (settings(args, plan)?, plain_settings(args, plan));
        let mut links = Vec::new();
        for (k, link) in plan.links.iter().enumerate() {
            let (ours, a) = memory::pair(MTU, Offload::FULL).map_err(|e| failed(&e))?;
            let (b, theirs) = memory::pair(MTU, Offload::FULL).map_err(|e| failed(&e))?;
            client = client.path(ours, Path::new(link.name, local_addr(k, 1)));
            server = server.path(theirs, Path::new(link.name, local_addr(k, 2)));
            let config = link.config();
            links.push(EmulatedLink {
                name: link.name.to_owned(),
                a: Box::new(a),
                b: Box::new(b),
                up: config.clone(),
                down: config,
                joins: false,
            });
        }
        let emulator = Emulator::start(links, args.seed, None).map_err(|e| failed(&e))?;
        let endpoint = client.build().map_err(|e| failed(&e))?;
        let server = server.build().map_err(|e| failed(&e))?;
        Ok(Self::Local { emulator, endpoint, server, why })
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> String {
        match self {
            Self::Linux { .. } => kernel(),
            Self::Local { .. } => "manypath".to_owned(),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Linux { .. } => format!("the peer is {}", kernel()),
            Self::Local { why, .. } => format!("both ends are manypath in this process ({why})"),
        }
    }

    /// This side's endpoint.
    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Linux { endpoint, .. } | Self::Local { endpoint, .. } => endpoint,
        }
    }

    pub(super) fn links(&self) -> &[LinkHandle] {
        match self {
            Self::Linux { topology, .. } => topology.links(),
            Self::Local { emulator, .. } => emulator.links(),
        }
    }

    /// How much too late a packet came out of a link, at most.
    pub(super) fn links_late(&self) -> Duration {
        match self {
            Self::Linux { topology, .. } => topology.emulator_stats().late_max,
            Self::Local { emulator, .. } => emulator.stats().late_max,
        }
    }

    /// The namespaces, where Linux is the peer.
    pub(super) fn topology(&self) -> Option<&Topology> {
        match self {
            Self::Linux { topology, .. } => Some(topology),
            Self::Local { .. } => None,
        }
    }

    /// Takes down what was set up.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        // What is not said by then stays unsaid: the hosts go.
        tokio::time::timeout(FAREWELL, self.endpoint().at_rest()).await.ok();
        let flushed = self.endpoint().flush_capture();
        flushed.map_err(|error| Failure::failed("--pcap", &error))?;
        self.take_down()
    }

    /// Routes and rules are undone where they are: in the client's namespace.
    fn take_down(&mut self) -> Result<(), Failure> {
        let Self::Linux { topology, setup, .. } = self else { return Ok(()) };
        let Some(setup) = setup.take() else { return Ok(()) };
        let closed = topology.client().run(|| setup.close());
        let closed = closed.map_err(|error| Failure::failed("taking the paths down", &error))?;
        closed.map_err(|error| Failure::failed("taking the paths down", &error))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // After a failure; its report is what counts.
        self.take_down().ok();
    }
}

/// The server end of the local stage.
pub(super) fn local_server_addr() -> SocketAddr {
    SocketAddr::new(local_addr(0, 2), 5201)
}

fn local_addr(link: usize, host: u8) -> IpAddr {
    let link = u8::try_from(link + 1).expect("at most 8 links");
    Ipv4Addr::new(10, 77, link, host).into()
}

/// In the client's namespace: the TUN, and the paths that lead from it over each link.
fn open_paths(plan: &Plan) -> Result<(Tun, (PathSetup, Vec<IpAddr>)), Failure> {
    let count = u8::try_from(plan.links.len()).expect("at most 8 links");
    let addresses = manypath::device::paths::stack_addresses(count)
        .map_err(|error| Failure::failed("addresses for the stack", &error))?;
    let addresses: Vec<IpAddr> = addresses.into_iter().map(|(v4, _)| v4.into()).collect();
    let config =
        TunConfig { name: TUN.to_owned(), mtu: MTU, offload: true, ..TunConfig::default() };
    let tun = Tun::open(&config).map_err(|error| Failure::failed("the TUN", &error))?;
    let specs = plan.links.iter().zip(&addresses).map(|(link, addr)| PathSpec {
        interface: link.name.to_owned(),
        gateway: None,
        local: vec![*addr],
        masquerade: true,
    });
    let config = PathSetupConfig { tun: TUN.to_owned(), paths: specs.collect() };
    let setup =
        PathSetup::establish(&config).map_err(|error| Failure::failed("the paths", &error))?;
    Ok((tun, (setup, addresses)))
}

fn plain_settings(args: &Args, plan: &Plan) -> EndpointBuilder {
    Endpoint::builder()
        .congestion_control(args.congestion_control)
        .scheduler(args.scheduler)
        .send_buffer(plan.send_buffer())
}

fn settings(args: &Args, plan: &Plan) -> Result<EndpointBuilder, Failure> {
    let builder = plain_settings(args, plan);
    let Some(path) = &args.pcap else { return Ok(builder) };
    let file = File::create(path)
        .map_err(|e| Failure::usage(format_args!("--pcap {}", path.display()), &e))?;
    Ok(builder.capture(BufWriter::new(file)))
}
