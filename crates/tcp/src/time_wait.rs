//! TIME-WAIT (RFC 9293 §3.6.1), and who may end it early (RFC 6191).

use core::time::Duration;

use manypath_base::{Instant, SeqNum};
use manypath_wire::{Flags, Segment};

use crate::timestamps::tick_before;
use crate::{Flow, State};

/// Longer than any tick of a timestamp clock (RFC 7323 §5.4).
const TICKED: Duration = Duration::from_secs(1);

impl Flow {
    /// Whether a new connection between the same addresses may begin with `syn` although this
    /// flow waits in TIME-WAIT (RFC 9293 §3.6.1, MAY-2): its timestamp, or else its sequence
    /// number, is beyond all that this flow has seen, so no old segment can be taken for one of
    /// the new connection (RFC 6191 §2). The new one must begin at [`Flow::next_isn`] or beyond.
    #[must_use]
    pub fn may_be_replaced(&self, syn: &Segment) -> bool {
        let opens = syn.flags.has(Flags::SYN)
            && syn.flags.without(Flags::ACK | Flags::RST) == syn.flags
            && matches!(self.state, State::TimeWait { .. });
        let later = !syn.seq.before(self.recv.nxt().seq(self.recv.isn));
        let recent = self.timestamps.recent().filter(|_| self.agreed.timestamps);
        let stamp = syn.options.timestamps.filter(|_| self.config.timestamps);
        opens
            && match (recent, stamp) {
                (Some(recent), Some(ts)) => {
                    tick_before(recent, ts.value) || recent == ts.value && later
                }
                (None, Some(_)) => true,
                (_, None) => later,
            }
    }

    /// Whether this side may open a connection between the same addresses although this flow waits in
    /// TIME-WAIT, and the sequence number that it has to begin with at least. With timestamps the
    /// peer keeps old segments out (RFC 7323 §5.8), once their clock has surely ticked.
    #[must_use]
    pub fn reopens_from(&self, now: Instant) -> Option<SeqNum> {
        let State::TimeWait { until } = self.state else { return None };
        let ticked = now + self.config.msl * 2 >= until + TICKED;
        (self.agreed.timestamps && ticked).then(|| self.next_isn())
    }

    /// The first sequence number that this flow has not used: the least that a flow which takes
    /// its place may begin with (RFC 9293 §3.6.1).
    #[must_use]
    pub fn next_isn(&self) -> SeqNum {
        self.send.nxt.seq(self.send.isn)
    }

    pub(crate) fn enter_time_wait(&mut self, now: Instant) {
        self.transition(State::TimeWait { until: now + self.config.msl * 2 });
        for path in &mut self.paths {
            path.timer = None;
        }
    }
}
