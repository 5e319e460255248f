//! One direction of an emulated link: rate, delay, queue, loss, reordering, duplication, cut.
//!
//! **Owns** the model, sans-IO: what goes in with a time comes out at a later time, or never.
//! **Invariants**: same seed, same configuration and same pushes give the same outcome on every
//! machine, no matter how often or how late it is polled; packets that are not picked for
//! reordering never overtake each other. **Leaves out** what a packet is, and the clock.
//!
//! ```text
//!  push --> [ queue, drop-tail ] --> transmitter --> wire --> pop
//!            limit counts these      bytes / rate    delay, loss, reordering, duplication
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use manypath_base::{Instant, Rate, Rng, len64};

use crate::link_config::{LinkConfig, Queue};
use crate::link_stats::{Counter, LinkStats};

/// What became of a pushed packet, as far as it is known at once. A packet that will be lost on
/// the wire counts as queued: it takes its place in the queue and its time on the transmitter.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The packet waits, or is being transmitted.
    Queued,
    /// The packet is gone.
    Dropped(DropReason),
}

/// Why a packet did not come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue was full.
    QueueFull,
    /// Lost on the wire.
    Loss,
    /// The link was cut.
    Cut,
    /// Longer than the MTU of the link.
    TooBig,
}

const MILLION: u64 = 1_000_000;

/// What chance holds for a packet. Drawn when it is pushed, so that the outcome does not depend
/// on when the link is polled.
#[derive(Clone, Copy, Debug)]
struct Fate {
    lost: bool,
    reordered: bool,
    duplicated: bool,
}

impl Fate {
    /// Always three draws: changing one probability does not move the others' outcomes.
    fn draw(rng: &mut Rng, config: &LinkConfig) -> Self {
        let mut chance = |ppm: u32| rng.chance(u64::from(ppm), MILLION);
        Self {
            lost: chance(config.loss_ppm),
            reordered: chance(config.reorder_ppm),
            duplicated: chance(config.duplicate_ppm),
        }
    }
}

#[derive(Debug)]
struct Entry<T> {
    bytes: u64,
    arrived: Instant,
    fate: Fate,
    item: T,
}

/// The packet on the transmitter: `left` bytes of it remained at `since`.
#[derive(Debug)]
struct InService<T> {
    entry: Entry<T>,
    since: Instant,
    left: u64,
}

impl<T> InService<T> {
    fn finish(&self, rate: Option<Rate>) -> Instant {
        self.since + rate.map_or(Duration::ZERO, |rate| rate.time_for(self.left))
    }
}

/// One direction of a link that carries items of type `T`.
#[derive(Debug)]
pub struct Link<T> {
    config: LinkConfig,
    rng: Rng,
    cut: bool,
    waiting: VecDeque<Entry<T>>,
    service: Option<InService<T>>,
    /// Until when the transmitter was last busy.
    free_at: Instant,
    /// By time of delivery, then by order of entering the wire.
    wire: BTreeMap<(Instant, u64), (u64, T)>,
    wire_seq: u64,
    /// Delivery time of the last packet that was not reordered: the next is not earlier.
    in_order_until: Instant,
    stats: LinkStats,
}

impl<T: Clone> Link<T> {
    /// An idle link. `rng` decides loss, reordering and duplication.
    #[must_use]
    pub fn new(config: LinkConfig, rng: Rng) -> Self {
        Self {
            config,
            rng,
            cut: false,
            waiting: VecDeque::new(),
            service: None,
            free_at: Instant::ZERO,
            wire: BTreeMap::new(),
            wire_seq: 0,
            in_order_until: Instant::ZERO,
            stats: LinkStats::default(),
        }
    }

    /// Hands in a packet of `bytes` (IP length). `now` must not go backwards.
    pub fn push(&mut self, now: Instant, bytes: usize, item: T) -> PushOutcome {
        self.advance(now);
        let bytes = len64(bytes);
        self.stats.offered.add(bytes);
        let fate = Fate::draw(&mut self.rng, &self.config);
        match self.refusal(bytes) {
            Some(reason) => {
                self.stats.dropped_mut(reason).add(bytes);
                return PushOutcome::Dropped(reason);
            }
            None => self.stats.waiting.add(bytes),
        }
        self.waiting.push_back(Entry { bytes, arrived: now, fate, item });
        self.advance(now);
        self.stats.note_waiting();
        PushOutcome::Queued
    }

    fn refusal(&self, bytes: u64) -> Option<DropReason> {
        // A packet that finds the transmitter idle does not wait, so no queue can be full for it.
        let idle = self.service.is_none() && self.waiting.is_empty();
        let full = match self.config.queue {
            Queue::Bytes(limit) => self.stats.waiting.bytes + bytes > limit,
            Queue::Packets(limit) => self.stats.waiting.packets >= limit,
        };
        match () {
            () if self.cut => Some(DropReason::Cut),
            () if bytes > u64::from(self.config.mtu) => Some(DropReason::TooBig),
            () if full && !idle => Some(DropReason::QueueFull),
            () => None,
        }
    }

    /// Takes out the next packet whose delivery time has come.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        self.advance(now);
        let (&(at, _), _) = self.wire.first_key_value()?;
        if at > now {
            return None;
        }
        let (_, (bytes, item)) = self.wire.pop_first()?;
        self.stats.delivered.add(bytes);
        Some(item)
    }

    /// When to call [`Link::pop`] next: the soonest delivery there can be. It may turn out to be
    /// of a packet that is lost, and then nothing comes out.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        let wire = self.wire.first_key_value().map(|(&(at, _), _)| at);
        let service = self.service.as_ref().map(|s| {
            let arrival = s.finish(self.config.rate) + self.config.delay;
            arrival.max(self.in_order_until)
        });
        wire.into_iter().chain(service).min()
    }

    /// Cuts the link: a silent black hole. What waits or is under way vanishes.
    pub fn cut(&mut self) {
        self.cut = true;
        let service = self.service.take().map(|s| s.entry.bytes);
        let waiting = self.waiting.drain(..).map(|e| e.bytes);
        let wire = std::mem::take(&mut self.wire).into_values().map(|(bytes, _)| bytes);
        for bytes in waiting.chain(service).chain(wire) {
            self.stats.dropped_cut.add(bytes);
        }
        self.stats.waiting = Counter::default();
    }

    /// Mends a cut link. It comes back empty.
    pub fn restore(&mut self) {
        self.cut = false;
    }

    /// Whether the link is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Changes the configuration from `now` on. The packet on the transmitter goes on with what
    /// is left of it at the new rate; packets on the wire keep their delivery time, and those
    /// that follow do not overtake them. A shorter queue drops nothing that waits already.
    pub fn set_config(&mut self, now: Instant, config: LinkConfig) {
        self.advance(now);
        if let Some(service) = &mut self.service {
            let done =
                self.config.rate.map_or(service.left, |r| r.bytes_in(now.since(service.since)));
            service.left = service.left.saturating_sub(done);
            service.since = now;
        }
        self.config = config;
        self.advance(now);
    }

    /// Counters since the link was made.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Moves packets from the queue over the transmitter to the wire, each at its exact time.
    fn advance(&mut self, now: Instant) {
        loop {
            match self.service.take_if(|s| s.finish(self.config.rate) <= now) {
                Some(done) => {
                    self.free_at = done.finish(self.config.rate);
                    self.launch(done.entry);
                }
                None if self.service.is_none() => {
                    let Some(entry) = self.waiting.pop_front() else { return };
                    self.stats.waiting.remove(entry.bytes);
                    let since = self.free_at.max(entry.arrived);
                    let left = entry.bytes;
                    self.service = Some(InService { entry, since, left });
                }
                None => return,
            }
        }
    }

    /// Puts a packet that left the transmitter at `free_at` on the wire.
    fn launch(&mut self, entry: Entry<T>) {
        let Entry { bytes, arrived: _, fate, item } = entry;
        if fate.lost {
            self.stats.dropped_loss.add(bytes);
            return;
        }
        let mut at = (self.free_at + self.config.delay).max(self.in_order_until);
        if fate.reordered {
            self.stats.reordered.add(bytes);
            at += self.config.reorder_delay;
        } else {
            self.in_order_until = at;
        }
        if fate.duplicated {
            self.stats.duplicated.add(bytes);
            self.enter_wire(at, bytes, item.clone());
        }
        self.enter_wire(at, bytes, item);
    }

    fn enter_wire(&mut self, at: Instant, bytes: u64, item: T) {
        self.wire.insert((at, self.wire_seq), (bytes, item));
        self.wire_seq += 1;
    }
}
