//! The kernel's MPTCP of a host: endpoints, limits and counters.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::IpAddr;

use crate::error::{Context as _, LabError};
use crate::netns::Namespace;

/// What the kernel's path manager does with an address of its own (`ip-mptcp(8)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Announces it to the peer with ADD_ADDR.
    Signal,
    /// Opens a subflow from it.
    Subflow,
    /// Opens a subflow from it with the backup flag.
    SubflowBackup,
    /// Opens subflows from it to every address of the peer.
    Fullmesh,
}

impl EndpointKind {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Signal => &["signal"],
            Self::Subflow => &["subflow"],
            Self::SubflowBackup => &["subflow", "backup"],
            Self::Fullmesh => &["subflow", "fullmesh"],
        }
    }
}

impl Namespace {
    /// Tells the kernel's path manager about an address of interface `dev`.
    ///
    /// # Errors
    /// When `ip` or the kernel knows no MPTCP.
    pub fn mptcp_endpoint(
        &self,
        addr: IpAddr,
        dev: &str,
        kind: EndpointKind,
    ) -> Result<(), LabError> {
        let addr = addr.to_string();
        let mut args = vec!["mptcp", "endpoint", "add", &addr, "dev", dev];
        args.extend(kind.flags());
        self.ip(&args).map(drop)
    }

    /// Sets how many subflows a connection may have besides the first, and how many ADD_ADDRs of
    /// the peer it accepts.
    ///
    /// # Errors
    /// When `ip` or the kernel knows no MPTCP.
    pub fn mptcp_limits(&self, subflows: u8, add_addr_accepted: u8) -> Result<(), LabError> {
        let (subflows, accepted) = (subflows.to_string(), add_addr_accepted.to_string());
        let limits = ["mptcp", "limits", "set", "subflows", &subflows];
        self.ip(&[&limits[..], &["add_addr_accepted", &accepted]].concat()).map(drop)
    }

    /// The kernel's extended TCP and MPTCP counters of this host since it was made.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn counters(&self) -> Result<Counters, LabError> {
        let text = self.run(|| fs::read_to_string("/proc/thread-self/net/netstat"))?;
        text.map(|text| Counters::parse(&text)).context(|| "reading /proc/net/netstat".to_owned())
    }
}

/// Counters by name as `nstat` shows them, like `MPTcpExtMPJoinAckRx`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Pairs of lines: `Group: name ..` and `Group: value ..`. Groups other than TcpExt and
    /// MPTcpExt are left out.
    fn parse(text: &str) -> Self {
        let mut out = BTreeMap::new();
        let mut lines = text.lines();
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((group, names)), Some((_, values))) =
                (names.split_once(':'), values.split_once(':'))
            else {
                continue;
            };
            if matches!(group, "TcpExt" | "MPTcpExt") {
                let pairs = names.split_whitespace().zip(values.split_whitespace());
                out.extend(pairs.map(|(n, v)| (format!("{group}{n}"), v.parse().unwrap_or(0))));
            }
        }
        Self(out)
    }

    /// The counter of this name; 0 where this kernel has none such.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// What was counted since `earlier`; counters that did not move are left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let moved = self.0.iter().map(|(n, v)| (n.clone(), v.saturating_sub(earlier.get(n))));
        Self(moved.filter(|&(_, v)| v > 0).collect())
    }

    /// The counters whose name starts with `prefix`, by name.
    pub fn iter(&self, prefix: &str) -> impl Iterator<Item = (&str, u64)> {
        let all = self.0.iter().map(|(name, value)| (name.as_str(), *value));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }
}

impl fmt::Display for Counters {
    /// Those that are not zero, `name=value` with a space between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> =
            self.iter("").filter(|&(_, v)| v > 0).map(|(n, v)| format!("{n}={v}")).collect();
        f.write_str(&shown.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "TcpExt: SyncookiesSent A\nTcpExt: 1 2\nIpExt: X\nIpExt: 9\n\
                        MPTcpExt: MPJoinAckRx B\nMPTcpExt: 3 0\n";

    #[test]
    fn counters_are_named_like_nstat_does() {
        let counters = Counters::parse(TEXT);
        assert_eq!(counters.get("MPTcpExtMPJoinAckRx"), 3);
        assert_eq!(counters.get("IpExtX"), 0);
        assert_eq!(counters.to_string(), "MPTcpExtMPJoinAckRx=3 TcpExtA=2 TcpExtSyncookiesSent=1");
        let earlier = Counters::parse(&TEXT.replace("1 2", "1 1"));
        assert_eq!(counters.since(&earlier).to_string(), "TcpExtA=1");
    }
}
