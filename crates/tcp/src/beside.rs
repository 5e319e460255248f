//! Peers beside this host: what takes time on the way to them is the hosts themselves.
//!
//! **Owns** how a flow tells them from others, or is told. **Leaves out** the limits:
//! [`manypath_cc::is_beside`].

use manypath_base::PathId;
use manypath_cc::{BEYOND_LINKS, NEAR, is_beside};

use crate::Flow;
use crate::path::Path;

impl Path {
    /// Whether the peer is on this host, or on one beside it.
    pub(crate) fn is_beside(&self) -> bool {
        let fast = self.fastest > BEYOND_LINKS;
        self.told_beside || (fast && is_beside(self.rtt.min(), self.fastest))
    }
}

impl Flow {
    /// Whether the peer is on this host, or on one beside it, as far as a path tells.
    #[must_use]
    pub fn is_beside(&self, path: PathId) -> bool {
        self.paths.iter().any(|p| p.id == path && p.is_beside())
    }

    /// Whether a path has as short a round trip as to a peer beside this host, and may be faster.
    #[must_use]
    pub fn is_near(&self, path: PathId) -> bool {
        let near = |path: &Path| !path.rtt.min().is_zero() && path.rtt.min() < NEAR;
        self.paths.iter().any(|p| p.id == path && near(p))
    }

    /// Bytes in flight to a peer beside this host.
    #[must_use]
    pub fn in_flight_beside(&self) -> u32 {
        let beside = self.paths.iter().filter(|path| path.in_flight > 0 && path.is_beside());
        beside.map(|path| path.in_flight).fold(0, u32::saturating_add)
    }

    /// Others found that the peer is on this host, or on one beside it.
    pub fn note_beside(&mut self) {
        self.paths.iter_mut().for_each(|path| path.told_beside = true);
    }
}
