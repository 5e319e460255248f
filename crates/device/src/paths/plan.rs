//! Decides which changes make the paths of a setup; makes none of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::change::Change;
use super::sysctls::sysctls;
use super::{EstablishedPath, Family, NextHop, PathSetupConfig, PathSetupError, PathSpec, query};

/// Marks our routes and rules: the `protocol` of `ip route` and `ip rule`.
pub(super) const PROTOCOL: u32 = 77;
/// Priorities of our rules: before those of the main table and of most VPNs.
const FIRST_PRIORITY: u32 = 1_000;
/// Numbers of our routing tables.
const FIRST_TABLE: u32 = 77_000;
/// Paths that may exist at a time in one network namespace.
const SLOTS: u32 = 256;
/// What the last route of each table costs: more than any other.
const LAST_METRIC: u32 = u32::MAX;

/// What the kernel has now, for one family.
pub(super) struct View {
    pub(super) family: Family,
    routes: Vec<query::Route>,
    rules: Vec<query::Rule>,
}

impl View {
    pub(super) fn of(family: Family) -> Result<Self, PathSetupError> {
        Ok(Self { family, routes: query::routes(family)?, rules: query::rules(family)? })
    }

    fn uses(&self, slot: u32) -> bool {
        let table = (FIRST_TABLE + slot).to_string();
        self.rules.iter().any(|rule| rule.priority == FIRST_PRIORITY + slot)
            || self.routes.iter().any(|route| route.table.as_deref() == Some(&table))
    }
}

/// How packets of a path leave.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) interface: String,
    pub(super) next_hop: NextHop,
    /// The stack's addresses that use it.
    pub(super) local: Vec<IpAddr>,
}

impl From<&PathSpec> for Way {
    fn from(spec: &PathSpec) -> Self {
        let next_hop = spec.gateway.map_or(NextHop::Found, NextHop::Gateway);
        Self { interface: spec.interface.clone(), next_hop, local: spec.local.clone() }
    }
}

/// What is to be done, and what comes of it.
pub(super) struct Plan {
    /// In the order to make them.
    pub(super) changes: Vec<Change>,
    /// How packets leave.
    pub(super) ways: Vec<Way>,
    /// What became of each way, in their order.
    pub(super) paths: Vec<EstablishedPath>,
}

/// Numbers of routing tables, and priorities of rules, that nobody uses.
pub(super) struct Slots(Box<dyn Iterator<Item = u32>>);

impl Slots {
    pub(super) fn free(views: &[View]) -> Self {
        let free = (0..SLOTS).filter(|&slot| !views.iter().any(|view| view.uses(slot)));
        Self(Box::new(free.collect::<Vec<_>>().into_iter()))
    }

    /// The next table and priority.
    pub(super) fn take(&mut self) -> Result<(u32, u32), PathSetupError> {
        let slot = self.0.next().ok_or(PathSetupError::TooManyPaths)?;
        Ok((FIRST_TABLE + slot, FIRST_PRIORITY + slot))
    }
}

/// The setup of paths with an address each.
pub(super) fn plan(config: &PathSetupConfig, alive: &[Change]) -> Result<Plan, PathSetupError> {
    let local = || config.paths.iter().flat_map(|path| &path.local).copied();
    let views = views(local())?;
    let interfaces = || config.paths.iter().map(|path| path.interface.as_str());
    let named = || interfaces().chain([config.tun.as_str()]);
    check(named(), local(), &views)?;
    let mut slots = Slots::free(&views);
    let families: Vec<_> = views.iter().map(|view| view.family).collect();
    let mut changes = sysctls(&families, named(), alive)?;
    let (mut ways, mut paths) = (Vec::new(), Vec::new());
    for spec in &config.paths {
        let (table, priority) = slots.take()?;
        let way = Way::from(spec);
        let mut path = EstablishedPath::new(&way.interface, table);
        for view in &views {
            changes.extend(table_routes(view, &way, &mut path));
            changes.extend(selection(view.family, &config.tun, spec, (table, priority)));
        }
        ways.push(way);
        paths.push(path);
    }
    changes.extend(masquerade(config));
    Ok(Plan { changes, ways, paths })
}

/// The routes of the paths' tables as they have to be now, after interfaces or gateways changed.
pub(super) fn routes(
    ways: &[Way],
    paths: &mut [EstablishedPath],
) -> Result<Vec<Change>, PathSetupError> {
    let views = views(ways.iter().flat_map(|way| way.local.iter().copied()))?;
    let mut changes = Vec::new();
    for (way, path) in ways.iter().zip(paths) {
        path.gateways.clear();
        for view in &views {
            changes.extend(table_routes(view, way, path));
        }
    }
    Ok(changes)
}

/// What the kernel has, for each family of the stack's addresses.
pub(super) fn views(local: impl Iterator<Item = IpAddr>) -> Result<Vec<View>, PathSetupError> {
    let local: Vec<_> = local.collect();
    let families = [Family::V4, Family::V6].into_iter();
    let used = families.filter(|family| local.iter().any(|&address| family.has(address)));
    used.map(View::of).collect()
}

/// Every interface must be there, and no address of the stack may be one of the kernel, which would
/// answer for it, or another stack's.
pub(super) fn check<'a>(
    wanted: impl Iterator<Item = &'a str>,
    local: impl Iterator<Item = IpAddr>,
    views: &[View],
) -> Result<(), PathSetupError> {
    let interfaces = query::interfaces()?;
    for name in wanted {
        if !interfaces.iter().any(|interface| interface.ifname == *name) {
            return Err(PathSetupError::NoInterface { name: name.to_owned() });
        }
    }
    for address in local {
        let has = |i: &&query::Interface| i.addr_info.iter().any(|a| a.local == Some(address));
        let routed = views.iter().flat_map(|view| &view.routes).find(|route| route.is_to(address));
        let own = interfaces.iter().find(has).map(|interface| interface.ifname.clone());
        if let Some(interface) = own.or_else(|| routed.and_then(|route| route.dev.clone())) {
            return Err(PathSetupError::AddressTaken { address, interface });
        }
    }
    Ok(())
}

/// The routes by which packets of the path leave.
pub(super) fn table_routes(view: &View, way: &Way, path: &mut EstablishedPath) -> Vec<Change> {
    let family = view.family;
    if !way.local.iter().any(|&address| family.has(address)) {
        return Vec::new();
    }
    let (dev, table) = (&way.interface, path.table);
    let route =
        |words: &str| Change::route(family, &format!("{words} table {table} protocol {PROTOCOL}"));
    let subnets = query::connected(&view.routes, dev).collect::<BTreeSet<_>>();
    let mut changes =
        subnets.iter().map(|subnet| route(&format!("{subnet} dev {dev}"))).collect::<Vec<_>>();
    let found = || query::default_gateway(&view.routes, dev);
    let gateway = match way.next_hop {
        NextHop::Gateway(gateway) if family.has(gateway) => Some(gateway),
        NextHop::Gateway(_) | NextHop::Found => found(),
        NextHop::Mac(mac) => {
            let address = stand_in(family, table);
            changes.push(Change::Neighbour { address, mac, interface: dev.clone() });
            Some(address)
        }
    };
    changes.push(match gateway {
        Some(gateway) => {
            path.gateways.push(gateway);
            route(&format!("default via {gateway} dev {dev} onlink"))
        }
        None => route(&format!("default dev {dev}")),
    });
    // Should the interface go down, its packets must not leave by another one.
    changes.push(route(&format!("unreachable default metric {LAST_METRIC}")));
    changes
}

/// A link-local address (RFC 3927, RFC 4291 §2.5.6) that stands for a next hop of which the link
/// address is known only. Packets never carry it.
fn stand_in(family: Family, table: u32) -> IpAddr {
    let number = u16::try_from(table - FIRST_TABLE + 1).expect("there are 256 tables");
    let [high, low] = number.to_be_bytes();
    match family {
        Family::V4 => Ipv4Addr::new(169, 254, 77 + high, low).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0x6d70, 0, 0, number).into(),
    }
}

/// What brings packets for the path's addresses to the stack, and packets from them to the table.
fn selection(
    family: Family,
    tun: &str,
    spec: &PathSpec,
    (table, priority): (u32, u32),
) -> Vec<Change> {
    let local = spec.local.iter().filter(|&&address| family.has(address));
    let changes = local.flat_map(|address| {
        let to_stack = format!("{address} dev {tun} protocol {PROTOCOL}");
        let from_stack =
            format!("from {address} lookup {table} priority {priority} protocol {PROTOCOL}");
        [Change::route(family, &to_stack), Change::rule(family, &from_stack)]
    });
    changes.collect()
}

/// The table that gives packets of the stack the address of the interface by which they leave.
fn masquerade(config: &PathSetupConfig) -> Option<Change> {
    let paths = config.paths.iter().filter(|path| path.masquerade);
    let rules = paths.flat_map(|path| {
        path.local.iter().map(|address| {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            format!("{family} saddr {address} oifname \"{}\" masquerade\n", path.interface)
        })
    });
    let rules = rules.collect::<String>();
    if rules.is_empty() {
        return None;
    }
    let name = table_name(&config.tun);
    let chain = "type nat hook postrouting priority srcnat; policy accept;";
    Some(Change::Table { name, content: format!("chain postrouting {{\n{chain}\n{rules}}}") })
}

/// The name of the table of nftables of the setup with this TUN.
pub(super) fn table_name(tun: &str) -> String {
    let tun = tun.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("manypath_{}_{tun}", std::process::id())
}
