//! A host of which all paths have the same addresses: one-ended multipath (`docs/one-ended.md`).
//!
//! **Owns** what the options mean there: a TUN interface for each path, and one address of this host
//! that packets of all paths come from. **Leaves out** routes and translation
//! (`manypath_device::paths`).

use std::net::IpAddr;
use std::str::FromStr;

use manypath::device::paths::{common_addresses, stack_addresses};
use manypath::device::{
    Mac, NextHop, PathSelector, PathSetup, SharedAddress, SharedPathSpec, SharedSetupConfig, Tun,
};
use manypath::{ConnectionMode, Endpoint, Path};

use super::options::{HostOptions, StackAddress};
use super::{DEFAULT_MTU, Host, builder, interfaces, open_tun, setup_failure, with_default_route};
use crate::failure::Failure;

/// Options of commands that can send over several paths to peers that know nothing of it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "One-ended multipath")]
pub(crate) struct OneEndedOptions {
    /// Spread what is sent over all paths although the peer has plain TCP: all paths have one
    /// address in common. --path is then IFACE, IFACE@GATEWAY, IFACE@MAC, or one of mark:N,
    /// dscp:N and flow-label:N, by which this host's rules or the network route
    #[arg(long)]
    pub(crate) one_ended: bool,
    /// Address of this host that all paths have in common, one for each IP version (repeatable);
    /// otherwise that of the first interface, where the others are in the same network. With
    /// --no-masquerade the one of --address has that role
    #[arg(long = "public", value_name = "ADDR", requires = "one_ended")]
    pub(crate) public: Vec<IpAddr>,
}

/// What makes a path, as on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamedSelector(PathSelector);

impl FromStr for NamedSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let selector = match text.split_once(':').filter(|(kind, _)| !kind.contains('@')) {
            Some(("mark", value)) => PathSelector::Mark(number(value, u32::MAX)?),
            Some(("dscp", value)) => {
                let dscp = u8::try_from(number(value, 63)?);
                PathSelector::Dscp(dscp.expect("it is at most 63"))
            }
            Some(("flow-label", value)) => PathSelector::FlowLabel(number(value, 0xf_ffff)?),
            _ => interface(text)?,
        };
        Ok(Self(selector))
    }
}

/// `IFACE`, `IFACE@GATEWAY` or `IFACE@MAC`.
fn interface(text: &str) -> Result<PathSelector, String> {
    let Some((name, hop)) = text.split_once('@') else {
        return Ok(PathSelector::Interface { name: text.to_owned(), next_hop: NextHop::Found });
    };
    let next_hop = match (hop.parse(), hop.parse::<Mac>()) {
        (Ok(gateway), _) => NextHop::Gateway(gateway),
        (Err(_), Ok(mac)) => NextHop::Mac(mac),
        (Err(_), Err(_)) => return Err(format!("`{hop}` is neither an IP address nor a MAC")),
    };
    Ok(PathSelector::Interface { name: name.to_owned(), next_hop })
}

/// A number, decimal or hexadecimal, of at most `most`.
fn number(text: &str, most: u32) -> Result<u32, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.ok().filter(|&n| n <= most).ok_or_else(|| format!("`{text}` is no number up to {most}"))
}

/// What the options come to, before anything is changed.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// The names of the paths, as they were given, and what makes them.
    paths: Vec<(String, PathSelector)>,
    addresses: Vec<SharedAddress>,
}

impl Plan {
    fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().filter_map(|(_, selector)| interface_of(selector))
    }
}

fn interface_of(selector: &PathSelector) -> Option<&str> {
    match selector {
        PathSelector::Interface { name, .. } => Some(name),
        PathSelector::Mark(_) | PathSelector::FlowLabel(_) | PathSelector::Dscp(_) => None,
    }
}

/// Makes the host; `served` are the ports of the public addresses that lead to it.
///
/// # Errors
/// What is missing, and what to do about it.
pub(super) fn open(
    options: &HostOptions,
    one_ended: &OneEndedOptions,
    served: &[u16],
) -> Result<Host, Failure> {
    let plan = plan(options, one_ended)?;
    let mtus: Vec<u16> = plan
        .paths
        .iter()
        .map(|(_, selector)| interface_of(selector).and_then(interfaces::mtu))
        .map(|of_interface| options.mtu.or(of_interface).unwrap_or(DEFAULT_MTU))
        .collect();
    let builder = builder(options)?;
    let tuns = mtus.iter().enumerate();
    let tuns = tuns.map(|(n, &mtu)| open_tun(options, &tun_name(&options.tun, n), mtu));
    let tuns = tuns.collect::<Result<Vec<Tun>, Failure>>()?;
    let specs = plan.paths.iter().zip(&tuns).map(|((_, selector), tun)| SharedPathSpec {
        tun: tun.name().to_owned(),
        selector: selector.clone(),
    });
    let (addresses, served) = (plan.addresses.clone(), served.to_vec());
    let config = SharedSetupConfig { addresses, served, paths: specs.collect() };
    let setup = PathSetup::establish_shared(&config).map_err(|error| setup_failure(&error))?;
    let paths = plan.paths.iter().zip(mtus).map(|((name, _), mtu)| path(name, &plan, mtu));
    let builder =
        tuns.into_iter().zip(paths).fold(builder, |builder, (tun, path)| builder.path(tun, path));
    let endpoint = builder.build().map_err(|error| Failure::failed("the endpoint", &error))?;
    Ok(host(endpoint, setup, &plan))
}

fn host(endpoint: Endpoint, setup: PathSetup, plan: &Plan) -> Host {
    let seen = plan.addresses.iter().map(|address| address.public.unwrap_or(address.local));
    Host { endpoint, setup: Some(setup), addresses: seen.collect(), mode: ConnectionMode::OneEnded }
}

fn path(name: &str, plan: &Plan, mtu: u16) -> Path {
    let (first, rest) = plan.addresses.split_first().expect("a plan has an address");
    let path = Path::new(name, first.local);
    rest.iter().fold(path, |path, address| path.address(address.local)).mtu(mtu)
}

/// `mpath0`, `mpath1`, ..: the number at the end of the name of the first grows.
fn tun_name(first: &str, n: usize) -> String {
    let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
    match first[stem.len()..].parse::<usize>() {
        Ok(number) => format!("{stem}{}", number + n),
        Err(_) if n == 0 => first.to_owned(),
        Err(_) => format!("{first}{n}"),
    }
}

fn plan(options: &HostOptions, one_ended: &OneEndedOptions) -> Result<Plan, Failure> {
    if !options.backups.is_empty() {
        let what = "--backup has no meaning with --one-ended: what a path carries, it shows itself";
        return Err(Failure::Usage(what.to_owned()));
    }
    let names =
        if options.paths.is_empty() { with_default_route()? } else { options.paths.clone() };
    if names.len() < 2 {
        let what = "--one-ended takes two paths or more; name them with --path";
        return Err(Failure::Usage(what.to_owned()));
    }
    let selector = |name: String| match name.parse::<NamedSelector>() {
        Ok(NamedSelector(selector)) => Ok((name, selector)),
        Err(error) => Err(Failure::Usage(format!("--path {name}: {error}"))),
    };
    let paths = names.into_iter().map(selector).collect::<Result<_, _>>()?;
    let mut plan = Plan { paths, addresses: Vec::new() };
    plan.addresses = addresses(options, one_ended, &plan)?;
    one_of_each_version(&plan.addresses)?;
    labels_are_of_ipv6(&plan)?;
    Ok(plan)
}

/// The addresses of the stack, and what the network sees instead.
fn addresses(
    options: &HostOptions,
    one_ended: &OneEndedOptions,
    plan: &Plan,
) -> Result<Vec<SharedAddress>, Failure> {
    let stack = options.addresses.iter().map(|StackAddress { addr, interface }| match interface {
        None => Ok(*addr),
        Some(_) => {
            let what =
                "with --one-ended an address is on all paths: --address ADDR, without @IFACE";
            Err(Failure::Usage(what.to_owned()))
        }
    });
    let stack = stack.collect::<Result<Vec<IpAddr>, Failure>>()?;
    if options.no_masquerade {
        return untranslated(stack, &one_ended.public);
    }
    let public = match &one_ended.public[..] {
        [] => found(plan)?,
        given => given.to_vec(),
    };
    let (v4, v6) = stack_addresses(1).map_err(|error| setup_failure(&error))?[0];
    let free = |public: IpAddr| if public.is_ipv4() { v4.into() } else { v6.into() };
    let shared = public.into_iter().map(|public| {
        let given = stack.iter().copied().find(|addr| addr.is_ipv4() == public.is_ipv4());
        SharedAddress { local: given.unwrap_or(free(public)), public: Some(public) }
    });
    Ok(shared.collect())
}

fn untranslated(stack: Vec<IpAddr>, public: &[IpAddr]) -> Result<Vec<SharedAddress>, Failure> {
    if stack.is_empty() || !public.is_empty() {
        let what = "--one-ended with --no-masquerade takes the address that the network routes to \
                    this host as --address ADDR, and no --public";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(stack.into_iter().map(|local| SharedAddress { local, public: None }).collect())
}

/// The addresses that the paths have in common, where nobody said.
fn found(plan: &Plan) -> Result<Vec<IpAddr>, Failure> {
    let interfaces: Vec<_> = plan.interfaces().collect();
    let hint = "; say --public ADDR if one of this host's addresses may be used on all paths";
    let found = common_addresses(&interfaces)
        .map_err(|error| Failure::Usage(format!("--one-ended: {error}{hint}")))?;
    if found.is_empty() {
        return Err(Failure::Usage(format!("--one-ended: no address is found{hint}")));
    }
    Ok(found)
}

fn one_of_each_version(addresses: &[SharedAddress]) -> Result<(), Failure> {
    let v4 = addresses.iter().filter(|address| address.local.is_ipv4()).count();
    if v4 > 1 || addresses.len() - v4 > 1 {
        let what = "--one-ended takes one address of each IP version, which all paths share";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(())
}

/// IPv4 has no flow label: the paths would all be one.
fn labels_are_of_ipv6(plan: &Plan) -> Result<(), Failure> {
    let labelled = |(_, selector): &_| matches!(selector, PathSelector::FlowLabel(_));
    let v4 = plan.addresses.iter().find(|address| address.local.is_ipv4());
    match v4.filter(|_| plan.paths.iter().any(labelled)) {
        Some(SharedAddress { local, public }) => {
            let addr = public.unwrap_or(*local);
            Err(Failure::Usage(format!("flow-label paths are of IPv6, and {addr} is of IPv4")))
        }
        None => Ok(()),
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
        #[command(flatten)]
        one_ended: OneEndedOptions,
    }

    fn plan_of(line: &str) -> Result<Plan, Failure> {
        let words = ["test", "--one-ended"].into_iter().chain(line.split_whitespace());
        let Line { host, one_ended } = Line::parse_from(words);
        plan(&host, &one_ended)
    }

    fn selector(text: &str) -> Result<PathSelector, String> {
        text.parse().map(|NamedSelector(selector)| selector)
    }

    #[test]
    fn a_path_is_an_interface_with_a_next_hop_or_a_mark() {
        let iface = |next_hop| Ok(PathSelector::Interface { name: "wan0".to_owned(), next_hop });
        assert_eq!(selector("wan0"), iface(NextHop::Found));
        let gateway = "fe80::1".parse().expect("an address");
        assert_eq!(selector("wan0@fe80::1"), iface(NextHop::Gateway(gateway)));
        assert_eq!(
            selector("wan0@02:00:00:00:00:01"),
            iface(NextHop::Mac(Mac([2, 0, 0, 0, 0, 1])))
        );
        assert_eq!(selector("mark:0x10"), Ok(PathSelector::Mark(16)));
        assert_eq!(selector("dscp:46"), Ok(PathSelector::Dscp(46)));
        assert_eq!(selector("flow-label:7"), Ok(PathSelector::FlowLabel(7)));
        for wrong in ["dscp:64", "flow-label:0x100000", "mark:", "wan0@", "wan0@10.0.0"] {
            assert!(selector(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_shared_by_all_paths() {
        let line = "--path wan0 --path wan1 --address 192.0.2.7 --no-masquerade";
        let plan = plan_of(line).expect("nothing is missing");
        let local = "192.0.2.7".parse().expect("an address");
        assert_eq!(plan.addresses, [SharedAddress { local, public: None }]);
        assert_eq!(plan.interfaces().collect::<Vec<_>>(), ["wan0", "wan1"]);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let two = "--path wan0 --path wan1";
        for (line, said) in [
            ("--path wan0".to_owned(), "two paths"),
            (format!("{two} --backup wan2"), "--backup"),
            (format!("{two} --no-masquerade"), "--address ADDR"),
            (format!("{two} --no-masquerade --address 10.0.0.7@wan0"), "without @IFACE"),
            (format!("{two} --no-masquerade --address 10.0.0.7 --address 10.0.0.8"), "one address"),
            ("--path wan0@x --path wan1".to_owned(), "--path wan0@x"),
            (
                "--path flow-label:1 --path flow-label:2 --no-masquerade --address 10.0.0.7"
                    .to_owned(),
                "flow-label paths are of IPv6",
            ),
        ] {
            let failure = plan_of(&line).expect_err(&line);
            assert_eq!(failure.code(), 2);
            assert!(failure.to_string().contains(said), "{line}: {failure}");
        }
    }

    #[test]
    fn tuns_are_numbered_on() {
        assert_eq!(tun_name("mpath0", 0), "mpath0");
        assert_eq!(tun_name("mpath9", 2), "mpath11");
        assert_eq!([tun_name("up", 0), tun_name("up", 1)], ["up", "up1"]);
    }
}
