//! Two hosts joined by two links: manypath in the one called client, programs over the kernel's
//! MPTCP in the one called server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use manypath_lab::{Counters, Direction, EndpointKind, Host, LinkConfig, Namespace, Topology};

/// Names of the links, and of their interfaces.
pub(crate) const LINKS: [&str; 2] = ["wifi", "lte"];
/// Addresses of the stack that are routed to it by each link.
pub(crate) const ADDRESSES: [&str; 2] = ["100.64.1.1", "100.64.2.1"];

/// Two transfers at once would share two processors, and none would be what it is alone.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The hosts, the links, and a folder that goes with them.
pub(crate) struct Lab {
    topology: Topology,
    folder: PathBuf,
    before: Counters,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// Waits for its turn and makes the hosts; `name` is that of the test.
    pub(crate) fn new(name: &str) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let topology = Topology::builder()
            .link(LINKS[0], LinkConfig::mbps(100, Duration::from_millis(5)))
            .link(LINKS[1], LinkConfig::mbps(50, Duration::from_millis(10)))
            .build()
            .expect("the machine can build a lab");
        topology.kernel_mptcp(Host::Server, EndpointKind::Signal, []).expect("kernel MPTCP");
        for (link, prefix) in ["100.64.1.0/24", "100.64.2.0/24"].into_iter().enumerate() {
            topology.route_to(prefix, link).expect("a route");
        }
        let folder = std::env::temp_dir().join(format!("manypath-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let before = topology.server().counters().expect("the kernel counts");
        Self { topology, folder, before, _turn: turn }
    }

    /// Where manypath runs.
    pub(crate) fn ours(&self) -> &Namespace {
        self.topology.client()
    }

    /// Where Linux's MPTCP is used.
    pub(crate) fn linux(&self) -> &Namespace {
        self.topology.server()
    }

    /// The address of Linux on the first link.
    pub(crate) fn linux_addr(&self) -> String {
        self.topology.socket_addr(Host::Server, 0, 0).ip().to_string()
    }

    /// A place for files of the test.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// That one subflow joined, was authenticated on both sides, and nothing fell back, by the
    /// counters of Linux. `joined` is the counter of a join at the side where Linux is.
    pub(crate) fn assert_joined(&self, joined: &str) {
        let now = self.linux().counters().expect("the kernel counts");
        let moved = now.since(&self.before);
        assert!(moved.get(joined) >= 1, "no {joined}: {moved}");
        let wrong = ["Fallback", "InfiniteMap", "HMacFailure", "MPFail", "DSS", "DataCsumErr"];
        for (name, value) in moved.iter("MPTcpExt") {
            assert!(!wrong.iter().any(|part| name.contains(part)), "{name}={value}: {moved}");
        }
    }

    /// Bytes of packets that the links delivered so far.
    pub(crate) fn carried(&self, direction: Direction) -> u64 {
        self.topology.links().iter().map(|link| link.stats(direction).delivered.bytes).sum()
    }

    /// That each link carried more than a tenth of `bytes`.
    pub(crate) fn assert_both_links_used(&self, direction: Direction, bytes: u64) {
        for link in self.topology.links() {
            let carried = link.stats(direction).delivered.bytes;
            assert!(carried > bytes / 10, "{} carried {carried} of {bytes} bytes", link.name());
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        fs::remove_dir_all(&self.folder).ok();
    }
}
