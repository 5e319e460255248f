//! Peers beside this host: what takes time on the way to them are hosts, whose threads are woken for
//! packets, and not a queue before a link.
//!
//! **Owns** how a flow tells them from others, or is told. **Leaves out** what follows from it.

use core::time::Duration;

use manypath_base::{PathId, Rate};

use crate::Flow;
use crate::path::Path;

/// Round trips of at least this length are those of links.
pub(crate) const NEAR: Duration = Duration::from_micros(512);
/// What a link of 1 Gbit/s delivers at most.
pub const BEYOND_LINKS: Rate = Rate::from_bytes_per_sec(125_000_000);

impl Path {
    /// Whether the round trip is as short as to a peer beside this host.
    fn is_near(&self) -> bool {
        let min = self.rtt.min();
        !min.is_zero() && min < NEAR
    }

    /// Whether the peer is on this host, or on one beside it. A short round trip alone does not tell,
    /// since a slow link may be as near.
    pub(crate) fn is_beside(&self) -> bool {
        self.told_beside || (self.fastest > BEYOND_LINKS && self.is_near())
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
        self.paths.iter().any(|p| p.id == path && p.is_near())
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
