//! What one direction of a link does to packets.
//!
//! **Owns** the description. **Leaves out** the behaviour, which is [`crate::Link`]'s.

use std::sync::Arc;
use std::time::Duration;

use manypath_base::Rate;

use crate::trace::Trace;

/// Chances are counted in parts of this.
pub const MILLION: u64 = 1_000_000;

/// How fast packets leave the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmitter {
    /// At once.
    Unlimited,
    /// At a constant rate, in bytes of IP packets.
    Constant(Rate),
    /// At the moments that a recorded trace allows.
    Recorded(Arc<Trace>),
}

/// How much may wait for the transmitter. The packet being transmitted does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes (IP length).
    Bytes(u64),
    /// Packets.
    Packets(u64),
}

/// Which packets a queue drops or marks before it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// None: only what finds the queue full is dropped.
    DropTail,
    /// As drop-tail, but with so few places left a packet is dropped by chance, the more likely
    /// the fewer there are. It breaks the lockstep of deterministic senders, as the random
    /// overheads of real hosts do (Floyd and Jacobson 1992, "phase effects").
    RandomTail {
        /// Places in packets over which the chance rises to certainty.
        packets: u64,
    },
    /// Random early detection (Floyd and Jacobson 1993).
    Red(Red),
    /// `CoDel` (RFC 8289).
    CoDel(CoDel),
}

/// Parameters of random early detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Red {
    /// Average queue in bytes from which packets are dropped by chance.
    pub min: u64,
    /// Average queue in bytes from which every packet is dropped.
    pub max: u64,
    /// Chance at `max`, in parts per million.
    pub max_ppm: u32,
    /// The average moves by this power of one half at each arrival: 9 is 1/512.
    pub weight: u32,
}

/// Parameters of `CoDel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDel {
    /// How long packets may wait (RFC 8289 §4.3).
    pub target: Duration,
    /// For how long they must wait longer before one is dropped (RFC 8289 §4.2).
    pub interval: Duration,
}

impl Default for CoDel {
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100) }
    }
}

/// Which packets vanish on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// None.
    None,
    /// Each by itself.
    Bernoulli {
        /// Chance in parts per million.
        ppm: u32,
    },
    /// In bursts: two states, each with its own chance (Gilbert 1960, Elliott 1963).
    GilbertElliott(GilbertElliott),
}

impl Loss {
    /// Each packet by itself, with a chance in parts per million.
    #[must_use]
    pub const fn ppm(ppm: u32) -> Self {
        if ppm == 0 { Self::None } else { Self::Bernoulli { ppm } }
    }
}

/// Parameters of bursty loss, all in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GilbertElliott {
    /// Chance to pass from the good to the bad state, at each packet.
    pub to_bad: u32,
    /// Chance to pass back.
    pub to_good: u32,
    /// Loss in the good state.
    pub loss_good: u32,
    /// Loss in the bad state.
    pub loss_bad: u32,
}

/// One direction of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// How fast packets leave.
    pub transmitter: Transmitter,
    /// One-way propagation delay, after the last byte left the transmitter.
    pub delay: Duration,
    /// Limit of the queue; what does not fit is dropped.
    pub limit: Limit,
    /// What is dropped before.
    pub discipline: Discipline,
    /// From this much waiting on, packets that allow it are marked instead of dropped later.
    pub ecn_threshold: Option<Limit>,
    /// Packets that are marked with congestion experienced whatever the queue (RFC 3168), in parts
    /// per million; those that do not allow it go on as they are.
    pub mark_ppm: u32,
    /// What vanishes on the wire.
    pub loss: Loss,
    /// Packets held back by `reorder_delay` while later ones pass, in parts per million.
    pub reorder_ppm: u32,
    /// How much longer a reordered packet takes.
    pub reorder_delay: Duration,
    /// Packets that arrive twice, in parts per million. The copy takes no time on the transmitter.
    pub duplicate_ppm: u32,
    /// Packets arrive only at whole multiples of this time, all of those between together, as over a
    /// radio that is granted turns; at any time if it is zero.
    pub bunch: Duration,
    /// Longest packet in bytes (IP length); longer ones vanish.
    pub mtu: u16,
}

impl Default for LinkConfig {
    /// No rate limit, no delay, no harm done; 1,000 packets of queue; an MTU of 1,500 bytes.
    fn default() -> Self {
        Self {
            transmitter: Transmitter::Unlimited,
            delay: Duration::ZERO,
            limit: Limit::Packets(1_000),
            discipline: Discipline::DropTail,
            ecn_threshold: None,
            mark_ppm: 0,
            loss: Loss::None,
            reorder_ppm: 0,
            reorder_delay: Duration::ZERO,
            duplicate_ppm: 0,
            bunch: Duration::ZERO,
            mtu: 1_500,
        }
    }
}

impl LinkConfig {
    /// A link at a constant rate with a queue of one bandwidth-delay product of the round trip,
    /// twice `delay`.
    #[must_use]
    pub fn constant(rate: Rate, delay: Duration) -> Self {
        let limit = Self::bdp(rate, delay * 2);
        Self { transmitter: Transmitter::Constant(rate), delay, limit, ..Self::default() }
    }

    /// The same with `n` megabits per second.
    #[must_use]
    pub fn mbps(n: u64, delay: Duration) -> Self {
        Self::constant(Rate::from_bits_per_sec(n * 1_000_000), delay)
    }

    /// One bandwidth-delay product in bytes, and never fewer than ten full packets.
    #[must_use]
    pub fn bdp(rate: Rate, rtt: Duration) -> Limit {
        Limit::Bytes(rate.bytes_in(rtt).max(15_000))
    }

    /// Whether packets come out at once and unharmed: then there is nothing to simulate.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.transmitter == Transmitter::Unlimited
            && self.delay.is_zero()
            && self.bunch.is_zero()
            && self.loss == Loss::None
            && (self.mark_ppm, self.reorder_ppm, self.duplicate_ppm) == (0, 0, 0)
    }
}
