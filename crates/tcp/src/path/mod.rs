//! One path of a flow: its congestion window, round-trip time, loss detection and timers.
//!
//! **Invariant**: `in_flight + lost + sacked` is what the scoreboard holds of this path.

mod rack;
mod recovery;
mod rtt;

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::{Instant, Mss, PathId, Rate, SubflowOffset};
use manypath_cc::{AckSample, Controller, FlowView, Signal};

pub(crate) use rack::Rack;
pub(crate) use recovery::{Cause, Episode, Prr};
pub(crate) use rtt::{MAX_RTO, RttEstimator};

use crate::scoreboard::{Sent, Status};
use crate::{Config, PathConfig, PathInfo};

/// What the loss timer of a path is waiting for (RFC 8985 §8: one timer for all three).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerKind {
    /// Pieces that were passed over become lost.
    Reorder,
    /// Tail loss probe.
    Tail,
    /// Retransmission.
    Retransmission,
}

/// A tail loss probe that was sent (RFC 8985 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailProbe {
    /// SND.NXT when it was sent.
    pub(crate) end: SubflowOffset,
    /// Whether it repeated data.
    pub(crate) retransmission: bool,
}

/// How well a path answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers, or nothing was asked.
    Alive,
    /// It has been silent for longer than its round-trip time explains.
    Suspect,
    /// Its retransmission timer expired.
    Failed,
}

/// What one acknowledgment says of one path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) delivered: u32,
    pub(crate) prior_in_flight: u32,
    /// The latest send time among pieces that were sent once.
    newest_sent: Option<Instant>,
    /// Delivery state at sending of the newest piece, for the rate.
    newest_before: Option<(u64, Instant, Instant)>,
}

/// One path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) id: PathId,
    pub(crate) mss: Mss,
    pub(crate) controller: Box<dyn Controller>,
    pub(crate) rtt: RttEstimator,
    pub(crate) rack: Rack,
    pub(crate) episode: Option<Episode>,
    pub(crate) health: Health,
    pub(crate) in_flight: u32,
    pub(crate) lost: u32,
    pub(crate) sacked: u32,
    pub(crate) timer: Option<(Instant, TimerKind)>,
    /// When the retransmission timer was (re)started.
    pub(crate) rto_base: Instant,
    pub(crate) tail_probe: Option<TailProbe>,
    /// A probe is to be sent regardless of the window.
    pub(crate) probe_due: bool,
    /// When something was last delivered, or sent into an empty path.
    pub(crate) last_heard: Instant,
    pub(crate) tally: Tally,
    ack_delay: Duration,
    next_index: u64,
    delivered: u64,
    delivered_at: Instant,
    lost_total: u64,
    rate: Rate,
    /// Bytes delivered when the present round trip ends.
    round_end: u64,
    /// Largest flight of the present and the last round.
    flight: (u32, u32),
    since_loss: u64,
    between_losses: u64,
}

impl Path {
    pub(crate) fn new(init: PathConfig, config: &Config, now: Instant) -> Self {
        Self {
            id: init.id,
            mss: init.mss,
            controller: init.controller,
            rtt: RttEstimator::new(config.min_rto),
            rack: Rack::default(),
            episode: None,
            health: Health::Alive,
            in_flight: 0,
            lost: 0,
            sacked: 0,
            timer: None,
            rto_base: now,
            tail_probe: None,
            probe_due: false,
            last_heard: now,
            tally: Tally::default(),
            ack_delay: config.delayed_ack,
            next_index: 0,
            delivered: 0,
            delivered_at: now,
            lost_total: 0,
            rate: Rate::default(),
            round_end: 0,
            flight: (0, 0),
            since_loss: 0,
            between_losses: 0,
        }
    }

    pub(crate) fn set_mss(&mut self, mss: Mss) {
        if self.mss != mss {
            self.mss = mss;
            self.controller.set_mss(mss);
        }
    }

    /// Bytes that may be sent now: the window less the flight, in recovery what PRR allows. Less
    /// than a segment counts as nothing, unless nothing is in flight.
    pub(crate) fn room(&self) -> u32 {
        let room = match self.episode {
            Some(Episode { cause: Cause::Loss(prr), .. }) => prr.allowance(),
            Some(Episode { cause: Cause::Timeout, .. }) | None => {
                self.controller.cwnd().saturating_sub(self.in_flight)
            }
        };
        let segment = self.mss.bytes();
        if room >= segment {
            room
        } else if self.in_flight == 0 {
            segment
        } else {
            0
        }
    }

    /// Whether anything of this path waits for an acknowledgment.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.in_flight > 0 || self.lost > 0
    }

    /// The place in send order of the next piece, with what the scoreboard notes beside it.
    pub(crate) fn next_index(&mut self) -> u64 {
        self.next_index += 1;
        self.next_index
    }

    pub(crate) fn delivered_mark(&self) -> (u64, Instant) {
        (self.delivered, self.delivered_at)
    }

    /// Bytes went out on this path, new or again.
    pub(crate) fn on_sent(&mut self, bytes: u32, now: Instant) {
        if !self.is_outstanding() {
            self.last_heard = now;
            self.rto_base = now;
            self.delivered_at = now;
        }
        self.in_flight += bytes;
        self.flight.0 = self.flight.0.max(self.in_flight);
        if let Some(Episode { cause: Cause::Loss(prr), .. }) = &mut self.episode {
            prr.on_sent(bytes);
        }
    }

    pub(crate) fn begin_ack(&mut self) {
        self.tally = Tally { prior_in_flight: self.in_flight, ..Tally::default() };
    }

    /// A piece was acknowledged, cumulatively or selectively; `piece` is as it was before.
    pub(crate) fn on_delivered(&mut self, piece: &Sent, now: Instant) {
        let bytes = piece.len();
        match piece.status {
            Status::Sacked => {
                self.sacked -= bytes;
                return;
            }
            Status::InFlight => self.in_flight -= bytes,
            Status::Lost => self.lost -= bytes,
        }
        self.tally.delivered += bytes;
        self.delivered += u64::from(bytes);
        self.since_loss += u64::from(bytes);
        if piece.transmissions == 1 {
            self.tally.newest_sent = self.tally.newest_sent.max(Some(piece.sent_at));
        }
        let (before, at) = piece.delivered_before;
        if self.tally.newest_before.is_none_or(|(_, _, sent)| piece.sent_at >= sent) {
            self.tally.newest_before = Some((before, at, piece.sent_at));
        }
        self.rack.on_delivered(piece, now, self.rtt.min());
    }

    /// A piece was taken for lost.
    pub(crate) fn on_lost(&mut self, bytes: u32) {
        self.in_flight -= bytes;
        self.lost += bytes;
        self.lost_total += u64::from(bytes);
    }

    /// The acknowledgment has been read whole: takes its round-trip time and delivery rate.
    /// Returns the sample and whether a round trip ended with it.
    pub(crate) fn finish_ack(&mut self, now: Instant) -> (Option<Duration>, bool) {
        self.last_heard = now;
        self.delivered_at = now;
        let rtt = self.tally.newest_sent.map(|sent| now.since(sent));
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt, now);
        }
        let Some((before, since, _)) = self.tally.newest_before else { return (rtt, false) };
        self.rate = Rate::from_transfer(self.delivered - before, now.since(since));
        let round_start = before >= self.round_end;
        if round_start {
            self.round_end = self.delivered;
            self.flight = (self.in_flight, self.flight.0);
        }
        (rtt, round_start)
    }

    /// Whether the window limited what was sent in the last round trip (RFC 7661 §4.2; in slow
    /// start half a window counts as full, since it doubles within the round).
    fn is_cwnd_limited(&self) -> bool {
        let flight = self.flight.0.max(self.flight.1).max(self.tally.prior_in_flight);
        let (cwnd, slack) = (self.controller.cwnd(), 2 * self.mss.bytes());
        let full = if cwnd < self.controller.ssthresh() { cwnd / 2 } else { cwnd };
        flight.saturating_add(slack) >= full
    }

    /// What the controller is told of an acknowledgment.
    pub(crate) fn ack_sample(
        &self,
        now: Instant,
        rtt: Option<Duration>,
        round_start: bool,
    ) -> AckSample {
        AckSample {
            now,
            path: self.id,
            acked: self.tally.delivered,
            prior_in_flight: self.tally.prior_in_flight,
            rtt,
            srtt: self.rtt.srtt().unwrap_or_default(),
            min_rtt: self.rtt.min(),
            round_start,
            cwnd_limited: self.is_cwnd_limited(),
            delivery_rate: Some(self.rate),
        }
    }

    /// Begins a loss episode and tells the controller. `flight` is what was in flight when the
    /// loss happened.
    pub(crate) fn begin_episode(
        &mut self,
        now: Instant,
        point: SubflowOffset,
        signal: Signal,
        flight: u32,
        views: &[FlowView],
    ) {
        self.controller.on_signal(now, signal, flight, views);
        let cause = match signal {
            Signal::Timeout => Cause::Timeout,
            Signal::Loss | Signal::Ecn => Cause::Loss(Prr::new(flight, self.mss.bytes())),
        };
        self.episode = Some(Episode::new(point, cause));
        self.between_losses = self.since_loss;
        self.since_loss = 0;
        self.tail_probe = None;
    }

    /// How this path looks to coupled controllers.
    pub(crate) fn view(&self) -> FlowView {
        FlowView {
            path: self.id,
            cwnd: self.controller.cwnd(),
            srtt: self.rtt.srtt().unwrap_or_default(),
            mss: self.mss,
            since_loss: self.since_loss,
            between_losses: self.between_losses,
        }
    }

    pub(crate) fn info(&self) -> PathInfo {
        PathInfo {
            id: self.id,
            srtt: self.rtt.srtt().unwrap_or_default(),
            rtt_var: self.rtt.var(),
            min_rtt: self.rtt.min(),
            rto: self.rtt.rto(),
            cwnd: self.controller.cwnd(),
            ssthresh: self.controller.ssthresh(),
            in_flight: self.in_flight,
            mss: self.mss,
            rate: self.rate,
            delivered: self.delivered,
            lost: self.lost_total,
            suspect: self.health == Health::Suspect,
            failed: self.health == Health::Failed,
        }
    }

    /// Sets the loss timer after a transmission or an acknowledgment (RFC 8985 §7.2, §8;
    /// RFC 6298 §5). `reorder` is when the next passed-over piece becomes lost.
    pub(crate) fn rearm(&mut self, now: Instant, reorder: Option<Instant>) {
        let rto_at = self.rto_base + self.rtt.rto();
        self.timer = if !self.is_outstanding() {
            None
        } else if let Some(at) = reorder {
            Some((at.min(rto_at), TimerKind::Reorder))
        } else if self.may_probe_tail() {
            Some((self.tail_probe_at(now).min(rto_at), TimerKind::Tail))
        } else {
            Some((rto_at, TimerKind::Retransmission))
        };
    }

    /// RFC 8985 §7.2: no probe in recovery, with holes known, twice in a row, or without an RTT.
    fn may_probe_tail(&self) -> bool {
        self.episode.is_none()
            && self.tail_probe.is_none()
            && self.sacked == 0
            && self.health != Health::Failed
            && self.rtt.srtt().is_some()
    }

    fn tail_probe_at(&self, now: Instant) -> Instant {
        let delay =
            if self.in_flight <= self.mss.bytes() { self.ack_delay } else { Duration::ZERO };
        now + self.rtt.srtt().unwrap_or_default() * 2 + delay
    }

    /// When the path is to be suspected, unless something is heard of it.
    pub(crate) fn suspect_at(&self) -> Option<Instant> {
        let watched = self.health == Health::Alive && self.in_flight > 0;
        let delay =
            if self.in_flight <= 2 * self.mss.bytes() { self.ack_delay } else { Duration::ZERO };
        watched.then(|| self.last_heard + self.rtt.silence(delay))
    }
}
