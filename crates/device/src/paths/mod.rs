//! What makes a path out of a network interface: addresses of the stack that are routed to its TUN
//! interface, and whose packets leave by that interface and no other.
//!
//! ```text
//! stack -- TUN -- rule: from 198.19.77.1 -- table 77000: default via gateway -- masquerade -- wlan0
//!             \-- rule: from 198.19.77.2 -- table 77001: default via gateway -- masquerade -- lte0
//! ```
//!
//! The stack's addresses are not the kernel's: the kernel forwards their packets and never answers
//! for them. With `masquerade` they need to mean nothing beyond this host; conntrack brings the
//! answers back.
//!
//! A sender of one-ended multipath has all its paths from one address; what it sends on each goes
//! into a TUN interface of the path's own, by which the kernel knows where it belongs:
//!
//! ```text
//! stack -+- TUN 0 -- rule: iif TUN 0 -- table 77000: default via gateway --+- SNAT -- wan0
//!        +- TUN 1 -- rule: iif TUN 1 -- table 77001: default via gateway --+------ -- wan1
//! ```
//!
//! There the translation is to one fixed address: masquerading would give each path another one, and
//! forgets a connection whose packets change the interface.
//!
//! **Invariants**: every change is in a journal before it is made ([`cleanup_stale`] works after a
//! crash), and is taken back by [`PathSetup::close`] or on drop. **Leaves out** firewalls: where
//! the `forward` chain of another table drops by default, its owner has to let the TUN through.

mod addresses;
mod change;
mod journal;
mod plan;
pub(crate) mod query;
mod selector;
mod shared;
mod sysctls;

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::CommandError;
use journal::{Journal, Journals, NAMESPACE, namespace_inode};
use plan::{Plan, Way};

pub(crate) use addresses::Prefix;
pub use addresses::stack_addresses;
pub use selector::{Mac, NextHop, PathSelector};
pub use shared::{SharedAddress, SharedPathSpec, SharedSetupConfig, common_addresses};

/// One path to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSpec {
    /// The interface by which its packets leave.
    pub interface: String,
    /// The next hop; otherwise that of the interface's default route, and where it has none the
    /// destinations are taken for neighbours.
    pub gateway: Option<IpAddr>,
    /// The addresses of the stack that stand for this path.
    pub local: Vec<IpAddr>,
    /// Whether packets get the interface's own address on leaving. Without it the network must
    /// route `local` to this host.
    pub masquerade: bool,
}

/// The paths of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSetupConfig {
    /// Name of the stack's TUN interface.
    pub tun: String,
    /// The paths.
    pub paths: Vec<PathSpec>,
}

/// What became of a [`PathSpec`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstablishedPath {
    /// The interface by which its packets leave.
    pub interface: String,
    /// Number of its routing table.
    pub table: u32,
    /// Next hops, at most one of each IP version; without one, destinations are neighbours.
    pub gateways: Vec<IpAddr>,
}

impl EstablishedPath {
    fn new(interface: &str, table: u32) -> Self {
        Self { interface: interface.to_owned(), table, gateways: Vec::new() }
    }
}

/// Why paths could not be set up, or not taken down.
#[derive(Debug, Error)]
pub enum PathSetupError {
    /// There is no such interface.
    #[error("there is no interface `{name}`; `ip link` shows those that there are")]
    NoInterface {
        /// The interface.
        name: String,
    },
    /// The kernel itself, or another stack, has an address that was meant for the stack.
    #[error(
        "{address} is in use on this host (`{interface}`); the stack needs an address of its own"
    )]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The interface that has it.
        interface: String,
    },
    /// What all paths are to come from is no address of this host.
    #[error("{address} is no address of this host; `ip address` shows those that there are")]
    NotOfThisHost {
        /// The address.
        address: IpAddr,
    },
    /// Interfaces have no address that all their networks know.
    #[error(
        "the networks of `{first}` and `{other}` have no address of this host in common; one-ended \
         multipath needs one that both take packets from"
    )]
    NothingInCommon {
        /// An interface.
        first: String,
        /// Another one.
        other: String,
    },
    /// No block of addresses is free.
    #[error("no free addresses for the stack in 198.19.0.0/16; name some in the configuration")]
    NoFreeAddresses,
    /// All routing tables set aside for paths are used.
    #[error("too many paths: all 256 routing tables from 77000 on are used")]
    TooManyPaths,
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A kernel setting could not be read or written.
    #[error("cannot access /proc/sys/{key}; it needs root, and a container may have it read-only")]
    Sysctl {
        /// The setting.
        key: String,
        /// Why.
        source: io::Error,
    },
    /// The note of what was changed could not be kept.
    #[error("cannot use {path}, where changes are noted so that they can be undone")]
    Journal {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The network namespace of the setup could not be entered again.
    #[error("cannot enter the network namespace of the paths to take them down")]
    Namespace(#[source] io::Error),
}

/// Paths that are set up. Closing or dropping takes them down; it works from any thread.
#[derive(Debug)]
pub struct PathSetup {
    journal: Journal,
    namespace: File,
    inode: u64,
    ways: Vec<Way>,
    paths: Vec<EstablishedPath>,
    closed: bool,
}

impl PathSetup {
    /// Sets the paths up in the network namespace of the calling thread, after removing what
    /// crashed processes left there.
    ///
    /// # Errors
    /// See [`PathSetupError`]. Nothing stays behind.
    pub fn establish(config: &PathSetupConfig) -> Result<Self, PathSetupError> {
        Self::make(&config.tun, |alive| plan::plan(config, alive))
    }

    /// As [`PathSetup::establish`], for paths that have their addresses in common.
    ///
    /// # Errors
    /// See [`PathSetupError`]. Nothing stays behind.
    pub fn establish_shared(config: &SharedSetupConfig) -> Result<Self, PathSetupError> {
        let tun = config.paths.first().map_or("", |path| path.tun.as_str());
        Self::make(tun, |alive| shared::plan(config, alive))
    }

    fn make(
        tun: &str,
        plan: impl FnOnce(&[change::Change]) -> Result<Plan, PathSetupError>,
    ) -> Result<Self, PathSetupError> {
        let journals = Journals::lock()?;
        clean(&journals);
        let Plan { changes, ways, paths } = plan(&journals.alive(None))?;
        let namespace = File::open(NAMESPACE).map_err(PathSetupError::Namespace)?;
        let inode = namespace_inode()?;
        let mut journal = journals.create(tun)?;
        if let Err(error) = changes.iter().try_for_each(|change| journal.make(change)) {
            // The first error is the one that explains.
            let _secondary = journal.undo(&journals);
            return Err(error);
        }
        Ok(Self { journal, namespace, inode, ways, paths, closed: false })
    }

    /// The paths with an interface of their own, in the order of the configuration.
    #[must_use]
    pub fn paths(&self) -> &[EstablishedPath] {
        &self.paths
    }

    /// What was changed, in words.
    pub fn changes(&self) -> impl Iterator<Item = String> {
        self.journal.changes().iter().map(ToString::to_string)
    }

    /// Puts the routes right after an interface went down and came back, which makes the kernel
    /// forget them, or after it got another gateway. A path whose interface is down is left
    /// without a way, and the first such failure is returned after all paths were tried.
    ///
    /// # Errors
    /// See [`PathSetupError`].
    pub fn refresh(&mut self) -> Result<(), PathSetupError> {
        let Self { journal, namespace, inode, ways, paths, .. } = self;
        in_namespace(namespace, *inode, || {
            let _turn = Journals::lock()?;
            let changes = plan::routes(ways, paths)?;
            changes.iter().map(|change| journal.make(change)).fold(Ok(()), Result::and)
        })
    }

    /// Takes everything back.
    ///
    /// # Errors
    /// When something could not be taken back; the rest was, and [`cleanup_stale`] tries again.
    pub fn close(mut self) -> Result<(), PathSetupError> {
        self.undo()
    }

    fn undo(&mut self) -> Result<(), PathSetupError> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        let Self { journal, namespace, inode, .. } = self;
        in_namespace(namespace, *inode, || journal.undo(&Journals::lock()?))
    }
}

/// Does something in a network namespace: here if this thread is in it, else in a thread of its
/// own, since a thread that is to be used further could not always return.
fn in_namespace(
    namespace: &File,
    inode: u64,
    body: impl FnOnce() -> Result<(), PathSetupError> + Send,
) -> Result<(), PathSetupError> {
    if namespace_inode()? == inode {
        return body();
    }
    let enter = || {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| PathSetupError::Namespace(errno.into()))?;
        body()
    };
    std::thread::scope(|scope| match scope.spawn(enter).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

impl Drop for PathSetup {
    fn drop(&mut self) {
        // Who wants to hear of it calls `close`; the journal stays for `cleanup_stale`.
        let _unheard = self.undo();
    }
}

/// Removes what crashed processes left in the network namespace of the calling thread, and says
/// what that was.
///
/// # Errors
/// When the journals cannot be read: without root, or where `/run` is not writable.
pub fn cleanup_stale() -> Result<Vec<String>, PathSetupError> {
    Ok(clean(&Journals::lock()?))
}

/// What cannot be removed stays in its journal, for the next time.
fn clean(journals: &Journals) -> Vec<String> {
    let mut removed = Vec::new();
    for mut journal in journals.stale() {
        if journal.undo(journals).is_ok() {
            removed.extend(journal.changes().iter().rev().map(ToString::to_string));
        }
    }
    removed
}

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The option of `ip` that selects it.
    fn flag(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }

    fn has(self, address: IpAddr) -> bool {
        Self::of(address) == self
    }
}
