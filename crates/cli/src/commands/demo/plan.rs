//! The links and the times of the demo.

use std::time::Duration;

use manypath_base::Rate;
use manypath_lab::LinkConfig;

/// Payload of one packet: 1,500 bytes less IPv4 (20), TCP (20), timestamps (12) and a DSS option
/// with DATA_ACK and mapping (20).
const PAYLOAD: u64 = 1_428;
const PACKET: u64 = 1_500;

/// Name, megabits per second, one-way delay in milliseconds.
const LINKS: [(&str, u64, u64); 8] = [
    ("wifi", 20, 10),
    ("lte", 10, 40),
    ("dsl", 8, 15),
    ("cable", 15, 12),
    ("umts", 3, 60),
    ("radio", 6, 25),
    ("leased", 12, 5),
    ("sat", 5, 120),
];

/// One link of the demo.
#[derive(Clone, Debug)]
pub(super) struct DemoLink {
    pub(super) name: &'static str,
    pub(super) mbps: u64,
    pub(super) delay: Duration,
}

impl DemoLink {
    /// As the lab wants it: a queue of one bandwidth-delay product.
    pub(super) fn config(&self) -> LinkConfig {
        LinkConfig::mbps(self.mbps, self.delay)
    }
}

/// What happens when.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) links: Vec<DemoLink>,
    /// From the start to the cut of the first link.
    pub(super) before_cut: Duration,
    /// From the cut to the restoration.
    pub(super) cut: Duration,
    /// From the restoration to the end of sending.
    pub(super) after: Duration,
}

impl Plan {
    /// Where the transfer is played twice, for comparison, each is shorter.
    pub(super) fn new(paths: u8, twice: bool) -> Self {
        let chosen = LINKS.iter().take(usize::from(paths));
        let links = chosen.map(|&(name, mbps, delay)| DemoLink {
            name,
            mbps,
            delay: Duration::from_millis(delay),
        });
        Self {
            links: links.collect(),
            before_cut: Duration::from_secs(if twice { 10 } else { 20 }),
            cut: Duration::from_secs(3),
            after: Duration::from_secs(4),
        }
    }

    /// How long data is sent.
    pub(super) fn length(&self) -> Duration {
        self.before_cut + self.cut + self.after
    }

    /// Bytes that a sender must be able to keep: what all links carry in four of the longest round
    /// trips with a full queue, so that a repair on the slowest link, and one more where that is
    /// lost too, stops none of the others.
    pub(super) fn send_buffer(&self) -> u32 {
        let bytes_per_ms: u64 = self.links.iter().map(|l| l.mbps * 125).sum();
        let longest = self.links.iter().map(|l| l.delay * 4).max().unwrap_or_default();
        let bytes = bytes_per_ms * u64::try_from(longest.as_millis()).unwrap_or(u64::MAX) * 4;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Payload that all links together can carry.
    pub(super) fn ceiling(&self) -> Rate {
        let bits = self.links.iter().map(|l| l.mbps * 1_000_000).sum::<u64>();
        Rate::from_bits_per_sec(bits * PAYLOAD / PACKET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_what_headers_leave_of_both_links() {
        assert_eq!(Plan::new(2, false).ceiling().bits_per_sec(), 28_560_000);
    }
}
