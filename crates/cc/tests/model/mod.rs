//! The network that controllers are tried in: one bottleneck with a drop-tail queue, flows that
//! always have something to send, in virtual time. A packet at a time, the same for the same seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use manypath_base::{Instant, Mss, PathId, Rate, Rng};
use manypath_cc::{AckSample, Algorithm, Config, Controller, FlowView, Signal};

/// Payload of every packet; headers weigh nothing.
pub(crate) const MSS: u32 = 1000;

/// A rate, a round-trip propagation delay and a queue.
#[derive(Clone, Copy)]
pub(crate) struct Bottleneck {
    pub(crate) rate: Rate,
    pub(crate) delay: Duration,
    /// Bytes that the queue holds.
    pub(crate) buffer: u64,
    /// Bytes from which on packets are dropped at random, early; `buffer` for a plain drop-tail.
    pub(crate) early: u64,
}

impl Bottleneck {
    /// `rate` bytes a second, `delay_ms` there and back, a drop-tail queue of `buffer` bytes.
    pub(crate) fn drop_tail(rate: u64, delay_ms: u64, buffer: u64) -> Self {
        let (rate, delay) = (Rate::from_bytes_per_sec(rate), Duration::from_millis(delay_ms));
        Self { rate, delay, buffer, early: buffer }
    }

    /// A thousand packets a second, 100 ms, with a queue of one bandwidth-delay product.
    pub(crate) fn usual() -> Self {
        Self::drop_tail(1_000_000, 100, 100_000)
    }

    /// The same with a queue twice as long that drops at random in its second half, so that all
    /// packets meet the same probability of loss: what the formulas assume.
    pub(crate) fn random() -> Self {
        Self { buffer: 200_000, early: 100_000, ..Self::usual() }
    }
}

/// One flow; those of one connection see each other.
pub(crate) struct Flow {
    pub(crate) cc: Box<dyn Controller>,
    pub(crate) delivered: u64,
    pub(crate) losses: u32,
    connection: u32,
    in_flight: u32,
    sent: u64,
    srtt: Duration,
    min_rtt: Duration,
    /// Packets before this one belong to the last congestion episode.
    recovered_at: u64,
    round_ends_at: u64,
    since_loss: u64,
    between_losses: u64,
    lost: u64,
    paced_until: Instant,
    /// A wake for the next paced packet is on its way.
    waiting: bool,
    delivered_at: Instant,
}

/// What comes to a sender.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Delivered,
    Lost,
    /// The pace lets the next packet go.
    Wake,
}

/// The end of a packet's way as its sender sees it. Ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: Instant,
    flow: usize,
    number: u64,
    sent_at: Instant,
    what: What,
    /// Bytes delivered when it was sent, and when the last of them were.
    before: (u64, Instant),
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) flows: Vec<Flow>,
    link: Bottleneck,
    queue_empty_at: Instant,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    rng: Rng,
}

impl World {
    pub(crate) fn new(link: Bottleneck, seed: u64) -> Self {
        let (flows, arrivals, rng) = (Vec::new(), BinaryHeap::new(), Rng::seeded(seed));
        Self { now: Instant::ZERO, flows, link, queue_empty_at: Instant::ZERO, arrivals, rng }
    }

    /// Adds a flow of `connection` and lets it send.
    pub(crate) fn add(&mut self, algorithm: Algorithm, connection: u32) {
        self.flows.push(Flow {
            cc: algorithm.build(Config { mss: Mss(1000), initial_window: 10 * MSS }),
            delivered: 0,
            losses: 0,
            connection,
            in_flight: 0,
            sent: 0,
            srtt: Duration::ZERO,
            min_rtt: Duration::MAX,
            recovered_at: 0,
            round_ends_at: 0,
            since_loss: 0,
            between_losses: 0,
            lost: 0,
            paced_until: self.now,
            waiting: false,
            delivered_at: self.now,
        });
        self.send(self.flows.len() - 1);
    }

    /// Runs for `time`.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.arrivals.peek().is_some_and(|Reverse(a)| a.at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until the first loss or for `time`; true if a packet was lost.
    pub(crate) fn run_to_a_loss(&mut self, time: Duration) -> bool {
        let end = self.now + time;
        while self.now < end && self.flows.iter().all(|f| f.losses == 0) {
            self.step();
        }
        self.now < end
    }

    /// Handles the next arrival.
    pub(crate) fn step(&mut self) {
        let Reverse(arrival) = self.arrivals.pop().expect("every flow has packets in flight");
        self.now = arrival.at;
        match arrival.what {
            What::Delivered => self.on_ack(&arrival),
            What::Lost => self.on_loss(&arrival),
            What::Wake => self.flows[arrival.flow].waiting = false,
        }
        self.send(arrival.flow);
    }

    fn send(&mut self, index: usize) {
        while self.flows[index].in_flight + MSS <= self.flows[index].cc.cwnd() {
            let flow = &mut self.flows[index];
            if flow.paced_until > self.now {
                if !std::mem::replace(&mut flow.waiting, true) {
                    let wake = Arrival {
                        at: flow.paced_until,
                        flow: index,
                        number: 0,
                        sent_at: self.now,
                        what: What::Wake,
                        before: (0, self.now),
                    };
                    self.arrivals.push(Reverse(wake));
                }
                return;
            }
            if let Some(pace) = flow.cc.pacing_rate() {
                flow.paced_until = self.now + pace.time_for(u64::from(MSS));
            }
            let arrival = self.carry(index);
            self.arrivals.push(Reverse(arrival));
        }
    }

    /// Sends one packet through the queue. Up to a packet's time of jitter keeps flows from
    /// marching in step; a packet too many costs its sender a signal instead of an answer.
    fn carry(&mut self, index: usize) -> Arrival {
        let flow = &mut self.flows[index];
        let number = flow.sent;
        flow.sent += 1;
        let since = if flow.in_flight == 0 { self.now } else { flow.delivered_at };
        let before = (flow.delivered, since);
        flow.in_flight += MSS;
        let one = self.link.rate.time_for(u64::from(MSS));
        let jitter = u64::try_from(one.as_nanos()).expect("a packet takes less than centuries");
        let jitter = Duration::from_nanos(self.rng.below(jitter));
        let queued = self.link.rate.bytes_in(self.queue_empty_at.since(self.now));
        let lost = self.is_dropped(queued + u64::from(MSS));
        if !lost {
            self.queue_empty_at = self.queue_empty_at.max(self.now) + one;
        }
        let at = self.queue_empty_at.max(self.now) + self.link.delay + jitter;
        let what = if lost { What::Lost } else { What::Delivered };
        Arrival { at, flow: index, number, sent_at: self.now, what, before }
    }

    /// Whether a queue that would hold `filled` bytes drops the packet. The chance of an early
    /// drop rises to one in a hundred.
    fn is_dropped(&mut self, filled: u64) -> bool {
        let Bottleneck { buffer, early, .. } = self.link;
        filled > buffer || self.rng.chance(filled.saturating_sub(early), 100 * (buffer - early))
    }

    fn on_loss(&mut self, arrival: &Arrival) {
        let views = self.views(arrival.flow);
        let flow = &mut self.flows[arrival.flow];
        flow.lost += u64::from(MSS);
        if arrival.number >= flow.recovered_at {
            flow.recovered_at = flow.sent;
            flow.losses += 1;
            flow.between_losses = std::mem::take(&mut flow.since_loss);
            flow.cc.on_signal(self.now, Signal::Loss, flow.in_flight, &views);
        }
        flow.in_flight -= MSS;
    }

    fn on_ack(&mut self, arrival: &Arrival) {
        let views = self.views(arrival.flow);
        let flow = &mut self.flows[arrival.flow];
        let rtt = arrival.at.since(arrival.sent_at);
        flow.min_rtt = flow.min_rtt.min(rtt);
        flow.srtt = if flow.srtt.is_zero() { rtt } else { (flow.srtt * 7 + rtt) / 8 };
        let round_start = arrival.number >= flow.round_ends_at;
        if round_start {
            flow.round_ends_at = flow.sent;
        }
        flow.delivered += u64::from(MSS);
        flow.since_loss += u64::from(MSS);
        flow.delivered_at = self.now;
        let (before, since) = arrival.before;
        let rate = Rate::from_transfer(flow.delivered - before, self.now.since(since));
        let ack = AckSample {
            now: self.now,
            path: PathId(u32::try_from(arrival.flow).expect("few flows")),
            acked: MSS,
            delivered: flow.delivered,
            lost: flow.lost,
            lost_flight: None,
            prior_in_flight: flow.in_flight,
            in_flight: flow.in_flight - MSS,
            rtt: Some(rtt),
            srtt: flow.srtt,
            min_rtt: flow.min_rtt,
            round_start,
            cwnd_limited: true,
            app_limited: false,
            delivery_rate: Some(rate),
            beside: false,
        };
        if arrival.number >= flow.recovered_at || flow.cc.governs_recovery() {
            flow.cc.on_ack(&ack, &views);
        }
        flow.in_flight -= MSS;
    }

    fn views(&self, of: usize) -> Vec<FlowView> {
        let connection = self.flows[of].connection;
        let rows = self.flows.iter().zip(0..).filter(|(f, _)| f.connection == connection);
        let view = |(flow, id): (&Flow, u32)| FlowView {
            path: PathId(id),
            cwnd: flow.cc.cwnd(),
            srtt: flow.srtt,
            mss: Mss(1000),
            since_loss: flow.since_loss,
            between_losses: flow.between_losses,
        };
        rows.map(view).collect()
    }
}
