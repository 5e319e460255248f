//! One direction of a simulated path: rate, delay, a queue, and what goes wrong.

use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{Instant, Mss, Payload, Rate, Rng, len32, len64};
use manypath_wire::{Flags, Segment};

/// How a link behaves. Chances are in 1/10,000.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Bottleneck; `None` takes no time.
    pub rate: Option<Rate>,
    /// Propagation, one way.
    pub delay: Duration,
    /// Bytes that may wait; more are dropped.
    pub queue: u64,
    /// Chance of a packet to be lost.
    pub loss: u64,
    /// Chance of a packet to come twice.
    pub duplicate: u64,
    /// Chance of a packet to come up to `jitter` late, so that others overtake it.
    pub reorder: u64,
    /// How late.
    pub jitter: Duration,
    /// Bytes that wait from which on packets that allow it are marked (RFC 3168 §5).
    pub mark: Option<u64>,
}

impl LinkConfig {
    /// A link without faults whose queue holds one bandwidth-delay product of a path with this
    /// delay in both directions.
    #[must_use]
    pub fn clean(mbps: u64, delay: Duration) -> Self {
        let rate = Rate::from_bits_per_sec(mbps * 1_000_000);
        let queue = rate.bytes_in(delay * 2);
        Self {
            rate: Some(rate),
            delay,
            queue,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            jitter: delay,
            mark: None,
        }
    }
}

/// One direction.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    rng: Rng,
    busy_until: Instant,
    down: bool,
    /// Packets that the queue had no room for.
    pub overflows: u64,
}

impl Link {
    pub(super) fn new(config: LinkConfig, rng: Rng) -> Self {
        Self { config, rng, busy_until: Instant::ZERO, down: false, overflows: 0 }
    }

    /// Cuts or restores it. What is cut says nothing: packets vanish.
    pub(super) fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// Whether the queue is so long that a packet sent now is marked.
    pub(super) fn marks(&self, now: Instant) -> bool {
        let waiting = self.config.rate.map_or(0, |rate| rate.bytes_in(self.busy_until.since(now)));
        self.config.mark.is_some_and(|mark| waiting > mark)
    }

    /// When the copies of a packet of `bytes` arrive.
    pub(super) fn send(&mut self, now: Instant, bytes: u64) -> Vec<Instant> {
        let c = self.config;
        let begin = self.busy_until.max(now);
        let waiting = c.rate.map_or(0, |rate| rate.bytes_in(begin.since(now)));
        if waiting > c.queue {
            self.overflows += 1;
            return Vec::new();
        }
        self.busy_until = begin + c.rate.map_or(Duration::ZERO, |rate| rate.time_for(bytes));
        if self.down || self.rng.chance(c.loss, 10_000) {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.rng.chance(c.duplicate, 10_000));
        (0..copies).map(|_| self.busy_until + c.delay + self.lateness()).collect()
    }

    fn lateness(&mut self) -> Duration {
        if !self.rng.chance(self.config.reorder, 10_000) {
            return Duration::ZERO;
        }
        let most = u64::try_from(self.config.jitter.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.below(most))
    }
}

/// Bytes of a packet on an IPv4 link.
pub(super) fn wire_len(segment: &Segment) -> u64 {
    len64(40 + segment.options.len() + segment.payload.len())
}

/// Cuts a super-segment as a device does: every packet has all options, the last one the FIN.
pub(super) fn packets(segment: Segment, gso_mss: Option<Mss>) -> Vec<Segment> {
    let Some(mss) = gso_mss else { return Vec::from([segment]) };
    let (step, len) = (usize::from(mss.0), segment.payload.len());
    let starts = (0..len).step_by(step);
    let cut = |start: usize| {
        let end = (start + step).min(len);
        let payload: Payload = segment.payload.slice(start, end);
        let mut packet = Segment { payload, ..segment.clone() };
        packet.seq = segment.seq.wrapping_add(len32(start));
        if start > 0 {
            packet.flags = packet.flags.without(Flags::CWR);
        }
        if end < len {
            packet.flags = packet.flags.without(Flags::FIN | Flags::PSH);
        }
        packet
    };
    starts.map(cut).collect()
}
