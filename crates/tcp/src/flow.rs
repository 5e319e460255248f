//! A flow: one TCP connection between two addresses, over the paths that it owns.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::SocketAddr;

use bytes::Bytes;
use manypath_base::{Ends, FourTuple, Instant, Mss, PathId, Payload, SeqNum, SubflowOffset};
use manypath_wire::{Ecn, IcmpKind, MpTcpRst, Segment};
use smallvec::SmallVec;

use crate::cork::Cork;
use crate::ecn::EcnState;
use crate::fast_open::FastOpenState;
use crate::info::Counts;
use crate::keepalive::Silence;
use crate::path::{Health, Path};
use crate::persist::Persist;
use crate::receive::{AckPolicy, ReceiveWindow, RecvSpace};
use crate::scoreboard::Scoreboard;
use crate::several::{Ping, Several};
use crate::timestamps::TimestampState;
use crate::user_timeout::UserTimeout;
use crate::{CloseReason, Config, Event, Extension, FastOpen, PathConfig, SendBuffer, State};

/// What makes a flow: addresses, and the random numbers that it must not draw itself.
#[derive(Debug)]
pub struct Opening {
    /// This side.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// Initial send sequence number (RFC 9293 §3.4.1, RFC 6528).
    pub isn: SeqNum,
    /// Offset of the timestamp clock (RFC 7323 §5.4).
    pub timestamp_offset: u32,
    /// Settings; flows that have the same share them.
    pub config: Arc<Config>,
    /// The first path.
    pub path: PathConfig,
    /// TCP Fast Open (RFC 7413).
    pub fast_open: FastOpen,
}

/// A segment to send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The path to send it on.
    pub path: PathId,
    /// The segment; a super-segment if `gso_mss` is set.
    pub segment: Box<Segment>,
    /// Payload bytes of each packet that a super-segment is cut into.
    pub gso_mss: Option<Mss>,
    /// The ECN field of the IP header (RFC 3168 §5).
    pub ecn: Ecn,
    /// The differentiated services code point of the IP header.
    pub dscp: u8,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
}

/// A segment that came in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The path that it came on.
    pub path: PathId,
    /// The segment; maybe a super-segment.
    pub segment: Box<Segment>,
    /// The ECN field of the IP header; of a super-segment, that of each of its packets.
    pub ecn: Ecn,
}

/// What the two SYNs agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
    pub(crate) scale: bool,
    /// Shift of windows that the peer sends.
    pub(crate) send_scale: u8,
    /// Shift of windows that this side sends.
    pub(crate) recv_scale: u8,
    /// What this side's MSS option says.
    pub(crate) own_mss: Mss,
}

/// SND.* of RFC 9293 §3.3.1.
#[derive(Debug)]
pub(crate) struct SendSpace {
    pub(crate) isn: SeqNum,
    pub(crate) una: SubflowOffset,
    pub(crate) nxt: SubflowOffset,
    pub(crate) buffer: SendBuffer<SubflowOffset>,
    /// Whether the application closed: FIN follows the buffer.
    pub(crate) closing: bool,
    /// Window that the peer offers, scaled, and the largest it ever offered.
    pub(crate) window: u32,
    pub(crate) max_window: u32,
    /// Duplicate acknowledgments since SND.UNA moved, where there is no SACK.
    pub(crate) dup_acks: u32,
    /// Sequence and acknowledgment of the segment that last set the window.
    pub(crate) wl1: SubflowOffset,
    pub(crate) wl2: SubflowOffset,
}

impl SendSpace {
    /// Offset of this side's FIN, once the application has closed.
    pub(crate) fn fin(&self) -> Option<SubflowOffset> {
        self.closing.then(|| self.buffer.end())
    }

    /// Whether FIN has been sent and acknowledged.
    pub(crate) fn fin_acknowledged(&self) -> bool {
        self.fin().is_some_and(|fin| self.una > fin)
    }
}

/// The SYN or SYN/ACK of this side, until it is acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake {
    pub(crate) due: bool,
    pub(crate) attempts: u8,
    pub(crate) sent_at: Instant,
    pub(crate) timer: Option<Instant>,
}

/// One TCP connection over one or more paths, without I/O.
///
/// Five verbs: [`Flow::handle_segment`] and [`Flow::handle_timeout`] put things in,
/// [`Flow::poll_transmit`], [`Flow::poll_event`] and [`Flow::poll_timeout`] take things out. A
/// driver mutates once, drains dry, then sleeps. The application's calls ([`Flow::write`],
/// [`Flow::read`], [`Flow::close`], [`Flow::abort`]) are mutations like any other.
#[derive(Debug)]
pub struct Flow {
    pub(crate) ends: Ends,
    pub(crate) config: Arc<Config>,
    pub(crate) state: State,
    pub(crate) agreed: Agreed,
    pub(crate) handshake: Option<Handshake>,
    pub(crate) send: SendSpace,
    pub(crate) recv: RecvSpace,
    pub(crate) paths: SmallVec<[Path; 1]>,
    pub(crate) board: Scoreboard,
    /// What several paths need; a flow has one unless its owner says otherwise.
    pub(crate) several: Option<Box<Several>>,
    pub(crate) timestamps: TimestampState,
    pub(crate) ecn: EcnState,
    pub(crate) fast_open: FastOpenState,
    pub(crate) persist: Persist,
    pub(crate) silence: Silence,
    pub(crate) cork: Cork,
    pub(crate) user_timeout: UserTimeout,
    /// A RST that is to be sent, with its reason.
    pub(crate) reset_due: Option<Option<MpTcpRst>>,
    /// A RST with this sequence number is to be sent, in answer to an acknowledgment of what was
    /// never sent; the flow goes on.
    pub(crate) stray_reset: Option<SeqNum>,
    /// When something was last acknowledged, or first sent: for the user timeout.
    pub(crate) progress_at: Instant,
    /// When data that only the pace holds back may leave.
    pub(crate) pace_at: Option<Instant>,
    pub(crate) challenge_at: Option<Instant>,
    /// The last believable ICMP error.
    pub(crate) last_error: Option<IcmpKind>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) counts: Counts,
    /// What is known since it last had nothing to send, until something is done to it.
    pub(crate) rest: Option<Rest>,
    /// What may have changed what it tells of itself.
    changes: u32,
}

/// A flow over one path that has nothing to send, as long as nothing happens. A connection asks all
/// of its flows whenever one of them may send, and this is all that it then has to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// When it was found to have nothing to send: before that, where a clock goes back, it may have.
    pub(crate) since: Instant,
    /// It has to be asked again from then on: a pace has passed, or packets may be larger again.
    pub(crate) until: Option<Instant>,
    /// Its soonest timer.
    pub(crate) timeout: Option<Instant>,
}

impl Rest {
    /// Whether there is still nothing to send.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }
}

impl Flow {
    /// Active open (RFC 9293 §3.10.1): a SYN waits to be sent.
    #[must_use]
    pub fn connect(now: Instant, opening: Opening) -> Self {
        Self::new(now, opening, State::SynSent)
    }

    /// Passive open: `syn` came to a listener, and a SYN/ACK waits to be sent (RFC 9293
    /// §3.10.7.2). The caller has read the options of extensions.
    #[must_use]
    pub fn accept(now: Instant, opening: Opening, syn: &Segment) -> Self {
        let mut flow = Self::new(now, opening, State::SynReceived);
        flow.read_syn(now, syn);
        flow
    }

    fn new(now: Instant, opening: Opening, state: State) -> Self {
        let Opening { local, remote, isn, timestamp_offset, config, path, fast_open } = opening;
        let agreed = Agreed {
            sack: config.sack,
            timestamps: config.timestamps,
            scale: config.window_scale,
            send_scale: 0,
            recv_scale: if config.window_scale { window_shift(config.recv_buffer_max) } else { 0 },
            own_mss: path.mss,
        };
        Self {
            ends: FourTuple { local, remote }.into(),
            state,
            agreed,
            handshake: Some(Handshake { due: true, attempts: 0, sent_at: now, timer: None }),
            send: SendSpace {
                isn,
                una: SubflowOffset::ZERO,
                nxt: SubflowOffset::ZERO,
                buffer: SendBuffer::new(SubflowOffset(1)),
                closing: false,
                window: 0,
                max_window: 0,
                dup_acks: 0,
                wl1: SubflowOffset::ZERO,
                wl2: SubflowOffset::ZERO,
            },
            recv: RecvSpace::new(
                SeqNum(0),
                ReceiveWindow::new(SubflowOffset(1), config.recv_buffer, config.recv_buffer_max),
                AckPolicy::new(),
            ),
            paths: SmallVec::from_iter([Path::new(path, &config, remote.is_ipv6(), now)]),
            ecn: EcnState::new(config.ecn),
            fast_open: FastOpenState::new(fast_open),
            silence: Silence::new(now),
            cork: Cork::default(),
            user_timeout: UserTimeout::new(&config),
            config,
            board: Scoreboard::default(),
            several: None,
            timestamps: TimestampState::new(timestamp_offset),
            persist: Persist::default(),
            reset_due: None,
            stray_reset: None,
            progress_at: now,
            pace_at: None,
            challenge_at: None,
            last_error: None,
            events: VecDeque::new(),
            counts: Counts::default(),
            rest: None,
            changes: 0,
        }
    }

    /// Queues bytes to send, without copying. Bytes written after [`Flow::close`] are ignored.
    pub fn write(&mut self, chunk: Bytes) {
        self.queue(chunk, false);
    }

    /// [`Flow::write`], and more is about to be written: a partial segment waits for it, for
    /// 200 ms at most.
    pub fn write_more(&mut self, chunk: Bytes) {
        self.queue(chunk, true);
    }

    /// Something is done to it: it may have something to send, and other timers.
    pub(crate) fn stir(&mut self) {
        self.rest = None;
        self.changes = self.changes.wrapping_add(1);
    }

    /// Counts all that may have changed what this flow tells of itself, and goes round. Who keeps
    /// something that it was told knows by it whether that still holds.
    #[must_use]
    pub const fn changes(&self) -> u32 {
        self.changes
    }

    /// What is known of it, if nothing was done to it since it had nothing to send.
    pub(crate) fn rest(&self) -> Option<Rest> {
        self.rest.filter(|_| self.paths.len() == 1)
    }

    fn queue(&mut self, chunk: Bytes, more: bool) {
        self.stir();
        if self.state.may_write() && !self.send.closing {
            self.cork.on_write(more);
            self.send.buffer.push(chunk);
        }
    }

    /// The next run of bytes in order, with the offset of its first.
    pub fn read(&mut self) -> Option<(SubflowOffset, Payload)> {
        let run = self.recv.read()?;
        self.stir();
        let (nxt, mss) = (self.recv.nxt(), self.paths[0].mss.bytes());
        if self.state.may_receive() && self.recv.window.has_opened(nxt, self.recv.queued(), mss) {
            self.recv.acks.at_once();
        }
        Some(run)
    }

    /// Closes this side's half: FIN follows what was written (RFC 9293 §3.10.4).
    pub fn close(&mut self) {
        self.stir();
        self.send.closing = true;
        match self.state {
            State::Established => self.transition(State::FinWait1),
            State::CloseWait => self.transition(State::LastAck),
            // A SYN that nobody answered: there is nothing to close.
            State::SynSent => self.end(CloseReason::Aborted),
            State::SynReceived
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait { .. }
            | State::Closed => {}
        }
    }

    /// Ends the flow at once with a RST (RFC 9293 §3.10.5).
    pub fn abort(&mut self, reason: Option<MpTcpRst>) {
        self.stir();
        if self.state != State::Closed {
            // Nobody is there to be told before the SYN is answered, or when all is said
            // (RFC 9293 §3.10.5).
            if !matches!(self.state, State::SynSent | State::TimeWait { .. }) {
                self.reset_due = Some(reason);
            }
            self.end(CloseReason::Aborted);
        }
    }

    /// The owner wants an acknowledgment sent now, to carry an option.
    pub fn request_ack(&mut self) {
        self.stir();
        self.recv.acks.at_once();
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Flow::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.rest().map_or_else(|| self.soonest_timer(), |rest| rest.timeout)
    }

    pub(crate) fn soonest_timer(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        let time_wait = match self.state {
            State::TimeWait { until } => Some(until),
            _ => None,
        };
        let handshake = self.handshake.and_then(|h| h.timer);
        let own = [
            time_wait,
            handshake,
            self.recv.acks.timeout(),
            self.persist.timeout(),
            self.pace_at,
            self.cork.timeout(),
            self.keepalive_at(),
            self.several_at(),
        ];
        let own = own.into_iter().fold(None, Instant::sooner);
        self.paths.iter().fold(own, |soonest, path| {
            let timer = path.timer.map(|(at, _)| at);
            Instant::sooner(Instant::sooner(soonest, timer), path.suspect_at())
        })
    }

    /// The one place that changes the state.
    pub(crate) fn transition(&mut self, to: State) {
        debug_assert!(self.state != State::Closed, "a closed flow stays closed, not {to:?}");
        self.state = to;
    }

    /// Ends the flow and reports why; timers and data go with it.
    pub(crate) fn end(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.transition(State::Closed);
        self.handshake = None;
        self.persist = Persist::default();
        self.cork = Cork::default();
        self.silence.due = false;
        self.several = None;
        self.board = Scoreboard::default();
        for path in &mut self.paths {
            path.timer = None;
            (path.in_flight, path.lost, path.sacked) = (0, 0, 0);
            path.probe_due = false;
            path.ping = Ping::default();
        }
        self.stray_reset = None;
        self.events.push_back(Event::Closed(reason));
    }

    /// Takes in that a path answers again.
    pub(crate) fn restore_health(path: &mut Path, events: &mut VecDeque<Event>) {
        if path.health != Health::Alive {
            path.health = Health::Alive;
            events.push_back(Event::PathRestored(path.id));
        }
    }

    /// Right edge of what may be sent, as the peer's window has it.
    pub(crate) fn send_edge(&self, ext: &dyn Extension) -> SubflowOffset {
        match ext.shared_window() {
            Some(_) => SubflowOffset(u64::MAX),
            None => self.send.una + u64::from(self.send.window),
        }
    }

    /// Places of sequence space that wait to be sent: data, and FIN.
    pub(crate) fn waiting(&self) -> u64 {
        self.unsent() + u64::from(self.send.fin().is_some_and(|fin| self.send.nxt <= fin))
    }
}

/// The smallest shift with which 16 bits reach `buffer` (RFC 7323 §2.3); at most 14.
fn window_shift(buffer: u32) -> u8 {
    (0..14u8).find(|shift| u64::from(buffer) <= 0xffff_u64 << shift).unwrap_or(14)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host has a hundred thousand of them that do nothing: what only a busy flow needs is in boxes.
    #[test]
    fn a_flow_is_small() {
        for (name, size, most) in
            [("Flow", size_of::<Flow>(), 1_144), ("Path", size_of::<Path>(), 472)]
        {
            assert!(size <= most, "{name}: {size} bytes");
        }
    }
}
