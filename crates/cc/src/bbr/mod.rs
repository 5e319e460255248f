//! BBR version 3 (draft-ietf-ccwg-bbr): sends at the rate that the path delivers, and looks now and
//! then whether it delivers more.
//!
//! **Owns** the state machine and the pace; [`model`] has what is known of the path. Names of the
//! draft are given where they differ. **Invariants**: outside of Startup and probes no more than
//! `inflight_hi` less a headroom is in flight; a probe that loses more than 2 % of a flight ends at
//! once. Window and pace hold in loss recovery too. **Leaves out** the filter for aggregated acknowledgments
//! (`extra_acked`), for which the window has room for three bursts instead. **Differs** in that the
//! bytes lost are compared with the longest flight of the last two rounds, not with the flight at
//! the sending of each packet, and that the wait between probes takes its jitter from the bytes
//! delivered: a controller has no randomness.
//!
//! It is not coupled: each path takes what a BBR would.

mod model;

use core::time::Duration;

use manypath_base::{Instant, Mss, Rate};

use crate::{AckSample, Config, Controller, FlowView, Signal};
use model::{Model, PACE_MARGIN};

/// Where BBR is; everything from `Down` to `Up` is the draft's `ProbeBW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Doubles the rate until the pipe is full.
    Startup,
    /// Empties the queue that Startup made.
    Drain,
    /// Leaves room, after a probe.
    Down,
    /// Sends as fast as the path delivers.
    Cruise,
    /// Fills the pipe again, before a probe.
    Refill,
    /// Probes for more.
    Up {
        /// Round trips of this probe.
        rounds: u32,
        /// Bytes acknowledged towards the next segment of `inflight_hi`.
        acked: u64,
    },
    /// Drains the pipe to see the round-trip time.
    ProbeRtt {
        /// Window to come back to.
        prior: u32,
        /// When it ends at the earliest, once the flight is short.
        until: Option<Instant>,
        /// A round trip has passed since.
        round_done: bool,
    },
}

impl State {
    /// Pace and window, in percent of rate and bandwidth-delay product.
    const fn gains(self) -> (u32, u32) {
        match self {
            Self::Startup => (277, 200),
            Self::Drain => (35, 200),
            Self::Down => (90, 200),
            Self::Cruise | Self::Refill => (100, 200),
            Self::Up { .. } => (125, 225),
            Self::ProbeRtt { .. } => (100, 50),
        }
    }
}

/// Whether the pipe is full: three rounds that deliver no more than a quarter faster.
#[derive(Clone, Copy, Debug, Default)]
struct FullPipe {
    rate: u64,
    rounds: u32,
    now: bool,
    /// It was once, so that Startup is over.
    ever: bool,
}

impl FullPipe {
    const ROUNDS: u32 = 3;

    fn restart(&mut self, rate: u64) {
        *self = Self { rate, ever: self.ever, ..Self::default() };
    }

    /// `BBRCheckFullBWReached`.
    fn check(&mut self, ack: &AckSample) {
        let rate = ack.delivery_rate.map_or(0, Rate::bytes_per_sec);
        if self.now || !ack.round_start || ack.app_limited {
            return;
        }
        if rate >= self.rate.saturating_add(self.rate / 4) {
            return self.restart(rate);
        }
        self.rounds += 1;
        self.now = self.rounds >= Self::ROUNDS;
        self.ever |= self.now;
    }
}

/// The cycle of probes.
#[derive(Clone, Copy, Debug, Default)]
struct Cycle {
    began: Option<Instant>,
    wait: Duration,
    rounds: u64,
    /// Losses are still those of a probe (`bw_probe_samples`).
    probing: bool,
    /// The first round after a probe is not over yet (`ACKS_PROBE_STOPPING`).
    stopping: bool,
}

/// BBR for one path.
#[derive(Clone, Debug)]
pub struct Bbr {
    state: State,
    model: Model,
    full: FullPipe,
    cycle: Cycle,
    initial: u32,
    cwnd: u32,
    pace: Option<Rate>,
    /// A signal has come, or Startup is over.
    bounded: bool,
    /// Nothing has been delivered since the path was idle: a long round-trip time proves nothing.
    after_idle: bool,
    /// Rounds still to end in which less came back because `ProbeRTT` had held it back.
    held_back: u32,
    /// Window and bounds before the last signal.
    before: Option<(u32, Model)>,
}

impl Bbr {
    /// Time in `ProbeRTT` once the flight is short (`ProbeRTTDuration`).
    const PROBE_RTT: Duration = Duration::from_millis(200);
    /// Rounds that end with what was sent during `ProbeRTT`, and with what was sent partly before its
    /// end: little came back in them, so that a loss says nothing of the path (not in the draft).
    const HELD_BACK: u32 = 2;
    /// Shortest wait between two probes; up to a second more by chance.
    const WAIT_MILLIS: (u64, u64) = (2000, 1000);
    /// Lost segments of one round that can end Startup (`StartupFullLossCnt`).
    const STARTUP_LOSSES: u64 = 6;

    /// A controller in Startup.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mss = config.mss.bytes().max(1);
        let initial = config.initial_window.max(mss);
        Self {
            state: State::Startup,
            model: Model::new(mss),
            full: FullPipe::default(),
            cycle: Cycle::default(),
            initial,
            cwnd: initial,
            pace: None,
            bounded: false,
            after_idle: false,
            held_back: 0,
            before: None,
        }
    }

    /// `BBRUpdateOnACK`.
    fn update(&mut self, ack: &AckSample) {
        let rtt_is_due = self.model.update(ack) && !self.after_idle;
        self.after_idle = false;
        self.full.check(ack);
        self.end_startup(ack);
        self.adapt_upper_bound(ack);
        self.walk(ack);
        if rtt_is_due && !matches!(self.state, State::ProbeRtt { .. }) {
            self.state = State::ProbeRtt { prior: self.cwnd, until: None, round_done: false };
        }
        if ack.round_start {
            self.cycle.rounds += 1;
            let probing = matches!(self.state, State::Startup | State::Refill | State::Up { .. });
            self.model.end_round(ack, !probing && self.held_back == 0, self.cwnd);
            self.held_back = self.held_back.saturating_sub(1);
        }
        self.set_pace();
        self.set_cwnd(ack);
    }

    /// `BBRCheckStartupHighLoss`: a round of heavy loss fills the pipe as well.
    fn end_startup(&mut self, ack: &AckSample) {
        let many = Self::STARTUP_LOSSES * u64::from(self.model.mss);
        let lossy = self.model.loses_too_much() && self.model.round_lost() >= many;
        if self.state == State::Startup && !self.full.ever && ack.round_start && lossy {
            self.full.ever = true;
            self.model.bound_startup(ack);
        }
    }

    /// The transitions (`BBRUpdateProbeBWCyclePhase` and its neighbours).
    fn walk(&mut self, ack: &AckSample) {
        match self.state {
            State::Startup if self.full.ever => self.state = State::Drain,
            State::Drain if self.model.capacity().is_some_and(|bdp| ack.in_flight <= bdp) => {
                self.go_down(ack);
            }
            State::Down => {
                if !self.probe_if_due(ack) && self.may_cruise(ack) {
                    self.state = State::Cruise;
                }
            }
            State::Cruise => {
                self.probe_if_due(ack);
            }
            State::Refill if ack.round_start => self.go_up(ack),
            State::Up { rounds, acked } => {
                let rounds = rounds + u32::from(ack.round_start);
                self.state = State::Up { rounds, acked };
                self.end_probe(ack);
            }
            State::ProbeRtt { .. } => self.probe_rtt(ack),
            State::Startup | State::Drain | State::Refill => {}
        }
    }

    /// `BBRStartProbeBW_DOWN`.
    fn go_down(&mut self, ack: &AckSample) {
        let (least, jitter) = Self::WAIT_MILLIS;
        let wait = Duration::from_millis(least + Model::jitter(ack.delivered, jitter));
        let rounds = Model::jitter(ack.delivered.rotate_left(7), 2);
        let probing = self.cycle.probing;
        self.cycle = Cycle { began: Some(ack.now), wait, rounds, probing, stopping: true };
        self.state = State::Down;
    }

    /// `BBRIsTimeToProbeBW`: after two to three seconds, or when a Reno would have caught up.
    fn probe_if_due(&mut self, ack: &AckSample) -> bool {
        let waited = self.cycle.began.is_none_or(|began| ack.now.since(began) > self.cycle.wait);
        let due = waited || self.cycle.rounds >= self.model.reno_rounds(self.cwnd).max(1);
        if due {
            self.model.reset_lower_bounds();
            self.cycle.probing = false;
            self.state = State::Refill;
        }
        due
    }

    /// `BBRIsTimeToCruise`. Short-term bounds do not count: while every round loses a little, they sink
    /// with the flight, and it would leave room for ever.
    fn may_cruise(&self, ack: &AckSample) -> bool {
        let room = self.model.with_headroom().is_none_or(|most| ack.in_flight <= most);
        room && self.model.capacity().is_some_and(|bdp| ack.in_flight <= bdp)
    }

    /// `BBRStartProbeBW_UP`.
    fn go_up(&mut self, ack: &AckSample) {
        self.cycle.probing = true;
        self.full.restart(ack.delivery_rate.map_or(0, Rate::bytes_per_sec));
        self.state = State::Up { rounds: 0, acked: 0 };
    }

    /// `BBRIsTimeToGoDown`: a probe goes on while the bound is what limits it, or delivery rises.
    fn end_probe(&mut self, ack: &AckSample) {
        let at_the_bound = self.model.inflight_hi.is_some_and(|hi| self.cwnd >= hi);
        if ack.cwnd_limited && at_the_bound {
            self.full.restart(ack.delivery_rate.map_or(0, Rate::bytes_per_sec));
        } else if self.full.now {
            self.go_down(ack);
        }
    }

    /// `BBRAdaptUpperBounds`: too much loss bounds the flight and ends the probe, otherwise the bound
    /// follows what was carried.
    fn adapt_upper_bound(&mut self, ack: &AckSample) {
        if self.cycle.stopping && ack.round_start {
            self.cycle.stopping = false;
            self.cycle.probing = false;
            if !ack.app_limited {
                self.model.end_cycle();
            }
        }
        if self.model.loses_too_much() {
            if self.cycle.probing {
                self.cycle.probing = false;
                if !ack.app_limited {
                    self.model.bound_flight(ack, self.cwnd);
                }
                if matches!(self.state, State::Up { .. }) {
                    self.go_down(ack);
                }
            }
            return;
        }
        if let Some(hi) = &mut self.model.inflight_hi {
            *hi = (*hi).max(ack.prior_in_flight);
            self.raise_bound(ack);
        }
    }

    /// `BBRProbeInflightHiUpward`: `inflight_hi` grows by 1, 2, 4 .. segments a round trip.
    fn raise_bound(&mut self, ack: &AckSample) {
        let (State::Up { rounds, acked }, Some(hi)) =
            (&mut self.state, &mut self.model.inflight_hi)
        else {
            return;
        };
        if !ack.cwnd_limited || self.cwnd < *hi {
            return;
        }
        *acked += u64::from(ack.acked);
        let per_segment = u64::from(self.cwnd >> (*rounds).min(30)).max(self.model.mss.into());
        let segments = u32::try_from(*acked / per_segment).unwrap_or(u32::MAX);
        *acked %= per_segment;
        *hi = hi.saturating_add(segments.saturating_mul(self.model.mss));
    }

    /// `BBRHandleProbeRTT`.
    fn probe_rtt(&mut self, ack: &AckSample) {
        let short = self.probe_rtt_window();
        let State::ProbeRtt { prior, until, round_done } = &mut self.state else { return };
        match *until {
            None if ack.in_flight <= short => *until = Some(ack.now + Self::PROBE_RTT),
            None => {}
            Some(_) if !*round_done && ack.round_start => *round_done = true,
            Some(_) => {}
        }
        if *round_done && until.is_some_and(|until| ack.now >= until) {
            self.cwnd = self.cwnd.max(*prior);
            self.model.rtt_was_probed(ack.now);
            self.model.reset_lower_bounds();
            self.held_back = Self::HELD_BACK;
            if self.full.ever {
                self.go_down(ack);
                self.state = State::Cruise;
            } else {
                self.state = State::Startup;
            }
        }
    }

    fn probe_rtt_window(&self) -> u32 {
        let (_, gain) = self.state.gains();
        self.model.bdp(gain).unwrap_or(0).max(self.model.least())
    }

    /// `BBRSetPacingRate`: until the pipe was full once, the pace only rises.
    fn set_pace(&mut self) {
        let (gain, _) = self.state.gains();
        let rate = u128::from(self.model.rate()) * u128::from(gain) / 100;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX) / 100 * PACE_MARGIN;
        let rate = Rate::from_bytes_per_sec(rate);
        if rate > Rate::default() && (self.full.ever || self.pace.is_none_or(|pace| rate > pace)) {
            self.pace = Some(rate);
        }
    }

    /// `BBRSetCwnd`.
    fn set_cwnd(&mut self, ack: &AckSample) {
        let (_, gain) = self.state.gains();
        let grown = self.cwnd.saturating_add(ack.acked);
        let most = self.model.window(gain);
        self.cwnd = match most {
            Some(most) if self.full.ever => grown.min(most),
            Some(most) if self.cwnd >= most && ack.delivered >= u64::from(self.initial) => {
                self.cwnd
            }
            Some(_) | None => grown,
        };
        let bound = match self.state {
            State::Startup | State::Drain => None,
            State::Down | State::Refill | State::Up { .. } => self.model.inflight_hi,
            State::Cruise => self.model.with_headroom(),
            State::ProbeRtt { .. } => Some(self.probe_rtt_window()),
        };
        let bound = bound.into_iter().chain(self.model.inflight_lo).min();
        let bound = bound.unwrap_or(u32::MAX).max(self.model.least());
        self.cwnd = self.cwnd.max(self.model.least()).min(bound);
        self.bounded |= self.full.ever;
    }
}

impl Controller for Bbr {
    fn name(&self) -> &'static str {
        "bbr"
    }

    fn on_ack(&mut self, ack: &AckSample, _: &[FlowView]) {
        self.update(ack);
    }

    fn governs_recovery(&self) -> bool {
        true
    }

    /// A loss does not move the window: how much was lost in its round does. A timeout leaves one
    /// segment, from which the window doubles up to what the model says.
    fn on_signal(&mut self, _: Instant, signal: Signal, _: u32, _: &[FlowView]) {
        self.bounded = true;
        match signal {
            Signal::Loss => self.before = Some((self.cwnd, self.model.clone())),
            Signal::Ecn => self.model.mark(),
            Signal::Timeout => {
                if self.cwnd > self.model.mss {
                    self.before = Some((self.cwnd, self.model.clone()));
                }
                self.cwnd = self.model.mss;
            }
        }
    }

    fn on_spurious(&mut self) {
        if let Some((cwnd, model)) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.model.inflight_hi =
                model.inflight_hi.map(|hi| self.model.inflight_hi.unwrap_or(0).max(hi));
            self.model.reset_lower_bounds();
        }
    }

    /// Nothing is forgotten: what is sent next is paced.
    fn on_idle(&mut self) {
        self.after_idle = true;
        self.before = None;
    }

    fn set_mss(&mut self, mss: Mss) {
        self.model.mss = mss.bytes().max(1);
        self.cwnd = self.cwnd.max(self.model.mss);
        self.before = None;
    }

    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// BBR has none: once Startup is over or a signal has come, it is the window, which recovery
    /// comes back to.
    fn ssthresh(&self) -> u32 {
        if self.bounded { self.cwnd } else { u32::MAX }
    }

    fn pacing_rate(&self) -> Option<Rate> {
        self.pace
    }

    fn penalise(&mut self) {
        self.model.halve(self.cwnd);
        self.cwnd = (self.cwnd / 2).max((2 * self.model.mss).min(self.cwnd));
        self.before = None;
    }
}

#[cfg(test)]
mod tests;
