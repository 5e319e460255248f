//! TIME-WAIT (RFC 9293 §3.6.1), and who may end it early (RFC 6191).
//!
//! **Owns** all that a flow is in that state, as a [`TimeWait`] that may take the place of the flow.
//! **Leaves out** data: all was said and acknowledged.

use core::time::Duration;

use manypath_base::{Instant, Payload, SeqNum};
use manypath_wire::{Flags, Options, Segment};

use crate::input::CHALLENGE_INTERVAL;
use crate::timestamps::{TimestampState, tick_before};
use crate::{Flow, State};

/// Longer than any tick of a timestamp clock (RFC 7323 §5.4).
const TICKED: Duration = Duration::from_secs(1);

/// What a flow in TIME-WAIT needs to know: small, so that a host that closes many connections keeps
/// this of each, and not the flow.
#[derive(Clone, Debug)]
pub struct TimeWait {
    until: Instant,
    /// Twice the maximum segment lifetime.
    length: Duration,
    /// SND.NXT and RCV.NXT.
    next: SeqNum,
    expected: SeqNum,
    /// The window: in bytes, and as its field says it.
    room: u32,
    window: u16,
    /// Where they were agreed on.
    timestamps: Option<TimestampState>,
    /// This host reads those of a SYN.
    reads_timestamps: bool,
    challenge_at: Option<Instant>,
}

/// What follows from a segment that comes in TIME-WAIT.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Nothing.
    None,
    /// [`TimeWait::acknowledgment`] is to be sent.
    Acknowledgment,
    /// The wait is over: a RST came.
    Over,
}

impl TimeWait {
    /// When the wait is over.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// Takes a segment in (RFC 9293 §3.10.7.4, as far as it is about TIME-WAIT).
    pub fn handle_segment(&mut self, now: Instant, segment: &Segment) -> Echo {
        let Segment { flags, seq, ack, .. } = *segment;
        let stamp = segment.options.timestamps.filter(|_| !flags.has(Flags::RST));
        let old = self.timestamps.zip(stamp).is_some_and(|(own, ts)| own.is_old(ts.value, now));
        if old {
            return self.answer(now, segment);
        }
        if !self.is_acceptable(segment) {
            if flags.has(Flags::RST) {
                return Echo::None;
            }
            if flags.has(Flags::FIN) {
                // The peer missed the acknowledgment of its FIN.
                self.until = now + self.length;
            }
            return self.answer(now, segment);
        }
        if flags.has(Flags::RST) && seq == self.expected {
            return Echo::Over;
        }
        let unsent = flags.has(Flags::ACK) && self.next.before(ack);
        // RFC 5961 §3.2, §4.2, §5.
        if flags.has(Flags::RST) || flags.has(Flags::SYN) || unsent {
            return self.challenge(now);
        }
        if flags.has(Flags::ACK)
            && ack == self.next
            && !self.expected.before(seq)
            && let Some((own, ts)) = self.timestamps.as_mut().zip(stamp)
        {
            own.update(ts.value, now);
        }
        Echo::None
    }

    fn is_acceptable(&self, segment: &Segment) -> bool {
        let len = segment.seq_len();
        let ahead = segment.seq.offset_from(self.expected);
        let end = segment.seq.wrapping_add(len);
        let begins = ahead
            .is_none_or(|ahead| ahead < self.room || ahead == 0 || len == 0 && ahead == self.room);
        let touches = if len == 0 { ahead.is_some() } else { self.expected.before(end) };
        begins && touches
    }

    /// Two sides that disagree must not answer each other's answers for ever.
    fn answer(&mut self, now: Instant, segment: &Segment) -> Echo {
        if segment.seq_len() == 0 { self.challenge(now) } else { Echo::Acknowledgment }
    }

    fn challenge(&mut self, now: Instant) -> Echo {
        if self.challenge_at.is_some_and(|at| now.since(at) < CHALLENGE_INTERVAL) {
            return Echo::None;
        }
        self.challenge_at = Some(now);
        Echo::Acknowledgment
    }

    /// The acknowledgment of all that came, between these ports.
    #[must_use]
    pub fn acknowledgment(&self, now: Instant, local: u16, remote: u16) -> Segment {
        let timestamps = self.timestamps.map(|own| own.option(now));
        Segment {
            src_port: local,
            dst_port: remote,
            seq: self.next,
            ack: self.expected,
            flags: Flags::ACK,
            window: self.window,
            urgent: 0,
            options: Options { timestamps, ..Options::default() },
            payload: Payload::new(),
        }
    }

    /// Whether a new connection between the same addresses may begin with `syn` although this
    /// one waits in TIME-WAIT (RFC 9293 §3.6.1, MAY-2): its timestamp, or else its sequence
    /// number, is beyond all that this one has seen, so no old segment can be taken for one of
    /// the new connection (RFC 6191 §2). The new one must begin at [`TimeWait::next_isn`] or beyond.
    #[must_use]
    pub fn may_be_replaced(&self, syn: &Segment) -> bool {
        let opens =
            syn.flags.has(Flags::SYN) && syn.flags.without(Flags::ACK | Flags::RST) == syn.flags;
        let later = !syn.seq.before(self.expected);
        let recent = self.timestamps.and_then(|own| own.recent());
        let stamp = syn.options.timestamps.filter(|_| self.reads_timestamps);
        opens
            && match (recent, stamp) {
                (Some(recent), Some(ts)) => {
                    tick_before(recent, ts.value) || recent == ts.value && later
                }
                (None, Some(_)) => true,
                (_, None) => later,
            }
    }

    /// Whether this side may open a connection between the same addresses although this one waits in
    /// TIME-WAIT, and the sequence number that it has to begin with at least. With timestamps the
    /// peer keeps old segments out (RFC 7323 §5.8), once their clock has surely ticked.
    #[must_use]
    pub fn reopens_from(&self, now: Instant) -> Option<SeqNum> {
        let ticked = now + self.length >= self.until + TICKED;
        (self.timestamps.is_some() && ticked).then(|| self.next_isn())
    }

    /// The first sequence number that this side has not used: the least that a flow which takes
    /// its place may begin with (RFC 9293 §3.6.1).
    #[must_use]
    pub const fn next_isn(&self) -> SeqNum {
        self.next
    }
}

impl Flow {
    /// What is left of a flow in TIME-WAIT; `None` in any other state.
    #[must_use]
    pub fn time_wait(&self) -> Option<TimeWait> {
        let State::TimeWait { until } = self.state else { return None };
        let nxt = self.recv.nxt();
        let room = self.recv.window.edge().saturating_sub(nxt);
        let scaled = room >> self.agreed.recv_scale;
        Some(TimeWait {
            until,
            length: self.config.msl * 2,
            next: self.send.nxt.seq(self.send.isn),
            expected: nxt.seq(self.recv.isn),
            room: u32::try_from(room).unwrap_or(u32::MAX),
            window: u16::try_from(scaled).unwrap_or(u16::MAX),
            timestamps: self.agreed.timestamps.then_some(self.timestamps),
            reads_timestamps: self.config.timestamps,
            challenge_at: self.challenge_at,
        })
    }

    pub(crate) fn enter_time_wait(&mut self, now: Instant) {
        self.transition(State::TimeWait { until: now + self.config.msl * 2 });
        for path in &mut self.paths {
            path.timer = None;
        }
    }
}
