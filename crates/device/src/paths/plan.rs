//! Decides which changes make the paths of a setup; makes none of them.

use std::collections::BTreeSet;

use super::change::{Change, read_sysctl};
use super::{EstablishedPath, Family, PathSetupConfig, PathSetupError, PathSpec, query};

/// Marks our routes and rules: the `protocol` of `ip route` and `ip rule`.
const PROTOCOL: u32 = 77;
/// Priorities of our rules: before those of the main table and of most VPNs.
const FIRST_PRIORITY: u32 = 1_000;
/// Numbers of our routing tables.
const FIRST_TABLE: u32 = 77_000;
/// Paths that may exist at a time in one network namespace.
const SLOTS: u32 = 256;
/// What the last route of each table costs: more than any other.
const LAST_METRIC: u32 = u32::MAX;

/// What the kernel has now, for one family.
struct View {
    family: Family,
    routes: Vec<query::Route>,
    rules: Vec<query::Rule>,
}

impl View {
    fn of(family: Family) -> Result<Self, PathSetupError> {
        Ok(Self { family, routes: query::routes(family)?, rules: query::rules(family)? })
    }

    fn uses(&self, slot: u32) -> bool {
        let table = (FIRST_TABLE + slot).to_string();
        self.rules.iter().any(|rule| rule.priority == FIRST_PRIORITY + slot)
            || self.routes.iter().any(|route| route.table.as_deref() == Some(&table))
    }
}

/// The changes in the order to make them, and what becomes of each path.
pub(super) fn plan(
    config: &PathSetupConfig,
    alive: &[Change],
) -> Result<(Vec<Change>, Vec<EstablishedPath>), PathSetupError> {
    let views = views(config)?;
    check(config, &views)?;
    let mut slots = (0..SLOTS).filter(|&slot| !views.iter().any(|view| view.uses(slot)));
    let mut changes = sysctls(config, alive)?;
    let mut paths = Vec::new();
    for spec in &config.paths {
        let slot = slots.next().ok_or(PathSetupError::TooManyPaths)?;
        let table = FIRST_TABLE + slot;
        let interface = spec.interface.clone();
        let mut path = EstablishedPath { interface, table, gateways: Vec::new() };
        for view in &views {
            changes.extend(table_routes(view, spec, &mut path));
            changes.extend(selection(view.family, &config.tun, spec, slot));
        }
        paths.push(path);
    }
    changes.extend(masquerade(config));
    Ok((changes, paths))
}

/// The routes of the paths' tables as they have to be now, after interfaces or gateways changed.
pub(super) fn routes(
    config: &PathSetupConfig,
    paths: &mut [EstablishedPath],
) -> Result<Vec<Change>, PathSetupError> {
    let views = views(config)?;
    let mut changes = Vec::new();
    for (spec, path) in config.paths.iter().zip(paths) {
        path.gateways.clear();
        for view in &views {
            changes.extend(table_routes(view, spec, path));
        }
    }
    Ok(changes)
}

/// What the kernel has, for each family that the paths use.
fn views(config: &PathSetupConfig) -> Result<Vec<View>, PathSetupError> {
    let families = [Family::V4, Family::V6].into_iter();
    families.filter(|&family| uses(config, family)).map(View::of).collect()
}

fn uses(config: &PathSetupConfig, family: Family) -> bool {
    config.paths.iter().flat_map(|path| &path.local).any(|&address| family.has(address))
}

/// Every interface must be there, and no address of the stack may be one of the kernel, which would
/// answer for it, or another stack's.
fn check(config: &PathSetupConfig, views: &[View]) -> Result<(), PathSetupError> {
    let interfaces = query::interfaces()?;
    let wanted = config.paths.iter().map(|path| &path.interface).chain([&config.tun]);
    for name in wanted {
        if !interfaces.iter().any(|interface| interface.ifname == *name) {
            return Err(PathSetupError::NoInterface { name: name.clone() });
        }
    }
    for &address in config.paths.iter().flat_map(|path| &path.local) {
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
fn table_routes(view: &View, spec: &PathSpec, path: &mut EstablishedPath) -> Vec<Change> {
    let family = view.family;
    if !spec.local.iter().any(|&address| family.has(address)) {
        return Vec::new();
    }
    let (dev, table) = (&spec.interface, path.table);
    let route =
        |words: &str| Change::route(family, &format!("{words} table {table} protocol {PROTOCOL}"));
    let subnets = query::connected(&view.routes, dev).collect::<BTreeSet<_>>();
    let mut changes =
        subnets.iter().map(|subnet| route(&format!("{subnet} dev {dev}"))).collect::<Vec<_>>();
    let found = || query::default_gateway(&view.routes, dev);
    changes.push(match spec.gateway.filter(|&gateway| family.has(gateway)).or_else(found) {
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

/// What brings packets for the path's addresses to the stack, and packets from them to the table.
fn selection(family: Family, tun: &str, spec: &PathSpec, slot: u32) -> Vec<Change> {
    let (table, priority) = (FIRST_TABLE + slot, FIRST_PRIORITY + slot);
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
    let tun = config.tun.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let name = format!("manypath_{}_{tun}", std::process::id());
    let chain = "type nat hook postrouting priority srcnat; policy accept;";
    Some(Change::Table { name, content: format!("chain postrouting {{\n{chain}\n{rules}}}") })
}

/// Kernel settings to change: forwarding between the interfaces, and no strict reverse path filter
/// (RFC 3704 §2.4: it would drop what arrives by any but the best route).
fn sysctls(config: &PathSetupConfig, alive: &[Change]) -> Result<Vec<Change>, PathSetupError> {
    let mut plan = Sysctls { alive, changes: Vec::new() };
    if uses(config, Family::V4) {
        let strict = read_sysctl("net/ipv4/conf/all/rp_filter")?.as_deref() == Some("1");
        let interfaces = config.paths.iter().map(|path| &path.interface).chain([&config.tun]);
        for name in interfaces {
            plan.set(&format!("net/ipv4/conf/{name}/forwarding"), "1")?;
            let key = format!("net/ipv4/conf/{name}/rp_filter");
            // The stricter of `all` and the interface's own counts, and 2 (loose) beats 1.
            let own = read_sysctl(&key)?;
            if own.as_deref() == Some("1") || (strict && own.as_deref() == Some("0")) {
                plan.set(&key, "2")?;
            } else {
                plan.adopt(&key);
            }
        }
    }
    if uses(config, Family::V6) {
        plan.forward_v6()?;
    }
    Ok(plan.changes)
}

struct Sysctls<'a> {
    /// What setups have changed that are alive: their notes say what was there before all of them.
    alive: &'a [Change],
    changes: Vec<Change>,
}

impl Sysctls<'_> {
    /// Sets a key, unless it has the value by itself.
    fn set(&mut self, key: &str, value: &str) -> Result<(), PathSetupError> {
        if self.adopt(key) {
            return Ok(());
        }
        match read_sysctl(key)? {
            Some(former) if former != value => self.push(key, value, former),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Takes a key over that a setup alive has set: whoever ends last puts it back. Says whether
    /// the key is planned now.
    fn adopt(&mut self, key: &str) -> bool {
        if self.changes.iter().any(|change| change.sets(key)) {
            return true;
        }
        let found = self.alive.iter().find(|change| change.sets(key)).cloned();
        let is_some = found.is_some();
        self.changes.extend(found);
        is_some
    }

    fn push(&mut self, key: &str, value: &str, former: String) {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.changes.push(Change::Sysctl { key, value, former });
    }

    /// IPv6 forwards only with `all/forwarding`, which makes every interface a router's: it would
    /// forget its default routes and believe no router advertisement, unless `accept_ra` is 2. And
    /// putting `all` back to 0 does so for all interfaces: those with a 1 of their own are noted,
    /// to get it back after that.
    fn forward_v6(&mut self) -> Result<(), PathSetupError> {
        const ALL: &str = "net/ipv6/conf/all/forwarding";
        let alive =
            self.alive.iter().any(|c| matches!(c, Change::Sysctl { key, .. } if key == ALL));
        if read_sysctl(ALL)?.as_deref() == Some("1") && !alive {
            return Ok(());
        }
        for name in conf_entries().into_iter().filter(|name| name != "all") {
            let accept_ra = format!("net/ipv6/conf/{name}/accept_ra");
            if alive {
                self.adopt(&accept_ra);
                self.adopt(&format!("net/ipv6/conf/{name}/forwarding"));
                continue;
            }
            if read_sysctl(&accept_ra)?.as_deref() == Some("1") {
                self.set(&accept_ra, "2")?;
            }
            let forwarding = format!("net/ipv6/conf/{name}/forwarding");
            if read_sysctl(&forwarding)?.as_deref() == Some("1") {
                self.push(&forwarding, "1", "1".to_owned());
            }
        }
        self.set(ALL, "1")
    }
}

/// Interfaces that have IPv6 settings, and `all` and `default`.
fn conf_entries() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc/sys/net/ipv6/conf") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.collect()
}
