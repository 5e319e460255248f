//! One direction of a link: queue, transmitter, wire.
//!
//! **Owns** the model, sans-IO: what goes in with a time comes out at a later time, or never.
//! **Invariants**: same seed, same configuration and same pushes give the same outcome on every
//! machine, no matter how often or how late it is polled; packets that are not picked for
//! reordering never overtake each other. **Leaves out** what a packet is, and the clock.
//!
//! ```text
//!  push --> [ queue, discipline ] --> transmitter --> wire --> pop
//!               limit, marks         rate or trace    delay, loss, reordering, duplication
//! ```
//!
//! Nothing happens between two calls: a call first does what has come due since the last one, each
//! thing at its exact time. So a packet costs one event of the simulation, not two.

use std::collections::VecDeque;

use manypath_base::{Instant, Rng, len64};

use crate::config::{Discipline, LinkConfig, MILLION, Transmitter};
use crate::stats::{Counter, DropReason, LinkStats};
use crate::{Carried, discipline, loss, trace};

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

#[derive(Debug)]
struct Entry<T> {
    bytes: u64,
    arrived: Instant,
    item: T,
}

/// The packet on the transmitter: `left` bytes of it remained at `since`.
#[derive(Debug)]
struct InService<T> {
    entry: Entry<T>,
    since: Instant,
    left: u64,
    finish: Instant,
}

#[derive(Debug)]
struct OnWire<T> {
    at: Instant,
    bytes: u64,
    item: T,
}

/// One generator for the queue and one for the wire, so that neither depends on the other. They
/// are large and often idle, and so stand apart.
#[derive(Debug)]
struct Chances {
    queue: Rng,
    wire: Rng,
}

/// One direction of a link that carries items of type `T`.
#[derive(Debug)]
pub struct Link<T> {
    config: LinkConfig,
    chance: Box<Chances>,
    cut: bool,
    waiting: VecDeque<Entry<T>>,
    service: Option<InService<T>>,
    discipline: discipline::State,
    loss: loss::State,
    /// Until when the transmitter was last busy.
    free_at: Instant,
    /// The last opportunity of a trace that was used, and the bytes that are left of it.
    opportunity: (u64, u64),
    /// By time of delivery, then by order of entering the wire.
    wire: VecDeque<OnWire<T>>,
    /// Delivery time of the last packet that was not reordered: the next is not earlier.
    in_order_until: Instant,
    stats: LinkStats,
}

impl<T: Carried> Link<T> {
    /// An idle link. `rng` decides early drops, loss, reordering and duplication.
    #[must_use]
    pub fn new(config: LinkConfig, mut rng: Rng) -> Self {
        Self {
            config,
            chance: Box::new(Chances { queue: rng.fork(), wire: rng.fork() }),
            cut: false,
            waiting: VecDeque::new(),
            service: None,
            discipline: discipline::State::default(),
            loss: loss::State::default(),
            free_at: Instant::ZERO,
            opportunity: (0, trace::OPPORTUNITY),
            wire: VecDeque::new(),
            in_order_until: Instant::ZERO,
            stats: LinkStats::default(),
        }
    }

    /// Hands in a packet of `bytes` (IP length). `now` must not go backwards.
    pub fn push(&mut self, now: Instant, bytes: usize, mut item: T) -> PushOutcome {
        self.advance(now);
        let len = len64(bytes);
        self.stats.offered.add(len);
        if let Some(reason) = self.refusal(bytes, &mut item) {
            self.stats.dropped_mut(reason).add(len);
            return PushOutcome::Dropped(reason);
        }
        let entry = Entry { bytes: len, arrived: now, item };
        if self.is_idle() {
            // Asked for its counters it may have come further than the next packet's time.
            self.begin(now.max(self.free_at), entry);
            self.advance(now);
        } else {
            self.stats.waiting.add(len);
            self.stats.max_waiting_bytes =
                self.stats.max_waiting_bytes.max(self.stats.waiting.bytes);
            self.waiting.push_back(entry);
        }
        PushOutcome::Queued
    }

    fn is_idle(&self) -> bool {
        self.service.is_none() && self.waiting.is_empty()
    }

    fn waits(&self) -> (u64, u64) {
        (self.stats.waiting.packets, self.stats.waiting.bytes)
    }

    /// A packet that finds the transmitter idle does not wait, so no queue can be full for it.
    fn refusal(&mut self, bytes: usize, item: &mut T) -> Option<DropReason> {
        if self.cut {
            return Some(DropReason::Cut);
        }
        if bytes > usize::from(self.config.mtu) {
            return Some(DropReason::TooBig);
        }
        let (discipline, limit, waits) = (self.config.discipline, self.config.limit, self.waits());
        let refused = self.discipline.refuses(discipline, limit, waits, &mut self.chance.queue);
        if self.is_idle() {
            return None;
        }
        if discipline::reaches(limit, waits, bytes) {
            return Some(DropReason::QueueFull);
        }
        let crowded = self.config.ecn_threshold.is_some_and(|t| discipline::reaches(t, waits, 0));
        if (refused || crowded) && self.mark(bytes, item) {
            return None;
        }
        refused.then_some(DropReason::Early)
    }

    fn mark(&mut self, bytes: usize, item: &mut T) -> bool {
        let marked = item.mark_congestion();
        if marked {
            self.stats.marked.add(len64(bytes));
        }
        marked
    }

    /// Takes out the next packet whose delivery time has come.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        self.advance(now);
        if self.wire.front()?.at > now {
            return None;
        }
        let OnWire { bytes, item, .. } = self.wire.pop_front()?;
        self.stats.delivered.add(bytes);
        Some(item)
    }

    /// When to call [`Link::pop`] next: the soonest delivery there can be. It may turn out to be
    /// of a packet that is lost, and then nothing comes out.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        let first = self.wire.front().map(|w| w.at);
        let next = self.service.as_ref().map(|s| self.arrival(s.finish));
        first.into_iter().chain(next).min()
    }

    /// When a packet arrives that left the transmitter at `left`, unless it is reordered.
    fn arrival(&self, left: Instant) -> Instant {
        let at = (left + self.config.delay).max(self.in_order_until);
        let turn = u64::try_from(self.config.bunch.as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(at.as_nanos().checked_next_multiple_of(turn).unwrap_or(at.as_nanos()))
    }

    /// Cuts the link: a silent black hole. What waits or is under way vanishes.
    pub fn cut(&mut self) {
        self.cut = true;
        let service = self.service.take().map(|s| s.entry.bytes);
        let waiting = self.waiting.drain(..).map(|e| e.bytes);
        let wire = std::mem::take(&mut self.wire).into_iter().map(|w| w.bytes);
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
        let before = std::mem::replace(&mut self.config, config).transmitter;
        if let Some(mut service) = self.service.take() {
            let done = match before {
                Transmitter::Constant(rate) => rate.bytes_in(now.since(service.since)),
                Transmitter::Unlimited => service.left,
                Transmitter::Recorded(_) => 0,
            };
            service.left = service.left.saturating_sub(done);
            service.since = now;
            service.finish = self.finish(now, service.left);
            self.service = Some(service);
        }
        self.advance(now);
    }

    /// Counters since the link was made, as they are after what has come due until `now`.
    pub fn stats(&mut self, now: Instant) -> LinkStats {
        self.advance(now);
        self.stats
    }

    /// Moves packets from the queue over the transmitter to the wire, each at its exact time.
    fn advance(&mut self, now: Instant) {
        while let Some(done) = self.service.take_if(|s| s.finish <= now) {
            self.free_at = done.finish;
            self.launch(done.entry);
            self.begin_next();
        }
    }

    /// Puts the next packet that waits on the transmitter, which has just become free.
    fn begin_next(&mut self) {
        while let Some(mut entry) = self.waiting.pop_front() {
            self.stats.waiting.remove(entry.bytes);
            if let Discipline::CoDel(codel) = self.config.discipline {
                let left = self.stats.waiting.bytes;
                let (now, arrived) = (self.free_at, entry.arrived);
                let drops = self.discipline.drops_at_head(codel, now, arrived, left);
                if drops && entry.item.mark_congestion() {
                    self.stats.marked.add(entry.bytes);
                } else if drops {
                    self.stats.dropped_early.add(entry.bytes);
                    continue;
                }
            }
            return self.begin(self.free_at, entry);
        }
    }

    fn begin(&mut self, since: Instant, entry: Entry<T>) {
        let left = entry.bytes;
        let finish = self.finish(since, left);
        self.service = Some(InService { entry, since, left, finish });
    }

    /// When `bytes` that start at `since` have left.
    fn finish(&mut self, since: Instant, bytes: u64) -> Instant {
        match &self.config.transmitter {
            Transmitter::Unlimited => since,
            Transmitter::Constant(rate) => since + rate.time_for(bytes),
            Transmitter::Recorded(trace) => {
                let (mut at, mut credit) = self.opportunity;
                if trace.moment(at) < since {
                    at = trace.first_from(since);
                    credit = trace::OPPORTUNITY;
                }
                let mut need = bytes;
                while credit < need {
                    need -= credit;
                    credit = trace::OPPORTUNITY;
                    at += 1;
                }
                self.opportunity = (at, credit - need);
                trace.moment(at).max(since)
            }
        }
    }

    /// Puts a packet that left the transmitter at `free_at` on the wire.
    fn launch(&mut self, entry: Entry<T>) {
        let Entry { bytes, arrived: _, mut item } = entry;
        self.stats.transmitted.add(bytes);
        if self.loss.loses(self.config.loss, &mut self.chance.wire) {
            self.stats.dropped_loss.add(bytes);
            return;
        }
        let mut chance = |ppm: u32| ppm > 0 && self.chance.wire.chance(ppm.into(), MILLION);
        if chance(self.config.mark_ppm) && item.mark_congestion() {
            self.stats.marked.add(bytes);
        }
        let reordered = chance(self.config.reorder_ppm);
        let duplicated = chance(self.config.duplicate_ppm);
        let mut at = self.arrival(self.free_at);
        if reordered {
            self.stats.reordered.add(bytes);
            at += self.config.reorder_delay;
        } else {
            self.in_order_until = at;
        }
        if duplicated {
            self.stats.duplicated.add(bytes);
            self.enter_wire(OnWire { at, bytes, item: item.clone() });
        }
        self.enter_wire(OnWire { at, bytes, item });
    }

    fn enter_wire(&mut self, packet: OnWire<T>) {
        if self.wire.back().is_none_or(|last| last.at <= packet.at) {
            return self.wire.push_back(packet);
        }
        let behind = self.wire.iter().rev().take_while(|w| w.at > packet.at).count();
        self.wire.insert(self.wire.len() - behind, packet);
    }
}
