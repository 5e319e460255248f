//! BBR against one path of known rate and length, a packet at a time.

use super::*;
use crate::testing::ack;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use proptest::prelude::*;

const MSS: u32 = 1000;

/// One that is under way.
#[derive(Clone, Copy)]
struct Packet {
    arrives: Instant,
    sent: Instant,
    /// Delivered before it was sent, and since when.
    before: (u64, Instant),
    /// Bytes in flight with it.
    flight: u32,
    lost: bool,
}

/// A link of `rate` bytes a second and `delay`, with a queue that drops what is beyond `buffer`.
struct Path {
    bbr: Bbr,
    now: Instant,
    rate: Rate,
    delay: Duration,
    buffer: u64,
    /// One packet of so many is lost, whatever the queue.
    lose_one_of: u64,
    sent: u64,
    busy_until: Instant,
    wire: VecDeque<Packet>,
    next_send: Instant,
    delivered: u64,
    delivered_at: Instant,
    lost: u64,
    lost_flight: Option<u32>,
    in_flight: u32,
    round_end: u64,
    states: Vec<State>,
}

impl Path {
    fn new(rate: u64, delay_ms: u64, buffer: u64) -> Self {
        Self {
            bbr: Bbr::new(Config::new(Mss(1000))),
            now: Instant::ZERO,
            rate: Rate::from_bytes_per_sec(rate),
            delay: Duration::from_millis(delay_ms),
            buffer,
            lose_one_of: u64::MAX,
            sent: 0,
            busy_until: Instant::ZERO,
            wire: VecDeque::new(),
            next_send: Instant::ZERO,
            delivered: 0,
            delivered_at: Instant::ZERO,
            lost: 0,
            lost_flight: None,
            in_flight: 0,
            round_end: 0,
            states: Vec::new(),
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let may_send = self.in_flight + MSS <= self.bbr.cwnd();
            let arrival = self.wire.front().map(|w| w.arrives);
            if may_send && arrival.is_none_or(|at| self.next_send <= at) {
                self.now = self.now.max(self.next_send);
                self.send();
            } else {
                let next = self.wire.pop_front().expect("a full window is in flight");
                self.now = next.arrives;
                self.arrive(next);
            }
        }
    }

    fn send(&mut self) {
        let queued = self.rate.bytes_in(self.busy_until.since(self.now));
        self.sent += 1;
        let lost =
            queued + u64::from(MSS) > self.buffer || self.sent.is_multiple_of(self.lose_one_of);
        if !lost {
            self.busy_until = self.busy_until.max(self.now) + self.rate.time_for(u64::from(MSS));
        }
        let since = if self.in_flight == 0 { self.now } else { self.delivered_at };
        self.in_flight += MSS;
        self.wire.push_back(Packet {
            arrives: self.busy_until.max(self.now) + self.delay,
            sent: self.now,
            before: (self.delivered, since),
            flight: self.in_flight,
            lost,
        });
        let pace = self.bbr.pacing_rate().unwrap_or(Rate::from_bytes_per_sec(u64::MAX));
        self.next_send = self.now + pace.time_for(u64::from(MSS));
    }

    fn arrive(&mut self, packet: Packet) {
        let Packet { arrives: at, sent, before: (before, since), flight, lost } = packet;
        let prior_in_flight = self.in_flight;
        self.in_flight -= MSS;
        if lost {
            self.lost += u64::from(MSS);
            self.lost_flight.get_or_insert(flight);
            self.bbr.on_signal(at, Signal::Loss, prior_in_flight, &[]);
            return;
        }
        self.delivered += u64::from(MSS);
        self.delivered_at = at;
        let round_start = before >= self.round_end;
        if round_start {
            self.round_end = self.delivered;
        }
        let sample = AckSample {
            now: at,
            delivered: self.delivered,
            lost: self.lost,
            lost_flight: self.lost_flight.take(),
            prior_in_flight,
            in_flight: self.in_flight,
            rtt: Some(at.since(sent)),
            round_start,
            delivery_rate: Some(Rate::from_transfer(self.delivered - before, at.since(since))),
            ..ack(MSS, 1)
        };
        self.bbr.on_ack(&sample, &[]);
        if self.states.last().map(core::mem::discriminant)
            != Some(core::mem::discriminant(&self.bbr.state))
        {
            self.states.push(self.bbr.state);
        }
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn it_walks_through_the_states_of_the_draft() {
    let mut path = Path::new(1_000_000, 100, 1_000_000);
    path.run(Duration::from_millis(4600));
    let up = State::Up { rounds: 0, acked: 0 };
    let expected = [State::Startup, State::Drain, State::Down, State::Cruise, State::Refill, up];
    let kinds = |states: &[State]| states.iter().map(core::mem::discriminant).collect::<Vec<_>>();
    let first = &path.states[..path.states.len().min(6)];
    assert_eq!(kinds(first), kinds(&expected), "{:?}", path.states);
    path.run(secs(8));
    let probed = path.states.iter().any(|s| matches!(s, State::ProbeRtt { .. }));
    assert!(probed, "after five seconds: {:?}", path.states);
}

#[test]
fn it_learns_rate_and_delay_and_sends_at_that_rate() {
    for (rate, delay) in [(1_000_000, 100), (10_000_000, 20), (100_000, 50)] {
        let mut path = Path::new(rate, delay, rate * delay / 1000 + 10_000);
        path.run(secs(5));
        let (delivered, lost) = (path.delivered, path.lost);
        path.run(secs(20));
        let percent = (path.delivered - delivered) / (20 * rate / 100);
        assert!(percent >= 90, "{rate} B/s, {delay} ms: {percent} %");
        let lost = (path.lost - lost) * 100 / (path.delivered - delivered);
        assert!(lost < 2, "{rate} B/s, {delay} ms: {lost} % lost");
        let bdp = u64::from(path.bbr.model.bdp(100).expect("it has been measured"));
        let exact = rate * delay / 1000;
        assert!(bdp.abs_diff(exact) * 5 <= exact + 10_000, "{bdp} for {exact}");
    }
}

/// Four packets are lost in every round: far less than what says that a flight is too long.
#[test]
fn a_little_loss_in_every_round_costs_little() {
    let mut path = Path::new(40_000_000, 100, 4_000_000);
    path.lose_one_of = 1_000;
    path.run(secs(5));
    let delivered = path.delivered;
    path.run(secs(20));
    let percent = (path.delivered - delivered) / (20 * 40_000_000 / 100);
    assert!(percent >= 95, "{percent} %");
}

#[test]
fn a_short_queue_bounds_the_flight() {
    let mut path = Path::new(1_000_000, 100, 20_000);
    path.run(secs(10));
    let hi = path.bbr.model.inflight_hi.expect("Startup overflows a fifth of a BDP");
    assert!((70_000..=160_000).contains(&hi), "{hi}");
    let (delivered, lost) = (path.delivered, path.lost);
    path.run(secs(20));
    let (delivered, lost) = (path.delivered - delivered, path.lost - lost);
    assert!(delivered >= 16_000_000 && lost * 50 <= delivered, "{delivered} and {lost} lost");
}

#[test]
fn a_rate_that_rises_is_found_and_one_that_falls_is_followed() {
    let mut path = Path::new(1_000_000, 50, 200_000);
    path.run(secs(5));
    path.rate = Rate::from_bytes_per_sec(4_000_000);
    path.run(secs(25));
    let before = path.delivered;
    path.run(secs(5));
    assert!(path.delivered - before >= 5 * 3_200_000, "{}", path.delivered - before);
    path.rate = Rate::from_bytes_per_sec(1_000_000);
    path.run(secs(15));
    let model = &path.bbr.model;
    assert!(model.rate() <= 1_300_000, "{}", model.rate());
}

#[test]
fn a_timeout_leaves_a_segment_and_a_spurious_one_no_trace() {
    let mut path = Path::new(1_000_000, 100, 1_000_000);
    path.run(secs(3));
    let cwnd = path.bbr.cwnd();
    path.bbr.on_signal(path.now, Signal::Timeout, cwnd, &[]);
    assert_eq!((path.bbr.cwnd(), path.bbr.ssthresh()), (MSS, MSS));
    path.bbr.on_signal(path.now, Signal::Timeout, MSS, &[]);
    path.bbr.on_spurious();
    assert_eq!(path.bbr.cwnd(), cwnd);
}

#[test]
fn what_the_application_holds_back_does_not_lower_the_rate() {
    let mut bbr = Bbr::new(Config::new(Mss(1000)));
    let sample = |rate, app_limited| AckSample {
        delivery_rate: Some(Rate::from_bytes_per_sec(rate)),
        app_limited,
        round_start: true,
        ..ack(1000, 100)
    };
    bbr.on_ack(&sample(1_000_000, false), &[]);
    for _ in 0..20 {
        bbr.on_ack(&sample(10_000, true), &[]);
    }
    assert_eq!((bbr.model.rate(), bbr.state), (1_000_000, State::Startup));
    bbr.on_ack(&sample(2_000_000, true), &[]);
    assert_eq!(bbr.model.rate(), 2_000_000, "more is always believed");
}

proptest! {
    #[test]
    fn no_sequence_of_samples_breaks_it(
        steps in prop::collection::vec(
            (0u8..12, any::<u32>(), any::<u64>(), any::<u64>(), any::<(bool, bool)>()), 1..60),
        initial in any::<u32>(), mss in 1u16..,
    ) {
        let mut bbr = Bbr::new(Config { mss: Mss(mss), initial_window: initial });
        let mut now = Instant::ZERO;
        for (what, n, wide, rate, (round_start, app_limited)) in steps {
            match what {
                0 => bbr.on_signal(now, Signal::Loss, n, &[]),
                1 => bbr.on_signal(now, Signal::Timeout, n, &[]),
                2 => bbr.on_signal(now, Signal::Ecn, n, &[]),
                3 => bbr.on_spurious(),
                4 => bbr.on_idle(),
                5 => bbr.set_mss(Mss(u16::try_from(n % 9000 + 1).expect("small"))),
                6 => bbr.penalise(),
                _ => {
                    now += Duration::from_nanos(wide % 3_000_000_000);
                    let sample = AckSample {
                        now,
                        acked: n,
                        delivered: wide,
                        lost: rate,
                        lost_flight: round_start.then_some(n),
                        prior_in_flight: n,
                        in_flight: n / 2,
                        rtt: Some(Duration::from_nanos(wide)),
                        round_start,
                        app_limited,
                        delivery_rate: Some(Rate::from_bytes_per_sec(rate)),
                        ..ack(n, 1)
                    };
                    bbr.on_ack(&sample, &[]);
                }
            }
            prop_assert!(bbr.cwnd() >= bbr.model.mss);
        }
    }
}
