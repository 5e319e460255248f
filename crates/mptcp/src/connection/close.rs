//! Closing: DATA_FIN, the subflows' FINs, MP_FASTCLOSE and what the application is told
//! (RFC 8684 §3.3.3, §3.5).

use manypath_base::Instant;
use manypath_tcp::State;

use super::{Connection, Mode};
use crate::{ConnectionError, Event, FallbackReason};

impl Connection {
    /// The application closes its half.
    pub(crate) fn shutdown(&mut self, now: Instant) {
        if !self.shared.send.closing && self.ended.is_none() {
            self.shared.send.closing = true;
            self.progress_close(now);
        }
    }

    /// The application ends the connection at once.
    pub(crate) fn abort(&mut self) {
        if self.ended.is_none() {
            self.shared.fastclosing = self.shared.is_multipath();
            self.end(Some(ConnectionError::Aborted));
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
        } else {
            // RFC 9293 §3.10.4: in SYN-SENT there is nothing to close.
            self.abort();
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

    /// Whether both directions are closed and acknowledged.
    pub(super) fn is_done(&self) -> bool {
        let fin_acknowledged = match self.shared.mode {
            Mode::Plain(_) => self.subflows.first().is_none_or(|s| {
                matches!(s.flow.state(), State::FinWait2 | State::TimeWait { .. } | State::Closed)
            }),
            Mode::Negotiating | Mode::Multipath => self.shared.send.fin_acknowledged(),
        };
        self.shared.send.closing && fin_acknowledged && self.shared.recv.is_finished()
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
            Mode::Negotiating => self.shared.fall_back(FallbackReason::OptionsStripped),
            Mode::Multipath => {
                self.subflows[i].flow.close();
                self.reinject_from(i);
            }
        }
    }

    /// The connection has ended for the application.
    pub(super) fn end(&mut self, error: Option<ConnectionError>) {
        if self.ended.is_none() {
            self.ended = Some(error);
            self.shared.send.timer = None;
            self.events.push_back(Event::Closed(self.id, error));
        }
    }
}
