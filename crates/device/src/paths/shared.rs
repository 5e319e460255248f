//! Paths that have the stack's addresses in common: a TUN interface for each, and one translation
//! for all of them.

use std::net::{IpAddr, Ipv4Addr};

use super::addresses::Prefix;
use super::change::Change;
use super::plan::{self, PROTOCOL, Plan, Slots, Way};
use super::sysctls::{announce_own_addresses, conf_entries, sysctls};
use super::{EstablishedPath, Family, PathSelector, PathSetupError, query};

/// An address that all paths have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedAddress {
    /// The stack's.
    pub local: IpAddr,
    /// What the network sees instead, an address of this host of the same IP version: packets of
    /// the stack get it as their source whichever way they leave. Without one the network must
    /// route `local` to this host.
    pub public: Option<IpAddr>,
}

/// One path of those that share addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedPathSpec {
    /// The stack's TUN interface of this path.
    pub tun: String,
    /// By what its packets are told from those of the other paths.
    pub selector: PathSelector,
}

/// The paths of a stack that have addresses in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSetupConfig {
    /// The addresses, at most one of each IP version.
    pub addresses: Vec<SharedAddress>,
    /// TCP ports of the public addresses that lead to the stack.
    pub served: Vec<u16>,
    /// The paths. What comes in goes to the one whose interface it comes by, else to the first.
    pub paths: Vec<SharedPathSpec>,
}

impl SharedSetupConfig {
    fn local(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|address| address.local).collect()
    }

    /// The interfaces that forward: those of the paths, or where a mark decides, all.
    fn forwarding(&self) -> Vec<String> {
        let named = self.paths.iter().map(|path| path.selector.interface().map(str::to_owned));
        let Some(mut names) = named.collect::<Option<Vec<_>>>() else {
            let mut names = conf_entries(Family::V4);
            names.retain(|name| !["all", "default", "lo"].contains(&name.as_str()));
            return names;
        };
        names.extend(self.paths.iter().map(|path| path.tun.clone()));
        names
    }
}

/// The addresses of this host that the networks of all these interfaces know: those of the first
/// one that are in a network of each other one, at most one of each IP version.
///
/// # Errors
/// When the kernel cannot be asked, an interface is not there, or there is none.
pub fn common_addresses(interfaces: &[&str]) -> Result<Vec<IpAddr>, PathSetupError> {
    let there = query::interfaces()?;
    let networks = |name: &str| {
        let found = there.iter().find(|interface| interface.ifname == name);
        let found = found.ok_or(PathSetupError::NoInterface { name: name.to_owned() })?;
        let global = found.addr_info.iter().filter(|address| address.scope == "global");
        let prefix = |a: &query::Address| Some(Prefix { address: a.local?, len: a.prefixlen });
        Ok::<Vec<Prefix>, PathSetupError>(global.filter_map(prefix).collect())
    };
    let Some((first, others)) = interfaces.split_first() else { return Ok(Vec::new()) };
    let mut common = networks(first)?;
    for other in others {
        let theirs = networks(other)?;
        common.retain(|own| theirs.iter().any(|prefix| prefix.contains(own.address)));
        if common.is_empty() {
            let (first, other) = ((*first).to_owned(), (*other).to_owned());
            return Err(PathSetupError::NothingInCommon { first, other });
        }
    }
    let of = |family: Family| common.iter().map(|own| own.address).find(|&a| family.has(a));
    Ok([Family::V4, Family::V6].into_iter().filter_map(of).collect())
}

/// The setup of paths that share addresses.
pub(super) fn plan(config: &SharedSetupConfig, alive: &[Change]) -> Result<Plan, PathSetupError> {
    let local = config.local();
    let views = plan::views(local.iter().copied())?;
    let named = || config.paths.iter().filter_map(|path| path.selector.interface());
    let tuns = config.paths.iter().map(|path| path.tun.as_str());
    plan::check(named().chain(tuns), local.iter().copied(), &views)?;
    check_public(config)?;
    let families: Vec<_> = views.iter().map(|view| view.family).collect();
    let forwarding = config.forwarding();
    let mut changes = sysctls(&families, forwarding.iter().map(String::as_str), alive)?;
    if families.contains(&Family::V4) {
        changes.extend(addresses(config));
        changes.extend(announce_own_addresses(named(), alive)?);
    }
    let mut slots = Slots::free(&views);
    let (mut ways, mut paths) = (Vec::new(), Vec::new());
    for (path, selector) in config.paths.iter().map(|path| (path, &path.selector)) {
        let PathSelector::Interface { name, next_hop } = selector else { continue };
        let (table, priority) = slots.take()?;
        let way = Way { interface: name.clone(), next_hop: *next_hop, local: local.clone() };
        let mut established = EstablishedPath::new(name, table);
        for view in &views {
            changes.extend(plan::table_routes(view, &way, &mut established));
            let between = (path.tun.as_str(), name.as_str());
            changes.extend(selection(view.family, between, &local, (table, priority)));
        }
        ways.push(way);
        paths.push(established);
    }
    changes.extend(main_routes(config));
    changes.extend(table(config));
    Ok(Plan { changes, ways, paths })
}

/// The public addresses must be this host's: else what is sent to them does not come here.
fn check_public(config: &SharedSetupConfig) -> Result<(), PathSetupError> {
    let interfaces = query::interfaces()?;
    let own: Vec<_> = interfaces.iter().flat_map(|i| &i.addr_info).map(|a| a.local).collect();
    let missing = config.addresses.iter().filter_map(|address| address.public);
    match missing.into_iter().find(|&public| !own.contains(&Some(public))) {
        Some(address) => Err(PathSetupError::NotOfThisHost { address }),
        None => Ok(()),
    }
}

/// What the path's TUN sends goes by the path's table, and what comes by its interface for the
/// stack goes to the TUN.
fn selection(
    family: Family,
    (tun, interface): (&str, &str),
    local: &[IpAddr],
    (table, priority): (u32, u32),
) -> Vec<Change> {
    let rule = |words: String| {
        let way = format!("lookup {table} priority {priority} protocol {PROTOCOL}");
        Change::rule(family, &format!("{words} {way}"))
    };
    let inbound = local.iter().filter(|&&address| family.has(address)).flat_map(|address| {
        let to_stack = format!("{address} dev {tun} table {table} protocol {PROTOCOL}");
        [Change::route(family, &to_stack), rule(format!("iif {interface} to {address}"))]
    });
    inbound.chain([rule(format!("iif {tun}"))]).collect()
}

/// What comes for the stack otherwise goes to the first path.
fn main_routes(config: &SharedSetupConfig) -> Vec<Change> {
    let Some(first) = config.paths.first() else { return Vec::new() };
    let route = |address: IpAddr| {
        let words = format!("{address} dev {} protocol {PROTOCOL}", first.tun);
        Change::route(Family::of(address), &words)
    };
    config.local().into_iter().map(route).collect()
}

/// Addresses for the TUNs, which nobody uses: a loose reverse path filter (RFC 3704 §2.4) lets pass
/// what comes by another interface than that of the route back only where that interface has one.
fn addresses(config: &SharedSetupConfig) -> impl Iterator<Item = Change> {
    (1..=u8::MAX).zip(&config.paths).map(|(number, path)| Change::Address {
        address: Ipv4Addr::new(169, 254, 76, number).into(),
        interface: path.tun.clone(),
    })
}

/// The table of nftables: translation, and what packets of paths without an interface get.
fn table(config: &SharedSetupConfig) -> Option<Change> {
    let first = config.paths.first()?;
    let chains = [
        ("selectors", "type filter hook prerouting priority mangle", selectors(config)),
        ("served", "type nat hook prerouting priority dstnat", served(config)),
        ("sources", "type nat hook postrouting priority srcnat", sources(config)),
    ];
    let used = chains.iter().filter(|(.., rules)| !rules.is_empty());
    let content = used
        .map(|(name, hook, rules)| format!("chain {name} {{\n{hook}; policy accept;\n{rules}}}\n"))
        .collect::<String>();
    let name = plan::table_name(&first.tun);
    (!content.is_empty()).then_some(Change::Table { name, content })
}

fn selectors(config: &SharedSetupConfig) -> String {
    let rules = config.paths.iter().flat_map(|SharedPathSpec { tun, selector }| {
        let statements = selector.statement().unwrap_or_default().into_iter();
        statements.map(move |statement| format!("iifname \"{tun}\" {statement}\n"))
    });
    rules.collect()
}

/// Connections to the served ports go to the stack; their answers are translated back by themselves.
fn served(config: &SharedSetupConfig) -> String {
    let ports = config.served.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    if ports.is_empty() {
        return String::new();
    }
    translations(config, |ip, local, public| {
        format!("{ip} daddr {public} tcp dport {{ {ports} }} dnat {ip} to {local}\n")
    })
}

/// A fixed source: masquerading forgets a connection whose packets change the interface.
fn sources(config: &SharedSetupConfig) -> String {
    translations(config, |ip, local, public| format!("{ip} saddr {local} snat {ip} to {public}\n"))
}

fn translations(
    config: &SharedSetupConfig,
    rule: impl Fn(&str, IpAddr, IpAddr) -> String,
) -> String {
    let addresses = config.addresses.iter();
    let rules = addresses.filter_map(|&SharedAddress { local, public }| {
        let ip = if local.is_ipv4() { "ip" } else { "ip6" };
        Some(rule(ip, local, public?))
    });
    rules.collect()
}
