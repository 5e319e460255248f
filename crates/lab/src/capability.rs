//! What this machine lets a lab do, and skipping what it does not, aloud.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use nix::unistd::geteuid;
use socket2::{Domain, Protocol, Socket, Type};

/// Something that a lab or a test needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Effective user 0.
    Root,
    /// `/dev/net/tun`.
    Tun,
    /// Network namespaces and iproute2's `ip`.
    NetworkNamespaces,
    /// MPTCP of the kernel, switched on.
    KernelMptcp,
    /// A program in `PATH`.
    Program(&'static str),
}

/// Everything that a [`crate::Topology`] with the kernel's MPTCP at an end needs.
pub const MPTCP_LAB: &[Capability] =
    &[Capability::Root, Capability::Tun, Capability::NetworkNamespaces, Capability::KernelMptcp];

impl Capability {
    /// Why the machine lacks it; `None` where it is there.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let lacks = |there: bool, why: &str| (!there).then(|| why.to_owned());
        match self {
            Self::Root => lacks(geteuid().is_root(), "needs root"),
            Self::Tun => lacks(Path::new("/dev/net/tun").exists(), "no /dev/net/tun"),
            Self::NetworkNamespaces => {
                lacks(Path::new("/proc/self/ns/net").exists(), "no network namespaces")
                    .or_else(|| Self::Program("ip").missing())
            }
            Self::KernelMptcp => missing_mptcp(),
            Self::Program(name) => (!in_path(name)).then(|| format!("no program {name}")),
        }
    }
}

fn missing_mptcp() -> Option<String> {
    let enabled = fs::read_to_string("/proc/sys/net/mptcp/enabled");
    if !enabled.is_ok_and(|text| text.trim() == "1") {
        return Some("the kernel's MPTCP is missing or off (sysctl net.mptcp.enabled)".to_owned());
    }
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP));
    socket.err().map(|error| format!("no MPTCP socket: {error}"))
}

fn in_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// The kernel as the demo and reports name it, like `linux 6.18.44`.
#[must_use]
pub fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("linux {}", release.trim())
}

/// A test does not apply on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip(
    /// Why.
    pub String,
);

/// For the first line of a test: where the machine lacks one of `needs`, says
/// `skipped: TEST: REASON` on standard error and gives the reason, so that the test returns.
///
/// # Errors
/// The first of `needs` that is missing.
pub fn skip_unless(needs: &[Capability]) -> Result<(), Skip> {
    let Some(reason) = needs.iter().find_map(|need| need.missing()) else { return Ok(()) };
    let thread = std::thread::current();
    // Not by `eprintln!`: the test harness would hide that with the output of a test that passes.
    let line = format!("skipped: {}: {reason}\n", thread.name().unwrap_or("unnamed"));
    std::io::stderr().write_all(line.as_bytes()).ok();
    Err(Skip(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let needs = [Capability::Program("sh"), Capability::Program("no-such-program")];
        assert_eq!(skip_unless(&needs), Err(Skip("no program no-such-program".to_owned())));
        assert_eq!(skip_unless(&needs[..1]), Ok(()));
    }
}
