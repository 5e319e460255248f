//! One path of a flow: its congestion window, round-trip time, loss detection and timers.
//!
//! **Invariant**: `in_flight + lost + sacked` is what the scoreboard holds of this path.

mod alone;
mod congestion;
mod frto;
mod mtu;
mod order;
mod pacing;
mod rack;
mod recovery;
mod rtt;
mod runs;
mod sample;
mod timers;
mod work;

use alloc::boxed::Box;
use core::ops::Range;
use core::time::Duration;

use manypath_base::{Instant, Mss, PathId, Rate, SubflowOffset, len32, usize64};
use manypath_cc::{Controller, FlowView};
use manypath_sched::PathView;

use alone::Use;
pub(crate) use frto::{Frto, Judgment};
pub(crate) use mtu::{Mtu, TooBig, min_mss};
pub(crate) use order::SendOrder;
pub(crate) use rack::Rack;
pub(crate) use recovery::{Cause, Episode, Prr};
pub(crate) use rtt::{MAX_RTO, RttEstimator};
pub(crate) use runs::Runs;
pub(crate) use timers::{TailProbe, TimerKind};
use work::Working;

use crate::scoreboard::Sent;
use crate::several::Ping;
use crate::{Config, PathConfig, PathInfo};

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

/// Whether a path may carry data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The peer has not answered on it.
    Unproven,
    /// It leads to the peer.
    Proven,
    /// It did harm.
    Barred,
}

/// What one acknowledgment says of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) delivered: u32,
    pub(crate) prior_in_flight: u32,
    /// FlightSize of RFC 5681 §2 before this acknowledgment: delivered out of order counts.
    pub(crate) prior_outstanding: u32,
    /// The same without what was delivered out of order.
    pub(crate) prior_undelivered: u32,
    /// Least flight in which something was sent that is now found lost.
    lost_flight: Option<u32>,
    /// Bytes that a duplicate acknowledgment without SACK stands for.
    pub(crate) repeated: u32,
    /// Something was delivered that was sent once, before the episode began.
    original: bool,
    /// Something that was sent twice was delivered: round-trip times are ambiguous (RFC 6298 §3).
    resent: bool,
    /// The latest send time among pieces that were sent once.
    newest_sent: Option<Instant>,
    /// Delivery state at sending of the newest piece, for the rate.
    newest_before: Option<(u64, Instant, Instant)>,
}

impl Tally {
    const NEW: Self = Self {
        delivered: 0,
        prior_in_flight: 0,
        prior_outstanding: 0,
        prior_undelivered: 0,
        lost_flight: None,
        repeated: 0,
        original: false,
        resent: false,
        newest_sent: None,
        newest_before: None,
    };
}

/// One path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) id: PathId,
    pub(crate) mss: Mss,
    /// What the controller counts in: none with this MSS were sent yet.
    pub(crate) smss: Option<Mss>,
    pub(crate) mtu: Mtu,
    pub(crate) controller: Box<dyn Controller>,
    pub(crate) rtt: RttEstimator,
    pub(crate) work: Working,
    /// In a box, as most paths have none most of the time.
    pub(crate) episode: Option<Box<Episode>>,
    /// The last episode that ended: that it was spurious may show only afterwards.
    pub(crate) recovered: Option<Box<Episode>>,
    pub(crate) health: Health,
    pub(crate) standing: Standing,
    /// It is one of several of its flow: what is acknowledged selectively may wait for another.
    pub(crate) shares: bool,
    /// Where the flow has several paths: how this one is asked whether it answers.
    pub(crate) ping: Ping,
    /// Failures in a row with hardly anything delivered between, and what was delivered by then.
    pub(crate) strike: (u8, u64),
    pub(crate) in_flight: u32,
    pub(crate) lost: u32,
    pub(crate) sacked: u32,
    pub(crate) timer: Option<(Instant, TimerKind)>,
    /// When the retransmission timer was (re)started.
    pub(crate) rto_base: Instant,
    /// Whether a round-trip time was measured since the last tail loss probe.
    sampled_since_probe: bool,
    /// Payload of one packet, options taken off, as last sent.
    pub(crate) packet: u32,
    /// A probe is to be sent regardless of the window.
    pub(crate) probe_due: bool,
    /// When something was last delivered, or sent into an empty path.
    pub(crate) last_heard: Instant,
    pacing: bool,
    /// The window was reduced, and no new data has said so (CWR, RFC 3168 §6.1.2).
    pub(crate) reduction_untold: bool,
    /// SND.NXT when a mark was last answered, until that is acknowledged.
    marked_until: Option<SubflowOffset>,
    ack_delay: Duration,
    next_index: u64,
    last_sent: Instant,
    delivered: u64,
    delivered_at: Instant,
    lost_total: u64,
    sent_total: u64,
    resent_total: u64,
    rate: Rate,
    /// The best rate of late: what the path delivers when it is full.
    capacity: Rate,
    /// The best that it ever was.
    pub(crate) fastest: Rate,
    /// It was told that the peer is beside this host.
    pub(crate) told_beside: bool,
    /// [`Config::near_flight`].
    near_flight: u32,
    /// Once so many bytes are delivered, all that was sent when there was nothing more to send is.
    app_limited_until: u64,
    /// Bytes delivered when the present round trip ends.
    round_end: u64,
    /// Largest flight of the present and the last round.
    flight: (u32, u32),
    pub(crate) runs: Runs,
    used: Use,
}

impl Path {
    pub(crate) fn new(init: PathConfig, config: &Config, v6: bool, now: Instant) -> Self {
        Self {
            id: init.id,
            mss: init.mss,
            smss: None,
            mtu: Mtu::new(init.mss, v6),
            controller: init.controller,
            rtt: RttEstimator::new(config.min_rto),
            work: Working::default(),
            episode: None,
            recovered: None,
            health: Health::Alive,
            standing: Standing::Proven,
            shares: false,
            ping: Ping::default(),
            strike: (0, 0),
            in_flight: 0,
            lost: 0,
            sacked: 0,
            timer: None,
            rto_base: now,
            sampled_since_probe: false,
            packet: init.mss.bytes(),
            probe_due: false,
            last_heard: now,
            pacing: config.pacing,
            reduction_untold: false,
            marked_until: None,
            ack_delay: config.delayed_ack,
            next_index: 0,
            last_sent: now,
            delivered: 0,
            delivered_at: now,
            lost_total: 0,
            sent_total: 0,
            resent_total: 0,
            rate: Rate::default(),
            capacity: Rate::default(),
            fastest: Rate::default(),
            told_beside: false,
            near_flight: config.near_flight,
            app_limited_until: 0,
            round_end: 0,
            flight: (0, 0),
            runs: Runs::default(),
            used: Use::default(),
        }
    }

    pub(crate) fn set_mss(&mut self, mss: Mss) {
        if self.mss != mss {
            self.mss = mss;
            self.packet = self.packet.min(mss.bytes());
            self.controller.set_mss(mss);
            self.smss = None;
        }
    }

    /// Packets with data have this payload. It is what the controller counts in, since SMSS leaves
    /// options out (RFC 5681 §2): the first size with an MSS, or a larger one. Some segments have
    /// more options than others; that is no reason to count anew.
    pub(crate) fn size_packets(&mut self, payload: Mss) {
        self.packet = payload.bytes();
        if self.smss.is_none_or(|smss| payload > smss) {
            self.smss = Some(payload);
            self.controller.set_mss(payload);
        }
    }

    /// Bytes that may be in flight: the congestion window, and no more than fills the path where the
    /// peer is near. Beyond that bytes wait in the peer's buffer, which is a slow place to read them
    /// from once it is larger than a cache, and no loss ever ends the window's growth.
    pub(crate) fn window(&self) -> u32 {
        let (cwnd, min) = (self.controller.cwnd(), self.rtt.min());
        if cwnd <= self.near_flight || !self.is_beside() {
            return cwnd;
        }
        let fills = self.capacity.bytes_in(2 * min);
        cwnd.min(self.near_flight.max(u32::try_from(fills).unwrap_or(u32::MAX)))
    }

    /// Bytes that may be sent now: the window less the flight, in recovery what PRR allows, or the
    /// first retransmission where the controller governs that. Less
    /// than a packet counts as nothing, unless nothing is in flight.
    pub(crate) fn room(&self) -> u32 {
        let room = match self.episode.as_deref() {
            Some(Episode { cause: Cause::Loss(prr), .. }) if self.controller.governs_recovery() => {
                self.window().saturating_sub(self.in_flight).max(prr.allowance())
            }
            Some(Episode { cause: Cause::Loss(prr), .. }) => prr.allowance(),
            Some(Episode { cause: Cause::Timeout, .. }) | None => {
                self.window().saturating_sub(self.in_flight)
            }
        };
        let room = match self.work.frto {
            Some(Frto::Probing { left, .. }) => room.min(left),
            Some(Frto::Repeated) | None => room,
        };
        if room >= self.packet {
            room
        } else if self.in_flight == 0 {
            self.mss.bytes()
        } else {
            0
        }
    }

    /// Whether a reported duplicate may be of what was sent again for this path. A report of much
    /// less than a packet is of a ping, or forged: it would make loss detection ever slower.
    pub(crate) fn concerns(&self, range: &Range<SubflowOffset>) -> bool {
        if range.end - range.start < u64::from(self.packet / 2) {
            return false;
        }
        let episodes = self.episode.iter().chain(&self.recovered);
        episodes.into_iter().any(|e| e.evidence.concerns(range))
    }

    /// Whether fast recovery goes on, where PRR decides what is sent.
    pub(crate) fn is_recovering(&self) -> bool {
        matches!(self.episode.as_deref(), Some(Episode { cause: Cause::Loss(_), .. }))
    }

    /// Whether anything of this path waits for an acknowledgment.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.in_flight > 0 || self.lost > 0
    }

    /// FlightSize of RFC 5681 §2: everything sent and not acknowledged cumulatively; of one of
    /// several paths, what was not delivered.
    pub(crate) fn outstanding(&self) -> u32 {
        let held = if self.shares { 0 } else { self.sacked };
        self.in_flight + self.lost + held
    }

    /// Bytes delivered so far and when, for what is sent now to remember.
    pub(crate) fn delivered_mark(&self) -> (u64, Instant) {
        (self.delivered, self.delivered_at)
    }

    /// Bytes are about to go out after a pause: a window that was not used for longer than the
    /// retransmission timeout says nothing of the path any more (RFC 5681 §4.1). Beside this host
    /// there is no path to speak of, and who waits for a turn among a thousand waits that long.
    pub(crate) fn before_new_data(&mut self, now: Instant) {
        let idle = now.since(self.last_sent.max(self.delivered_at));
        let unused = self.outstanding() == 0 && self.next_index > 0 && idle > self.rtt.rto();
        if unused && !self.is_beside() {
            self.controller.on_idle();
        }
    }

    /// The bytes of `range` went out on this path, new or again. Returns their place in send
    /// order.
    pub(crate) fn on_sent(&mut self, range: Range<SubflowOffset>, now: Instant) -> u64 {
        let bytes = len32(usize64(range.end - range.start));
        if !self.is_outstanding() {
            self.last_heard = now;
            self.rto_base = now;
        }
        self.in_flight += bytes;
        self.sent_total += u64::from(bytes);
        self.flight.0 = self.flight.0.max(self.in_flight);
        self.last_sent = now;
        if let Some(Episode { cause: Cause::Loss(prr), .. }) = self.episode.as_deref_mut() {
            prr.on_sent(bytes);
        }
        self.next_index += 1;
        self.work.order.push(self.next_index, range);
        self.next_index
    }

    /// The round-trip time of what would be sent now, with what is in flight before it: the average
    /// lags behind a queue that grows.
    pub(crate) fn expected_rtt(&self) -> Duration {
        let drained = self.capacity.time_for(self.in_flight.into());
        match self.capacity.bytes_per_sec() {
            0 => self.rtt.srtt().unwrap_or_default(),
            _ => drained.max(self.rtt.min()),
        }
    }

    /// When the last of so many bytes more would be answered: at the best rate of late, or at a window a
    /// round trip where no more than that was ever tried.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        let expected = self.expected_rtt();
        let tried = self.rtt.srtt().map(|srtt| Rate::from_transfer(self.window().into(), srtt));
        let rate = tried.map_or(self.capacity, |tried| tried.max(self.capacity));
        if rate.bytes_per_sec() == 0 {
            expected
        } else {
            expected.saturating_add(rate.time_for(bytes))
        }
    }

    /// What was just sent had been sent before.
    pub(crate) fn note_resent(&mut self, bytes: u32) {
        self.resent_total += u64::from(bytes);
    }

    /// Place in send order of what was sent last.
    pub(crate) fn last_index(&self) -> u64 {
        self.next_index
    }

    /// What an answer takes at most, unless something is lost.
    pub(crate) fn silence(&self) -> Duration {
        self.rtt.silence(self.ack_delay)
    }

    /// Whether an episode has answered for the loss of what was sent there.
    pub(crate) fn has_answered(&self, index: u64) -> bool {
        let episodes = self.episode.iter().chain(&self.recovered);
        episodes.into_iter().any(|e| index <= e.last_index)
    }

    /// Recovery may send one segment whatever PRR says.
    pub(crate) fn grant_one(&mut self) {
        if let Some(Episode { cause: Cause::Loss(prr), .. }) = self.episode.as_deref_mut() {
            prr.grant(self.mss.bytes());
        }
    }

    /// A piece was taken for lost.
    pub(crate) fn on_lost(&mut self, piece: &Sent) {
        let bytes = piece.len();
        let least =
            self.work.tally.lost_flight.map_or(piece.flight, |least| least.min(piece.flight));
        self.work.tally.lost_flight = Some(least);
        self.in_flight -= bytes;
        self.lost += bytes;
        self.lost_total += u64::from(bytes);
    }

    /// How this path looks to coupled controllers.
    pub(crate) fn view(&self) -> FlowView {
        FlowView {
            path: self.id,
            cwnd: self.coupled_window(),
            srtt: self.rtt.srtt().unwrap_or_default(),
            mss: self.mss,
            since_loss: self.runs.since,
            between_losses: self.runs.between,
        }
    }

    /// How this path looks to a scheduler.
    pub(crate) fn scheduler_view(&self) -> PathView {
        PathView {
            id: self.id,
            alive: self.health == Health::Alive,
            backup: false,
            srtt: self.rtt.srtt().unwrap_or_default(),
            rtt_var: self.rtt.var(),
            cwnd: self.controller.cwnd(),
            in_flight: self.in_flight,
            room: self.room(),
            mss: self.mss,
            rate: self.rate,
        }
    }

    #[inline]
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
            sent: self.sent_total,
            retransmitted: self.resent_total,
            delivered: self.delivered,
            lost: self.lost_total,
            suspect: self.health == Health::Suspect,
            failed: self.health == Health::Failed,
            usable: self.standing == Standing::Proven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beside::{BEYOND_LINKS, NEAR};
    use manypath_cc::Algorithm;

    /// A path with a window of 64 MB that measured this round-trip time.
    fn path(rtt: Duration) -> Path {
        let cc = manypath_cc::Config { mss: Mss(1_000), initial_window: 64 << 20 };
        let init =
            PathConfig { id: PathId(0), mss: Mss(1_000), controller: Algorithm::NewReno.build(cc) };
        let mut path = Path::new(init, &Config::default(), false, Instant::ZERO);
        path.rtt.sample(rtt, Instant::ZERO);
        path.fastest = Rate::from_bytes_per_sec(BEYOND_LINKS.bytes_per_sec() + 1);
        path
    }

    #[test]
    fn a_path_whose_rate_is_not_known_is_tested_by_any_round() {
        let mut path = Path { shares: true, app_limited_until: 1, ..path(NEAR) };
        path.work.tally.newest_sent = Some(Instant::ZERO);
        path.work.tally.newest_before = Some((0, Instant::ZERO, Instant::ZERO));
        let (rtt, round_start) = path.finish_ack(Instant::from_millis(2));
        assert_eq!((rtt, round_start), (Some(Duration::from_millis(2)), true));
    }

    #[test]
    fn a_window_is_kept_over_a_pause_beside_this_host_only() {
        let later = Instant::from_millis(60_000);
        for (rtt, window) in [(Duration::from_micros(100), 8_000), (NEAR, 4_000)] {
            let cc = manypath_cc::Config { mss: Mss(1_000), initial_window: 4_000 };
            let mut path = Path { controller: Algorithm::NewReno.build(cc), ..path(rtt) };
            path.on_sent(SubflowOffset(0)..SubflowOffset(4_000), Instant::ZERO);
            path.in_flight = 0;
            path.work.tally.delivered = 4_000;
            let sample = path.ack_sample(Instant::ZERO, None, false);
            path.controller.on_ack(&sample, &[]);
            path.before_new_data(later);
            assert_eq!(path.controller.cwnd(), window, "{rtt:?}");
        }
    }

    /// An acknowledgment may come in no time, as far as the clock tells.
    #[test]
    fn what_was_delivered_in_no_time_slows_nothing_down() {
        let rtt = Duration::from_millis(64);
        let mut path = path(rtt);
        path.fastest = Rate::from_transfer(1_000, Duration::ZERO);
        path.on_paced(1 << 20, Instant::ZERO);
        path.on_paced(1 << 20, Instant::ZERO);
        let until = path.paced_until(Instant::ZERO).unwrap();
        assert!(until <= Instant::ZERO + rtt / 64, "a 32nd of the window, at two a round trip");
    }

    /// A peer may ask for segments of a byte, over a path that is as slow.
    #[test]
    fn less_than_a_byte_a_second_is_still_sent() {
        let cc = manypath_cc::Config { mss: Mss(1), initial_window: 11 };
        let controller = Algorithm::NewReno.build(cc);
        let mut path = Path { mss: Mss(1), controller, ..path(Duration::from_millis(30_000)) };
        path.on_paced(11, Instant::ZERO);
        path.on_paced(1, Instant::ZERO);
        let until = path.paced_until(Instant::ZERO).unwrap();
        assert!(until <= Instant::from_millis(30_000), "within a round trip, not at {until:?}");
    }

    #[test]
    fn a_near_peer_has_no_more_in_flight_than_fills_the_path() {
        let near = Duration::from_micros(100);
        assert_eq!(path(near).window(), 2 << 20);
        assert_eq!(path(near).room(), 2 << 20);
        assert_eq!(Path { near_flight: 8 << 20, ..path(near) }.window(), 8 << 20);
        assert_eq!(path(NEAR).window(), 64 << 20);
        let slow = Path { fastest: BEYOND_LINKS, ..path(near) };
        assert_eq!(slow.window(), 64 << 20, "a link as near");
        let mut fast = path(near);
        fast.capacity = Rate::from_bytes_per_sec(20 << 30);
        assert_eq!(fast.window(), 4_294_967, "twice what is delivered in a round trip");
    }
}
