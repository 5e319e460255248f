//! Asks the kernel, through `ip -json`, what addresses, routes and rules there are.

use std::net::IpAddr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Family;
use crate::command::{CommandError, run};

/// One interface with its addresses.
#[derive(Debug, Deserialize)]
pub(crate) struct Interface {
    #[serde(default)]
    pub(crate) ifname: String,
    /// The link address, where it has one.
    #[serde(default)]
    pub(crate) address: String,
    /// In bytes.
    #[serde(default)]
    pub(crate) mtu: u32,
    #[serde(default)]
    pub(crate) addr_info: Vec<Address>,
}

/// One address of an interface.
#[derive(Debug, Deserialize)]
pub(crate) struct Address {
    pub(crate) local: Option<IpAddr>,
    /// Bits of the network's prefix.
    #[serde(default)]
    pub(super) prefixlen: u8,
    /// `global`, `link` or `host`.
    #[serde(default)]
    pub(super) scope: String,
}

/// One route.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Route {
    #[serde(default)]
    pub(super) dst: String,
    pub(super) gateway: Option<IpAddr>,
    pub(super) dev: Option<String>,
    #[serde(default)]
    pub(super) metric: u32,
    /// Missing for the main table.
    pub(super) table: Option<String>,
    /// Missing for unicast.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) nexthops: Vec<NextHop>,
}

/// One way of a route that has several.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct NextHop {
    pub(super) gateway: Option<IpAddr>,
    pub(super) dev: Option<String>,
}

/// One policy rule.
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) priority: u32,
}

pub(crate) fn interfaces() -> Result<Vec<Interface>, CommandError> {
    ask(&["-json", "address", "show"])
}

/// Every route of every table.
pub(crate) fn routes(family: Family) -> Result<Vec<Route>, CommandError> {
    ask(&[family.flag(), "-json", "route", "show", "table", "all"])
}

pub(super) fn rules(family: Family) -> Result<Vec<Rule>, CommandError> {
    ask(&[family.flag(), "-json", "rule", "show"])
}

impl Route {
    /// The gateway of this route over `dev`, where it is a default route over `dev` at all.
    fn default_gateway(&self, dev: &str) -> Option<IpAddr> {
        if self.dst != "default" {
            return None;
        }
        let over = |name: &Option<String>| name.as_deref() == Some(dev);
        let hop = self.nexthops.iter().find(|hop| over(&hop.dev));
        self.gateway.filter(|_| over(&self.dev)).or_else(|| hop.and_then(|hop| hop.gateway))
    }

    /// Whether it is the route to this very address.
    pub(super) fn is_to(&self, address: IpAddr) -> bool {
        self.dst.parse() == Ok(address)
    }

    /// Whether it says that `dst` is a neighbour on `dev`.
    fn is_connected(&self, dev: &str) -> bool {
        self.dev.as_deref() == Some(dev)
            && self.table.is_none()
            && self.gateway.is_none()
            && self.kind.as_deref().is_none_or(|kind| kind == "unicast")
            && self.dst != "default"
            && !self.dst.starts_with("fe80:")
    }
}

/// The gateway of the default route over `dev`: from the main table where it has one, else from
/// any, and the one of the lowest metric.
pub(crate) fn default_gateway(routes: &[Route], dev: &str) -> Option<IpAddr> {
    let candidates = routes.iter().filter_map(|route| {
        let gateway = route.default_gateway(dev)?;
        Some(((route.table.is_some(), route.metric), gateway))
    });
    candidates.min_by_key(|&(preference, _)| preference).map(|(_, gateway)| gateway)
}

/// The subnets that are reached on `dev` without a gateway.
pub(crate) fn connected<'a>(routes: &'a [Route], dev: &'a str) -> impl Iterator<Item = &'a str> {
    routes.iter().filter(|route| route.is_connected(dev)).map(|route| route.dst.as_str())
}

fn ask<T: DeserializeOwned>(args: &[&str]) -> Result<Vec<T>, CommandError> {
    let answer = run("ip", args)?;
    if answer.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&answer).map_err(|error| CommandError::Answer {
        command: format!("ip {}", args.join(" ")),
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Vec<Route> {
        serde_json::from_str(json).expect("what ip prints")
    }

    #[test]
    fn the_gateway_is_that_of_the_best_default_route_of_the_interface() {
        let routes = parse(
            r#"[
            {"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"default","gateway":"10.1.0.9","dev":"wlan0","table":"9","flags":[]},
            {"dst":"default","gateway":"10.1.0.2","dev":"wlan0","metric":900,"flags":[]},
            {"dst":"default","gateway":"10.1.0.1","dev":"wlan0","metric":600,"flags":[]},
            {"dst":"default","nexthops":[{"gateway":"10.2.0.1","dev":"lte0","weight":1}]}]"#,
        );
        let gateway = |dev| default_gateway(&routes, dev).map(|gateway| gateway.to_string());
        assert_eq!(gateway("eth0").as_deref(), Some("10.0.0.1"));
        assert_eq!(gateway("wlan0").as_deref(), Some("10.1.0.1"));
        assert_eq!(gateway("lte0").as_deref(), Some("10.2.0.1"));
        assert_eq!(gateway("eth1"), None);
    }

    #[test]
    fn connected_subnets_are_the_unicast_routes_without_a_gateway() {
        let routes = parse(
            r#"[
            {"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"10.0.0.0/24","dev":"eth0","protocol":"kernel","scope":"link","flags":[]},
            {"dst":"10.9.0.0/24","gateway":"10.0.0.7","dev":"eth0","flags":[]},
            {"dst":"fe80::/64","dev":"eth0","protocol":"kernel","flags":[]},
            {"type":"local","dst":"10.0.0.5","dev":"eth0","table":"local","flags":[]},
            {"type":"multicast","dst":"ff00::/8","dev":"eth0","table":"local","flags":[]}]"#,
        );
        assert_eq!(connected(&routes, "eth0").collect::<Vec<_>>(), ["10.0.0.0/24"]);
    }
}
