//! Whether a path leads to a host beside this one: what takes time then are hosts, whose threads are
//! woken for packets, and not a queue before a link.

use core::time::Duration;

use manypath_base::Rate;

/// Round trips of at least this length are those of links.
pub const NEAR: Duration = Duration::from_micros(512);
/// What a link of 1 Gbit/s delivers at most.
pub const BEYOND_LINKS: Rate = Rate::from_bytes_per_sec(125_000_000);

/// By the smallest round-trip time and the best rate of delivery. A short round trip alone does not tell,
/// since a slow link may be as near.
#[must_use]
pub fn is_beside(min_rtt: Duration, fastest: Rate) -> bool {
    !min_rtt.is_zero() && min_rtt < NEAR && fastest > BEYOND_LINKS
}
