//! Closing: DATA_FIN, the subflows' FINs, MP_FASTCLOSE and what the application is told
//! (RFC 8684 §3.3.3, §3.5).

use core::time::Duration;

use manypath_base::{Instant, SubflowId};
use manypath_tcp::{State, TimeWait};
use manypath_wire::DssNumber;

use super::{Connection, Mode, Subflow};
use crate::{ConnectionError, Event, FallbackReason};

/// How long a peer is waited for that has only its own half left to close.
const LINGER: Duration = Duration::from_secs(60);

impl Connection {
    /// The application closes its half.
    pub(crate) fn shutdown(&mut self, now: Instant) {
        if !self.shared.send.closing && self.ended.is_none() {
            self.shared.send.closing = true;
            self.progress_close(now);
        }
    }

    /// The application ends the connection at once: MP_FASTCLOSE in a RST on every subflow, or
    /// where so configured in an acknowledgment that the peer must answer (RFC 8684 §3.5, options
    /// R and A).
    pub(crate) fn abort(&mut self, now: Instant) {
        if self.fastclose.is_some() {
            return;
        }
        if self.ended.is_none() {
            self.end(Some(ConnectionError::Aborted));
            if self.fastclose_by_ack && self.begin_fastclose(now) {
                return;
            }
            self.shared.fastclosing = self.shared.is_multipath();
        }
        for sub in &mut self.subflows {
            sub.flow.abort(None);
        }
    }

    /// The application has let go: what still comes is dropped.
    pub(crate) fn release(&mut self, now: Instant) {
        self.released = true;
        self.shared.recv.discard();
        if self.established {
            self.shutdown(now);
            self.progress_close(now);
            // This half may have been closed long ago, and nothing else may come.
            self.arm_linger(now);
        } else {
            // RFC 9293 §3.10.4: in SYN-SENT there is nothing to close.
            self.abort(now);
            self.settle_all(now);
        }
    }

    /// Whether nothing is left to do or to remember.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.released
            && self.ended.is_some()
            && self.subflows.is_empty()
            && self.last_words.is_empty()
    }

    /// Whether it has ended, and its subflows wait in TIME-WAIT at most.
    pub(crate) fn is_at_rest(&self) -> bool {
        let rests = |s: &Subflow| matches!(s.flow.state(), State::TimeWait { .. } | State::Closed);
        self.ended.is_some() && self.last_words.is_empty() && self.subflows.iter().all(rests)
    }

    /// Whether only its subflows' time in TIME-WAIT is left, and nobody asks for the connection.
    pub(crate) fn only_waits(&self) -> bool {
        self.released && self.is_at_rest()
    }

    /// What is left of its subflows then, and the DATA_ACK that goes with their acknowledgments.
    pub(crate) fn time_waits(
        &self,
    ) -> (impl Iterator<Item = (SubflowId, TimeWait)>, Option<DssNumber>) {
        let waits = self.subflows.iter().filter_map(|s| Some((s.id, s.flow.time_wait()?)));
        let data_ack = self.shared.data_ack().filter(|_| self.shared.is_multipath());
        (waits, data_ack)
    }

    /// Whether both directions are closed and acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.is_sent() && self.shared.recv.is_finished()
    }

    /// Whether this side's half is closed and acknowledged.
    fn is_sent(&self) -> bool {
        let fin_acknowledged = match self.shared.mode {
            Mode::Plain(_) => self.subflows.first().is_none_or(|s| {
                matches!(s.flow.state(), State::FinWait2 | State::TimeWait { .. } | State::Closed)
            }),
            Mode::Negotiating | Mode::Multipath => self.shared.send.fin_acknowledged(),
        };
        self.shared.send.closing && fin_acknowledged
    }

    /// Whether the peer is to hear by a reset that its data was lost: the application let go before
    /// it had read what came, and the peer may send more (RFC 9293 §3.6.1, SHLD-3).
    ///
    /// **Choice:** not before the peer has acknowledged what this side wrote, which a reset could
    /// destroy; and a peer that has closed its half hears nothing, since it has said all.
    fn must_tell_loss(&self) -> bool {
        self.released
            && self.ended.is_none()
            && self.shared.recv.has_dropped()
            && !self.shared.recv.is_finished()
            && self.is_sent()
    }

    /// Takes the next step of closing, where one is due.
    pub(super) fn progress_close(&mut self, now: Instant) {
        if self.shared.is_multipath()
            && self.shared.send.fin_is_next()
            && !self.shared.send.fin_sent
        {
            self.speak_now();
            self.arm_data_timer(now);
        }
        if self.ended.is_none() && self.is_done() {
            self.end(None);
        }
        if self.must_tell_loss() {
            return self.give_up(now, ConnectionError::Aborted);
        }
        if self.ended == Some(None) && self.shared.is_multipath() {
            for sub in &mut self.subflows {
                sub.flow.close();
            }
        }
    }

    /// The peer closed a subflow. After falling back that is the end of its stream; else the
    /// subflow alone is closed, and its data goes elsewhere (RFC 8684 §3.3.3).
    pub(super) fn on_peer_closed(&mut self, i: usize) {
        match self.shared.mode {
            Mode::Plain(_) => {
                self.take_in(i);
                let end = self.subflows[i].flow.rcv_nxt().0 - 1;
                self.shared.recv.finish_at(manypath_base::DataOffset(end));
            }
            Mode::Negotiating => {
                self.shared.fall_back(FallbackReason::OptionsStripped);
                self.on_peer_closed(i);
            }
            // The last one still carries this side's data.
            Mode::Multipath if self.is_spare(i) => {
                self.subflows[i].flow.close();
                self.reinject_from(i);
            }
            Mode::Multipath => {}
        }
    }

    /// Sets the time at which this side stops waiting for a peer that says nothing any more: to
    /// close the subflows of a connection that has ended, or to close its half of one that the
    /// application has let go (FIN-WAIT-2 of RFC 9293 §3.10.4 has no limit; common systems wait
    /// one minute).
    pub(super) fn arm_linger(&mut self, now: Instant) {
        let waits_out = |s: &Subflow| matches!(s.flow.state(), State::TimeWait { .. });
        let closing = self.ended.is_some() && !self.subflows.iter().all(waits_out);
        let fin_acknowledged = match self.shared.mode {
            Mode::Plain(_) => {
                self.subflows.first().is_some_and(|s| s.flow.state() == State::FinWait2)
            }
            Mode::Negotiating | Mode::Multipath => self.shared.send.fin_acknowledged(),
        };
        let orphaned = self.released && self.ended.is_none() && fin_acknowledged;
        if !closing && !orphaned {
            self.linger_until = None;
        } else if self.linger_until.is_none() {
            self.linger_until = Some(now + LINGER);
        }
    }

    pub(super) fn linger_timeout(&mut self, now: Instant) {
        if self.linger_until.is_some_and(|at| at <= now) {
            self.linger_until = None;
            self.give_up(now, ConnectionError::TimedOut);
        }
    }

    /// Ends a connection whose peer does not do its part.
    pub(super) fn give_up(&mut self, now: Instant, error: ConnectionError) {
        if self.ended.is_none() {
            self.shared.fastclosing = self.shared.is_multipath();
            self.end(Some(error));
        }
        for sub in &mut self.subflows {
            sub.flow.abort(None);
        }
        self.settle_all(now);
    }

    /// The connection has ended for the application.
    pub(super) fn end(&mut self, error: Option<ConnectionError>) {
        if self.ended.is_none() {
            self.ended = Some(error);
            self.shared.send.forget_timers();
            self.events.push_back(Event::Closed(self.id, error));
        }
    }
}
