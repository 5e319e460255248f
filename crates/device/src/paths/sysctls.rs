//! The kernel settings that paths need: forwarding, and no strict check of source addresses.

use super::change::{Change, read_sysctl};
use super::{Family, PathSetupError};

/// Kernel settings to change: forwarding between the interfaces, and no strict reverse path filter
/// (RFC 3704 §2.4: it would drop what arrives by any but the best route).
///
/// `alive` is what setups have changed that are alive.
pub(super) fn sysctls<'a>(
    families: &[Family],
    interfaces: impl IntoIterator<Item = &'a str>,
    alive: &[Change],
) -> Result<Vec<Change>, PathSetupError> {
    let mut plan = Sysctls { alive, changes: Vec::new() };
    if families.contains(&Family::V4) {
        let strict = read_sysctl("net/ipv4/conf/all/rp_filter")?.as_deref() == Some("1");
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
    if families.contains(&Family::V6) {
        plan.forward_v6()?;
    }
    Ok(plan.changes)
}

/// ARP requests name an address of their interface as the sender (RFC 826), not the source of the
/// packet that waits for the answer: a neighbour may not answer to an address of another network.
pub(super) fn announce_own_addresses<'a>(
    interfaces: impl IntoIterator<Item = &'a str>,
    alive: &[Change],
) -> Result<Vec<Change>, PathSetupError> {
    let mut plan = Sysctls { alive, changes: Vec::new() };
    for name in interfaces {
        plan.set(&format!("net/ipv4/conf/{name}/arp_announce"), "2")?;
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
        for name in conf_entries(Family::V6).into_iter().filter(|name| name != "all") {
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

/// Interfaces that have settings of a family, and `all` and `default`.
pub(super) fn conf_entries(family: Family) -> Vec<String> {
    let folder = match family {
        Family::V4 => "/proc/sys/net/ipv4/conf",
        Family::V6 => "/proc/sys/net/ipv6/conf",
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.collect()
}
