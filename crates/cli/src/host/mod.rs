//! A manypath endpoint made of real network interfaces.
//!
//! **Owns** the way from options to an endpoint: TUN interface, stack addresses, routes, capture
//! file. **Invariant**: what was changed in the system is put back by [`Host::close`], and by
//! dropping. **Leaves out** how routes and rules are made (`manypath_device::paths`).

mod interfaces;
mod one_ended;
mod options;
mod packet;

use std::fs::File;
use std::io::BufWriter;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use manypath::device::{
    CommandError, PathSetup, PathSetupConfig, PathSetupError, PathSpec, Tun, TunConfig, TunError,
    paths::stack_addresses,
};
use manypath::{ConnectOptions, ConnectionMode, Endpoint, EndpointBuilder, ListenOptions, Path};
use tokio::runtime::Runtime;

pub(crate) use one_ended::OneEndedOptions;
pub(crate) use options::HostOptions;
use options::{DeviceKind, StackAddress};

use crate::failure::Failure;

/// The longest packet where no interface says otherwise.
const DEFAULT_MTU: u16 = 1500;
/// How long the last subflows may take to close.
const REST_TIME: Duration = Duration::from_secs(1);

/// An endpoint, and what was changed in the system for it.
pub(crate) struct Host {
    endpoint: Endpoint,
    setup: Option<PathSetup>,
    addresses: Vec<IpAddr>,
    /// What its connections are.
    mode: ConnectionMode,
}

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It connects.
    Client,
    /// It listens: clients are told of every address that they can reach (ADD_ADDR, RFC 8684
    /// §3.4.1), which those behind masquerading are not.
    Server,
}

/// One path to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    /// The interface, or the address where there is none.
    name: String,
    interface: Option<String>,
    addresses: Vec<IpAddr>,
    backup: bool,
}

impl Plan {
    /// Whether the addresses mean something beyond this host.
    fn reachable(&self, options: &HostOptions) -> bool {
        self.interface.is_none() || options.no_masquerade
    }
}

impl Host {
    /// Makes the host.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub(crate) fn open(options: &HostOptions, purpose: Purpose) -> Result<Self, Failure> {
        if options.device == DeviceKind::Packet {
            return packet::open(options, purpose);
        }
        let plans = plan(options)?;
        let mtu = options.mtu.unwrap_or_else(|| largest_mtu(&plans));
        let builder = builder(options)?;
        let tun = open_tun(options, &options.tun, mtu)?;
        let setup = establish(options, tun.name(), &plans)?;
        let addresses = plans.iter().flat_map(|plan| plan.addresses.clone()).collect();
        let paths = plans.iter().map(|plan| match purpose {
            Purpose::Server if plan.reachable(options) => path(plan, mtu).announced(),
            Purpose::Client | Purpose::Server => path(plan, mtu),
        });
        let endpoint = builder
            .paths(tun, paths)
            .build()
            .map_err(|error| Failure::failed("the endpoint", &error))?;
        Ok(Self { endpoint, setup, addresses, mode: ConnectionMode::Automatic })
    }

    /// Makes the host, with paths that share their addresses if the options say so; `served` are
    /// the ports that it listens on.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub(crate) fn open_either(
        options: &HostOptions,
        one_ended: &OneEndedOptions,
        served: &[u16],
    ) -> Result<Self, Failure> {
        match (one_ended.one_ended, served) {
            (true, served) => one_ended::open(options, one_ended, served),
            (false, []) => Self::open(options, Purpose::Client),
            (false, _) => Self::open(options, Purpose::Server),
        }
    }

    /// The endpoint.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How this host connects.
    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions { mode: self.mode, ..ConnectOptions::default() }
    }

    /// How this host listens.
    pub(crate) fn listen_options(&self) -> ListenOptions {
        ListenOptions { mode: self.mode, ..ListenOptions::default() }
    }

    /// Where a listener on `port` can be reached.
    pub(crate) fn listening(&self, port: u16) -> String {
        let addresses = self.addresses.iter().map(|&addr| SocketAddr::new(addr, port).to_string());
        addresses.collect::<Vec<_>>().join(", ")
    }

    /// Lets connections come to their end, writes the capture's rest and takes everything back
    /// that was changed in the system.
    ///
    /// # Errors
    /// When something could not be written or taken back.
    pub(crate) fn close(self, runtime: &Runtime) -> Result<(), Failure> {
        let Self { endpoint, setup, .. } = self;
        // Without masquerading the kernel would answer what still comes with a reset.
        let at_rest = async { tokio::time::timeout(REST_TIME, endpoint.at_rest()).await };
        // Where the peer does not play along, or the endpoint stopped, it ends without that.
        let _rests = runtime.block_on(at_rest);
        let flushed = endpoint.flush_capture();
        let closed = setup.map_or(Ok(()), PathSetup::close);
        flushed.map_err(|error| Failure::failed("--pcap", &error))?;
        closed.map_err(|error| Failure::failed("taking the paths down", &error))
    }
}

/// Which paths the options ask for.
fn plan(options: &HostOptions) -> Result<Vec<Plan>, Failure> {
    let HostOptions { paths, backups, addresses, .. } = options;
    let mut plans: Vec<Plan> = Vec::new();
    for StackAddress { addr, interface } in addresses {
        // Two addresses of one interface are one path, mostly one of each IP version.
        let same =
            plans.iter_mut().find(|plan| interface.is_some() && plan.interface == *interface);
        if let Some(plan) = same {
            plan.addresses.push(*addr);
            continue;
        }
        let name = interface.clone().unwrap_or_else(|| addr.to_string());
        let backup = backups.contains(&name);
        plans.push(Plan { name, interface: interface.clone(), addresses: vec![*addr], backup });
    }
    let has = |plans: &[Plan], name: &String| plans.iter().any(|plan| plan.name == *name);
    let allocated = if paths.is_empty() && backups.is_empty() && addresses.is_empty() {
        with_default_route()?
    } else {
        paths.iter().chain(backups).filter(|name| !has(&plans, name)).cloned().collect()
    };
    plans.extend(allocate(options, allocated)?);
    Ok(plans)
}

fn with_default_route() -> Result<Vec<String>, Failure> {
    let names = interfaces::with_default_route();
    if names.is_empty() {
        let what = "no interface has a default route; name interfaces with --path IFACE, or \
                    addresses with --address ADDR";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(names)
}

/// Paths of interfaces, with addresses that nobody here uses.
fn allocate(options: &HostOptions, mut names: Vec<String>) -> Result<Vec<Plan>, Failure> {
    names.dedup();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(name) = names.iter().find(|name| interfaces::mtu(name).is_none()) {
        return Err(setup_failure(&PathSetupError::NoInterface { name: name.clone() }));
    }
    let count = u8::try_from(names.len())
        .map_err(|_| Failure::Usage("more than 255 paths; name fewer with --path".to_owned()))?;
    let pairs = stack_addresses(count).map_err(|error| setup_failure(&error))?;
    let plans = names.into_iter().zip(pairs).map(|(name, (v4, v6))| {
        let v6 = interfaces::has_v6(&name).then_some(IpAddr::V6(v6));
        Plan {
            backup: options.backups.contains(&name),
            interface: Some(name.clone()),
            addresses: [IpAddr::V4(v4)].into_iter().chain(v6).collect(),
            name,
        }
    });
    Ok(plans.collect())
}

fn largest_mtu(plans: &[Plan]) -> u16 {
    let of_interfaces = plans.iter().filter_map(|plan| interfaces::mtu(plan.interface.as_ref()?));
    of_interfaces.max().unwrap_or(DEFAULT_MTU)
}

fn path(plan: &Plan, mtu: u16) -> Path {
    let Plan { name, interface, addresses, backup } = plan;
    let (first, rest) = addresses.split_first().expect("every plan has an address");
    let path = rest.iter().fold(Path::new(name, *first), |path, &addr| path.address(addr));
    let own = interface.as_deref().and_then(interfaces::mtu).unwrap_or(mtu);
    let path = path.mtu(own.min(mtu));
    if *backup { path.backup() } else { path }
}

/// An endpoint to be, without paths.
fn builder(options: &HostOptions) -> Result<EndpointBuilder, Failure> {
    let builder = Endpoint::builder()
        .congestion_control(options.congestion_control)
        .scheduler(options.scheduler)
        .shards(options.shards);
    let Some(path) = &options.pcap else { return Ok(builder) };
    let file = File::create(path)
        .map_err(|error| Failure::usage(format_args!("--pcap {}", path.display()), &error))?;
    Ok(builder.capture(BufWriter::new(file)))
}

/// A TUN interface. The one that the options name has this host's addresses.
fn open_tun(options: &HostOptions, name: &str, mtu: u16) -> Result<Tun, Failure> {
    let addresses = if name == options.tun { &options.tun_addresses[..] } else { &[] };
    let config = TunConfig {
        name: name.to_owned(),
        mtu,
        addresses: addresses.iter().map(|prefix| (prefix.addr, prefix.len)).collect(),
        queues: options.shards,
        ..TunConfig::default()
    };
    Tun::open(&config).map_err(|error| match &error {
        TunError::NotPermitted { .. } => Failure::Usage(format!(
            "{error}; run it as root, or try `manypath demo --unprivileged`"
        )),
        TunError::Configure(command) => command_failure("--tun", command),
        TunError::Io { .. } => Failure::failed("--tun", &error),
        _ => Failure::usage("--tun", &error),
    })
}

/// Routes, rules and masquerading for the paths of interfaces; a plain route for other addresses,
/// which goes with the TUN interface.
fn establish(
    options: &HostOptions,
    tun: &str,
    plans: &[Plan],
) -> Result<Option<PathSetup>, Failure> {
    for plan in plans.iter().filter(|plan| plan.interface.is_none()) {
        for &addr in &plan.addresses {
            if !options.tun_addresses.iter().any(|prefix| prefix.contains(addr)) {
                route(addr, tun)?;
            }
        }
    }
    let paths = plans.iter().filter_map(|plan| {
        Some(PathSpec {
            interface: plan.interface.clone()?,
            gateway: None,
            local: plan.addresses.clone(),
            masquerade: !options.no_masquerade,
        })
    });
    let paths: Vec<_> = paths.collect();
    if paths.is_empty() {
        return Ok(None);
    }
    let config = PathSetupConfig { tun: tun.to_owned(), paths };
    PathSetup::establish(&config).map(Some).map_err(|error| setup_failure(&error))
}

fn route(addr: IpAddr, tun: &str) -> Result<(), Failure> {
    let addr = addr.to_string();
    let output = Command::new("ip")
        .args(["route", "add", &addr, "dev", tun])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::usage("`ip` of iproute2", &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    Err(Failure::Usage(format!("--address {addr}: `ip route add` says: {said}")))
}

fn setup_failure(error: &PathSetupError) -> Failure {
    match error {
        PathSetupError::Command(command) => command_failure("--path", command),
        PathSetupError::Namespace(_) => Failure::failed("--path", error),
        _ => Failure::usage("--path", error),
    }
}

fn command_failure(what: &str, error: &CommandError) -> Failure {
    match error {
        CommandError::NotFound { .. } | CommandError::NotPermitted { .. } => {
            Failure::usage(what, error)
        }
        CommandError::Failed { .. } | CommandError::Io { .. } | CommandError::Answer { .. } => {
            Failure::failed(what, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        host: HostOptions,
    }

    fn options(line: &str) -> HostOptions {
        Line::parse_from(["test"].into_iter().chain(line.split_whitespace())).host
    }

    #[test]
    fn addresses_of_one_interface_are_one_path() {
        let line = "--address 10.0.0.7@wlan0 --address fd00::7@wlan0 --address 10.0.1.7 \
                    --address 10.0.2.7 --backup 10.0.2.7";
        let plans = plan(&options(line)).expect("nothing is missing");
        let named: Vec<_> =
            plans.iter().map(|plan| (&plan.name[..], plan.addresses.len(), plan.backup)).collect();
        assert_eq!(named, [("wlan0", 2, false), ("10.0.1.7", 1, false), ("10.0.2.7", 1, true)]);
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let failure = plan(&options("--path nosuch7")).expect_err("there is none");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("`nosuch7`"), "{failure}");
    }
}
