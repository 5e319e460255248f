//! What one direction of a link does to packets.
//!
//! **Owns** the description. **Leaves out** the behaviour, which is `link`'s.

use std::time::Duration;

use manypath_base::Rate;

/// How much may wait for the transmitter. The packet being transmitted does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Bytes (IP length).
    Bytes(u64),
    /// Packets.
    Packets(u64),
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Bytes of IP packets per second; `None` is without limit.
    pub rate: Option<Rate>,
    /// One-way propagation delay, after the last byte left the transmitter.
    pub delay: Duration,
    /// Limit of the queue; what does not fit is dropped (drop-tail).
    pub queue: Queue,
    /// Packets lost on the wire, in parts per million, each by itself.
    pub loss_ppm: u32,
    /// Packets held back by `reorder_delay` while later ones pass, in parts per million.
    pub reorder_ppm: u32,
    /// How much longer a reordered packet takes.
    pub reorder_delay: Duration,
    /// Packets that arrive twice, in parts per million. The copy takes no time on the transmitter.
    pub duplicate_ppm: u32,
    /// Longest packet in bytes (IP length); longer ones vanish.
    pub mtu: u16,
}

impl Default for LinkConfig {
    /// No rate limit, no delay, no harm done; 1,000 packets of queue; an MTU of 1,500 bytes.
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            queue: Queue::Packets(1_000),
            loss_ppm: 0,
            reorder_ppm: 0,
            reorder_delay: Duration::ZERO,
            duplicate_ppm: 0,
            mtu: 1_500,
        }
    }
}

impl LinkConfig {
    /// A link of `n` megabits per second and `delay` one way, with a queue of one
    /// bandwidth-delay product (of the round trip: twice the delay).
    #[must_use]
    pub fn mbps(n: u64, delay: Duration) -> Self {
        let rate = Rate::from_bits_per_sec(n * 1_000_000);
        let queue = Self::bdp_queue(rate, delay * 2);
        Self { rate: Some(rate), delay, queue, ..Self::default() }
    }

    /// A queue of one bandwidth-delay product, and never fewer than ten full packets.
    #[must_use]
    pub fn bdp_queue(rate: Rate, rtt: Duration) -> Queue {
        Queue::Bytes(rate.bytes_in(rtt).max(15_000))
    }
}
