//! What acknowledgments say of a path: what they deliver, its round-trip time and delivery rate, and
//! what limited it.
//!
//! **Leaves out** what was lost, and what the controller makes of the sample.

use core::time::Duration;

use manypath_base::{Instant, Rate};
use manypath_cc::AckSample;

use super::work::Work;
use super::{Path, Tally};
use crate::scoreboard::{Sent, Status};

/// In so many round trips the best rate of a path is forgotten, if it does not come again.
const FORGETTING: u64 = 32;

impl Path {
    pub(crate) fn begin_ack(&mut self) {
        self.work.tally = Tally {
            prior_in_flight: self.in_flight,
            prior_outstanding: self.outstanding(),
            prior_undelivered: self.in_flight + self.lost,
            ..Tally::NEW
        };
    }

    /// A piece was acknowledged, cumulatively or selectively; `piece` is as it was before. `answers`
    /// is when what the acknowledgment answers was sent at the latest, if that is known.
    pub(crate) fn on_delivered(&mut self, piece: &Sent, now: Instant, answers: Option<Instant>) {
        let bytes = piece.len();
        match piece.status {
            Status::Sacked => {
                self.sacked -= bytes;
                return;
            }
            Status::InFlight => self.in_flight -= bytes,
            Status::Lost => self.lost -= bytes,
        }
        self.note_size(bytes);
        self.delivered += u64::from(bytes);
        self.runs.on_delivered(bytes);
        let Work { tally, rack, .. } = &mut *self.work;
        tally.delivered += bytes;
        if piece.transmissions == 1 && !piece.moved {
            tally.original |= self.episode.as_ref().is_some_and(|e| piece.range.end <= e.point);
            tally.newest_sent = tally.newest_sent.max(Some(piece.sent_at));
        } else {
            tally.resent = true;
        }
        let (before, at) = piece.delivered_before;
        if tally.newest_before.is_none_or(|(_, _, sent)| piece.sent_at >= sent) {
            tally.newest_before = Some((before, at, piece.sent_at));
        }
        if !piece.moved {
            rack.on_delivered(piece, now, self.rtt.min(), answers);
        }
    }

    /// The acknowledgment has been read whole: takes its round-trip time and delivery rate.
    /// Returns the sample and whether a round trip ended with it.
    pub(crate) fn finish_ack(&mut self, now: Instant) -> (Option<Duration>, bool) {
        self.last_heard = now;
        self.delivered_at = now;
        let Tally { delivered, resent, newest_sent, newest_before, .. } = self.work.tally;
        let unambiguous = newest_sent.filter(|_| !resent);
        let rtt = unambiguous.map(|sent| now.since(sent));
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt, now);
            self.sampled_since_probe = true;
        }
        if self.is_cwnd_limited() {
            self.note_limited(delivered);
        }
        let Some((before, since, _)) = newest_before else { return (rtt, false) };
        let (bytes, span) = (self.delivered - before, now.since(since));
        self.rate = Rate::from_transfer(bytes, span);
        // What takes less than a round trip was acknowledged for something else that was sent.
        let sustained = Rate::from_transfer(bytes, span.max(self.rtt.min()));
        let round_start = before >= self.round_end;
        self.capacity = self.capacity.max(sustained);
        self.fastest = self.fastest.max(sustained);
        if round_start {
            if !self.is_untested(rtt) {
                let worn = self.capacity.bytes_per_sec() / FORGETTING * (FORGETTING - 1);
                self.capacity = sustained.max(Rate::from_bytes_per_sec(worn));
            }
            self.round_end = self.delivered;
            self.flight = (self.in_flight, self.flight.0);
        }
        (rtt, round_start)
    }

    /// Whether the round trip says nothing against the best rate of one of several paths: there was no
    /// more to send, and it took no longer than twice what it would at that rate. Else bursts with
    /// pauses between them would have a path forget what it can.
    fn is_untested(&self, rtt: Option<Duration>) -> bool {
        let at_best = || {
            let flight = self.largest_flight(self.work.tally.prior_in_flight);
            self.rtt.min().saturating_add(self.capacity.time_for(flight.into()))
        };
        self.shares
            && self.is_app_limited()
            && rtt.is_none_or(|rtt| rtt <= at_best().saturating_mul(2))
    }

    /// Whether the window limited what was sent in the last round trip (RFC 7661 §4.2; in slow
    /// start half a window counts as full, since it doubles within the round).
    fn is_cwnd_limited(&self) -> bool {
        let flight = self.largest_flight(self.work.tally.prior_in_flight);
        let (cwnd, slack) = (self.controller.cwnd(), 2 * self.mss.bytes());
        let full = if cwnd < self.controller.ssthresh() { cwnd / 2 } else { cwnd };
        flight.saturating_add(slack) >= full
    }

    /// There is nothing to send though the path would take it: what is in flight does not fill it.
    pub(crate) fn on_nothing_to_send(&mut self, now: Instant) {
        if self.lost == 0 && self.room() > 0 && self.paced_until(now).is_none() {
            self.app_limited_until = self.delivered + u64::from(self.in_flight);
        }
    }

    /// Whether what was just delivered was in flight when there was nothing more to send, or the
    /// first after that.
    fn is_app_limited(&self) -> bool {
        let until = self.app_limited_until;
        until > 0 && self.work.tally.newest_before.is_some_and(|(before, ..)| before <= until)
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
            acked: self.work.tally.delivered,
            delivered: self.delivered,
            lost: self.lost_total,
            lost_flight: self.work.tally.lost_flight,
            prior_in_flight: self.work.tally.prior_in_flight,
            in_flight: self.in_flight,
            rtt,
            srtt: self.rtt.srtt().unwrap_or_default(),
            min_rtt: self.rtt.min(),
            round_start,
            cwnd_limited: self.is_cwnd_limited(),
            app_limited: self.is_app_limited(),
            delivery_rate: Some(self.rate),
            beside: self.is_beside(),
        }
    }

    /// The round-trip time of a handshake that was not sent again.
    pub(crate) fn sample_handshake(&mut self, rtt: Duration, now: Instant) {
        self.rtt.sample(rtt, now);
        self.sampled_since_probe = true;
    }
}
