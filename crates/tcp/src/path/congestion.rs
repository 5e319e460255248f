//! Signals of congestion to the controller: once for an episode, once for a round trip.

use alloc::boxed::Box;

use manypath_base::{Instant, SubflowOffset};
use manypath_cc::{FlowView, Signal};

use super::{Cause, Episode, Path, Prr};

impl Path {
    /// The most in flight of the present and the last round trip, where there is `now` at present.
    ///
    /// **Choice:** congestion is told of that: RFC 5681 §3.1 (4) takes FlightSize as the loss shows;
    /// behind acknowledgments that came all at once that is what is left of a flight, and the window
    /// would be cut far below half of what the path carried.
    pub(super) fn largest_flight(&self, now: u32) -> u32 {
        now.max(self.flight.0).max(self.flight.1)
    }

    /// The controller reduces its window, for whatever reason, and the next new data says so
    /// (RFC 3168 §6.1.2).
    pub(crate) fn reduce(
        &mut self,
        now: Instant,
        signal: Signal,
        outstanding: u32,
        views: &[FlowView],
    ) {
        self.controller.on_signal(now, signal, outstanding, views);
        self.reduction_untold = true;
        self.runs.on_loss();
    }

    /// The same timeout once more: the window is one segment again and the threshold stays
    /// (RFC 5681 §3.1). It is no further loss.
    pub(crate) fn repeat_timeout(&mut self, now: Instant, outstanding: u32, views: &[FlowView]) {
        self.controller.on_signal(now, Signal::Timeout, outstanding, views);
        self.reduction_untold = true;
    }

    /// [`Path::reduce`] for a loss that a tail loss probe repaired (RFC 8985 §7.4.2).
    pub(crate) fn on_repaired_loss(&mut self, now: Instant, views: &[FlowView]) {
        let flight = self.largest_flight(self.work.tally.prior_outstanding);
        self.reduce(now, Signal::Loss, flight, views);
    }

    /// Begins a loss episode and tells the controller. `flight` is what was outstanding when the
    /// loss showed. A loss within the round trip for which a mark was answered is the same
    /// congestion (RFC 3168 §6.1.2).
    pub(crate) fn begin_episode(
        &mut self,
        now: Instant,
        point: SubflowOffset,
        signal: Signal,
        flight: u32,
        views: &[FlowView],
    ) {
        let answered = self.marked_until.take().is_some() && signal != Signal::Timeout;
        if !answered {
            self.reduce(now, signal, self.largest_flight(flight), views);
        }
        let cause = match signal {
            Signal::Timeout => Cause::Timeout,
            Signal::Loss | Signal::Ecn => {
                Cause::Loss(Prr::new(self.work.tally.prior_undelivered, self.mss.bytes()))
            }
        };
        let before = (point, self.last_index());
        let follows = self.episode.is_some() || answered;
        self.episode = Some(Box::new(Episode::new(before, cause, follows)));
        self.recovered = None;
        self.work.tail_probe = None;
    }

    /// Something sent after the last answer to a mark is acknowledged, so the peer has seen the
    /// answer, and the next echo is news.
    pub(crate) fn end_marked_round(&mut self, una: SubflowOffset) {
        self.marked_until = self.marked_until.filter(|&until| una <= until);
    }

    /// The last reduction stands for a mark too, until what was sent before `nxt` is acknowledged.
    pub(crate) fn keep_reduction(&mut self, nxt: SubflowOffset) {
        self.marked_until = Some(nxt);
    }

    /// The peer echoes a mark: the window is reduced, once for a window of data and not in an
    /// episode, for which it was reduced already (RFC 3168 §6.1.2). Returns whether it was.
    pub(crate) fn on_mark(&mut self, now: Instant, nxt: SubflowOffset, views: &[FlowView]) -> bool {
        if self.marked_until.is_some() || self.episode.is_some() {
            return false;
        }
        let flight = self.largest_flight(self.work.tally.prior_outstanding);
        self.reduce(now, Signal::Ecn, flight, views);
        self.marked_until = Some(nxt);
        // To undo an earlier episode would give this reduction back.
        self.recovered = None;
        true
    }
}
