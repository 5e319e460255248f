//! A flow: one TCP connection between two addresses, over the paths that it owns.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, Mss, PathId, Payload, SeqNum, SubflowOffset};
use manypath_cc::FlowView;
use manypath_wire::{MpTcpRst, Segment};
use smallvec::SmallVec;

use crate::path::{Health, Path};
use crate::persist::Persist;
use crate::receive::{AckPolicy, ReceiveWindow, RecvSpace};
use crate::scoreboard::Scoreboard;
use crate::timestamps::TimestampState;
use crate::{
    CloseReason, Config, Counters, Event, Extension, PathConfig, PathInfo, SendBuffer, State,
};

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
    /// Settings.
    pub config: Config,
    /// The first path.
    pub path: PathConfig,
}

/// A segment to send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The path to send it on.
    pub path: PathId,
    /// The segment; a super-segment if `gso_mss` is set.
    pub segment: Segment,
    /// Payload bytes of each packet that a super-segment is cut into.
    pub gso_mss: Option<Mss>,
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
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) agreed: Agreed,
    pub(crate) handshake: Option<Handshake>,
    pub(crate) send: SendSpace,
    pub(crate) recv: RecvSpace,
    pub(crate) paths: SmallVec<[Path; 1]>,
    pub(crate) board: Scoreboard,
    pub(crate) timestamps: TimestampState,
    pub(crate) persist: Persist,
    /// A RST that is to be sent, with its reason.
    pub(crate) reset_due: Option<Option<MpTcpRst>>,
    /// A RST with this sequence number is to be sent, in answer to an acknowledgment of what was
    /// never sent; the flow goes on.
    pub(crate) stray_reset: Option<SeqNum>,
    /// The owner wants to know whether the peer is there.
    pub(crate) asked_alive: bool,
    /// When something was last acknowledged, or first sent: for the user timeout.
    pub(crate) progress_at: Instant,
    /// When data that only the pace holds back may leave.
    pub(crate) pace_at: Option<Instant>,
    pub(crate) challenge_at: Option<Instant>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) counters: Counters,
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
        let Opening { local, remote, isn, timestamp_offset, config, path } = opening;
        let agreed = Agreed {
            sack: config.sack,
            timestamps: config.timestamps,
            scale: config.window_scale,
            send_scale: 0,
            recv_scale: if config.window_scale { window_shift(config.recv_buffer_max) } else { 0 },
            own_mss: path.mss,
        };
        Self {
            local,
            remote,
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
                AckPolicy::new(config.delayed_ack),
            ),
            paths: SmallVec::from_iter([Path::new(path, &config, now)]),
            config,
            board: Scoreboard::default(),
            timestamps: TimestampState::new(timestamp_offset),
            persist: Persist::default(),
            reset_due: None,
            stray_reset: None,
            asked_alive: false,
            progress_at: now,
            pace_at: None,
            challenge_at: None,
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Queues bytes to send, without copying. Bytes written after [`Flow::close`] are ignored.
    pub fn write(&mut self, chunk: Bytes) {
        if self.state.may_write() && !self.send.closing {
            self.send.buffer.push(chunk);
        }
    }

    /// The next run of bytes in order, with the offset of its first.
    pub fn read(&mut self) -> Option<(SubflowOffset, Payload)> {
        let run = self.recv.read()?;
        let (nxt, mss) = (self.recv.nxt(), self.paths[0].mss.bytes());
        if self.state.may_receive() && self.recv.window.has_opened(nxt, self.recv.queued(), mss) {
            self.recv.acks.at_once();
        }
        Some(run)
    }

    /// Closes this side's half: FIN follows what was written (RFC 9293 §3.10.4).
    pub fn close(&mut self) {
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
        self.recv.acks.at_once();
    }

    /// Asks the peer for a sign of life: a keep-alive goes out, once (RFC 9293 §3.8.4). A peer that
    /// lives answers with an acknowledgment; what the owner makes of silence is its own affair.
    pub fn ask_alive(&mut self) {
        self.asked_alive = true;
    }

    /// Whether a SYN that comes in TIME-WAIT begins a new connection beyond doubt: its timestamp is
    /// newer than the last one of the old connection, or it has none and its number lies beyond
    /// all that the old one used (RFC 9293 §3.6.1 MAY-2, RFC 6191 §2).
    #[must_use]
    pub fn may_give_way_to(&self, syn: &Segment) -> bool {
        let beyond = SubflowOffset::from_seq(syn.seq, self.recv.isn, self.recv.nxt())
            .is_some_and(|at| at >= self.recv.nxt());
        match syn.options.timestamps.filter(|_| self.agreed.timestamps) {
            Some(ts) if self.timestamps.is_recent(ts.value) => beyond,
            Some(ts) => self.timestamps.is_newer(ts.value),
            None => beyond,
        }
    }

    /// Caps the backed-off retransmission timeout of every path: where other paths carry the
    /// data, a failed path is probed at least this often.
    pub fn set_max_rto(&mut self, max: Duration) {
        for path in &mut self.paths {
            path.rtt.set_max_rto(max);
        }
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Flow::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        let time_wait = match self.state {
            State::TimeWait { until } => Some(until),
            _ => None,
        };
        let handshake = self.handshake.and_then(|h| h.timer);
        let paths = self.paths.iter();
        let paths = paths.flat_map(|p| [p.timer.map(|(at, _)| at), p.suspect_at()]);
        let own =
            [time_wait, handshake, self.recv.acks.timeout(), self.persist.timeout(), self.pace_at];
        paths.chain(own).flatten().min()
    }

    /// When the path may carry new data, where only its pace holds it back until then.
    #[must_use]
    pub fn paced_until(&self, now: Instant, path: PathId) -> Option<Instant> {
        self.path(path).and_then(|p| p.paced_until(now))
    }

    /// Where the flow stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// This side's address and port.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The peer's address and port.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes written that were not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.send.buffer.len()
    }

    /// Bytes written that were not sent.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.send.buffer.end().saturating_sub(self.send.nxt.max(SubflowOffset(1)))
    }

    /// First byte not acknowledged.
    #[must_use]
    pub const fn una(&self) -> SubflowOffset {
        self.send.una
    }

    /// Where the next byte written will be.
    #[must_use]
    pub fn write_offset(&self) -> SubflowOffset {
        self.send.buffer.end()
    }

    /// Next byte expected of the peer.
    #[must_use]
    pub fn rcv_nxt(&self) -> SubflowOffset {
        self.recv.nxt()
    }

    /// Whether a sent segment of any path waits for its acknowledgment.
    #[must_use]
    pub fn is_outstanding(&self) -> bool {
        !self.board.is_empty()
    }

    /// Bytes that the path takes now; 0 before the handshake is complete.
    #[must_use]
    pub fn room(&self, path: PathId) -> u32 {
        let open = matches!(self.state, State::Established | State::CloseWait);
        self.path(path).filter(|_| open).map_or(0, Path::room)
    }

    /// A snapshot of each path.
    pub fn paths(&self) -> impl Iterator<Item = PathInfo> + '_ {
        self.paths.iter().map(Path::info)
    }

    /// How each path looks to coupled controllers.
    pub fn views(&self) -> impl Iterator<Item = FlowView> + '_ {
        self.paths.iter().map(Path::view)
    }

    /// Halves the window of a path that blocks a shared receive window.
    pub fn penalise(&mut self, path: PathId) {
        if let Some(path) = self.paths.iter_mut().find(|p| p.id == path) {
            path.controller.penalise();
        }
    }

    fn path(&self, id: PathId) -> Option<&Path> {
        self.paths.iter().find(|p| p.id == id)
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
        self.board = Scoreboard::default();
        for path in &mut self.paths {
            path.timer = None;
            (path.in_flight, path.lost, path.sacked) = (0, 0, 0);
            path.probe_due = false;
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

    /// Bytes received in order that were not read.
    #[must_use]
    pub fn readable(&self) -> u64 {
        self.recv.queued()
    }

    /// Bytes held out of order.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.recv.data.held_bytes()
    }

    /// Payload bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.send.buffer.end().saturating_sub(SubflowOffset(1))
    }
}

/// The smallest shift with which 16 bits reach `buffer` (RFC 7323 §2.3); at most 14.
fn window_shift(buffer: u32) -> u8 {
    (0..14u8).find(|shift| u64::from(buffer) <= 0xffff_u64 << shift).unwrap_or(14)
}
