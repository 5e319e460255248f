//! One change to the system's configuration, and how to take it back.

use std::net::IpAddr;
use std::path::PathBuf;
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

use super::{Family, Mac, PathSetupError};
use crate::command::{CommandError, run, run_with_input};

/// A change that is made, and can be taken back from its description alone: by another process,
/// after the one that made it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    /// A route; the words behind `ip route replace`.
    Route { family: Family, words: Vec<String> },
    /// A policy rule; the words behind `ip rule add`.
    Rule { family: Family, words: Vec<String> },
    /// A neighbour whose link address is said instead of asked for.
    Neighbour { address: IpAddr, mac: Mac, interface: String },
    /// An address of the kernel on an interface, with nothing else in its network.
    Address { address: IpAddr, interface: String },
    /// A table of nftables of the family `inet`, with its content.
    Table { name: String, content: String },
    /// A kernel setting below `/proc/sys`.
    Sysctl { key: String, value: String, former: String },
}

impl Change {
    pub(super) fn route(family: Family, words: &str) -> Self {
        Self::Route { family, words: split(words) }
    }

    pub(super) fn rule(family: Family, words: &str) -> Self {
        Self::Rule { family, words: split(words) }
    }

    /// Makes the change. Routes and neighbours may be there already; they are replaced.
    pub(super) fn apply(&self) -> Result<(), PathSetupError> {
        match self {
            Self::Route { family, words } => ip(*family, "route", "replace", words)?,
            Self::Rule { family, words } => ip(*family, "rule", "add", words)?,
            Self::Neighbour { address, mac, interface } => {
                let words = format!("{address} lladdr {mac} dev {interface} nud permanent");
                ip(Family::of(*address), "neighbour", "replace", &split(&words))?;
            }
            Self::Address { address, interface } => {
                let words = split(&format!("{address} dev {interface} scope link"));
                ip(Family::of(*address), "address", "replace", &words)?;
            }
            Self::Table { name, content } => {
                let script = format!("table inet {name} {{\n{content}\n}}\n");
                run_with_input("nft", &["-f", "-"], &script)?;
            }
            Self::Sysctl { key, value, .. } => write_sysctl(key, value)?,
        }
        Ok(())
    }

    /// Takes the change back. What is gone already, with its interface for example, is fine.
    pub(super) fn undo(&self) -> Result<(), PathSetupError> {
        let result = match self {
            Self::Route { family, words } => ip(*family, "route", "del", words),
            Self::Rule { family, words } => ip(*family, "rule", "del", words),
            Self::Neighbour { address, interface, .. } => {
                let words = split(&format!("{address} dev {interface}"));
                ip(Family::of(*address), "neighbour", "del", &words)
            }
            Self::Address { address, interface } => {
                let words = split(&format!("{address} dev {interface}"));
                ip(Family::of(*address), "address", "del", &words)
            }
            Self::Table { name, .. } => {
                run("nft", &["delete", "table", "inet", name]).map(|_output| ())
            }
            Self::Sysctl { key, value, former } => return restore_sysctl(key, value, former),
        };
        match result {
            Err(CommandError::Failed { stderr, .. }) if is_gone(&stderr) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Whether it sets this kernel setting.
    pub(super) fn sets(&self, wanted: &str) -> bool {
        matches!(self, Self::Sysctl { key, .. } if key == wanted)
    }

    /// Whether taking this back would take `other` back too: both set the same kernel setting.
    pub(super) fn shares(&self, other: &Self) -> bool {
        matches!(other, Self::Sysctl { key, .. } if self.sets(key))
    }
}

/// What is there now.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { words, .. } => write!(f, "route {}", words.join(" ")),
            Self::Rule { words, .. } => write!(f, "rule {}", words.join(" ")),
            Self::Neighbour { address, mac, interface } => {
                write!(f, "neighbour {address} at {mac} on {interface}")
            }
            Self::Address { address, interface } => write!(f, "address {address} on {interface}"),
            Self::Table { name, .. } => write!(f, "nft table inet {name}"),
            Self::Sysctl { key, value, former } => write!(f, "{key} = {value} (was {former})"),
        }
    }
}

/// Reads a kernel setting; `None` where this kernel does not have it.
pub(super) fn read_sysctl(key: &str) -> Result<Option<String>, PathSetupError> {
    match fs::read_to_string(sysctl_path(key)) {
        Ok(value) => Ok(Some(value.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PathSetupError::Sysctl { key: key.to_owned(), source }),
    }
}

/// Puts a kernel setting back. One that somebody changed since is theirs, and stays; one that was
/// kept as it was (see `plan`) is written again.
fn restore_sysctl(key: &str, value: &str, former: &str) -> Result<(), PathSetupError> {
    match read_sysctl(key)? {
        Some(now) if now == value || value == former => write_sysctl(key, former),
        Some(_) | None => Ok(()),
    }
}

fn write_sysctl(key: &str, value: &str) -> Result<(), PathSetupError> {
    fs::write(sysctl_path(key), value)
        .map_err(|source| PathSetupError::Sysctl { key: key.to_owned(), source })
}

fn sysctl_path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(key)
}

fn ip(family: Family, object: &str, verb: &str, words: &[String]) -> Result<(), CommandError> {
    let mut args = vec![family.flag(), object, verb];
    args.extend(words.iter().map(String::as_str));
    run("ip", &args).map(|_output| ())
}

/// What `ip` and `nft` say of an object that does not exist.
fn is_gone(stderr: &str) -> bool {
    ["No such process", "No such file", "Cannot find device", "No such device", "Cannot assign"]
        .iter()
        .any(|text| stderr.contains(text))
}

fn split(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_from_a_journal_as_it_was_written() {
        let (address, interface) = ("fe80::1".parse().expect("an address"), "wan0".to_owned());
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        for change in [
            Change::rule(Family::V4, "iif mpath0 lookup 77000"),
            Change::Neighbour { address, mac, interface: interface.clone() },
            Change::Address { address, interface },
        ] {
            let line = serde_json::to_string(&change).expect("it is written");
            assert_eq!(serde_json::from_str::<Change>(&line).expect("it is read"), change);
        }
    }
}
