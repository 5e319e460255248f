//! The contract between a connection and its scheduler.

use core::fmt;
use core::time::Duration;

use manypath_base::{Mss, PathId, Rate};

/// What waits to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Bytes that no path carries yet.
    pub unsent: u64,
    /// Bytes that the peer's shared receive window still admits beyond what was sent.
    pub window: u64,
}

/// One path as a scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathView {
    /// Which path.
    pub id: PathId,
    /// Established, and neither suspected nor failed.
    pub alive: bool,
    /// Only for use where no regular path is alive (RFC 8684 §3.2, B flag).
    pub backup: bool,
    /// Smoothed round-trip time.
    pub srtt: Duration,
    /// Mean deviation of the round-trip time.
    pub rtt_var: Duration,
    /// Congestion window in bytes.
    pub cwnd: u32,
    /// Bytes in flight.
    pub in_flight: u32,
    /// Bytes that the path takes now: what the congestion window leaves, and not less than one
    /// segment unless it is 0.
    pub room: u32,
    /// Largest payload of one packet.
    pub mss: Mss,
    /// Rate at which the path delivers, as far as measured.
    pub rate: Rate,
}

/// Picks the path for the next bytes. It only looks: the connection does the sending.
pub trait Scheduler: fmt::Debug + Send {
    /// The name users select it by, as in `--scheduler`.
    fn name(&self) -> &'static str;

    /// `None` means "not now": no path worth using has room.
    fn pick(&mut self, demand: &Demand, paths: &[PathView]) -> Option<PathId>;

    /// Whether every path is to carry the whole stream. A picked path then gets the first bytes
    /// that it has not carried itself, and one that has carried all has no room in its view.
    fn copies(&self) -> bool {
        false
    }

    /// The shared window was held up by data on a slow path, and the oldest of it went out again on
    /// another: what was picked for the slow path was too much.
    fn on_blocked(&mut self) {}
}
