//! What can be asked of a flow. Nothing here changes it.

use core::net::SocketAddr;
use core::time::Duration;

use manypath_base::{Instant, Mss, PathId, SubflowOffset};
use manypath_cc::FlowView;
use manypath_sched::PathView;
use manypath_wire::IcmpKind;

use crate::path::{Health, Path};
use crate::{Counters, Flow, PathInfo, State};

impl Flow {
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
    pub fn local(&self) -> SocketAddr {
        self.ends.local()
    }

    /// The peer's address and port.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.ends.remote()
    }

    /// Whether its SYN or SYN/ACK is to go out again, since nobody answered in time.
    #[must_use]
    pub fn repeats_handshake(&self) -> bool {
        self.handshake.is_some_and(|h| h.due && h.attempts > 0)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counts.counters()
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
        self.path(path).filter(|_| self.takes_data()).map_or(0, Path::room)
    }

    fn takes_data(&self) -> bool {
        matches!(self.state, State::Established | State::CloseWait) || self.may_send_early()
    }

    /// Payload of one packet without options, on the path where that is least.
    #[must_use]
    pub fn mss(&self) -> Mss {
        self.paths.iter().map(|p| p.mss).min().expect("a flow has a path")
    }

    /// The longest retransmission timeout of the paths that answer, if any does.
    #[must_use]
    pub fn longest_rto(&self) -> Option<Duration> {
        let answering = self.paths.iter().filter(|p| p.health != Health::Failed);
        answering.map(|p| p.rtt.rto()).max()
    }

    /// A snapshot of each path.
    #[inline]
    pub fn paths(&self) -> impl Iterator<Item = PathInfo> + '_ {
        self.paths.iter().map(Path::info)
    }

    /// How the first path looks to a scheduler, with no room before the handshake is complete.
    #[must_use]
    pub fn scheduler_view(&self) -> Option<PathView> {
        let view = self.paths.first()?.scheduler_view();
        Some(PathView { room: if self.takes_data() { view.room } else { 0 }, ..view })
    }

    /// How each path that may carry data looks to coupled controllers.
    pub fn views(&self) -> impl Iterator<Item = FlowView> + '_ {
        self.paths.iter().filter(|p| p.may_carry()).map(Path::view)
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

    /// The last ICMP error about something in flight: what an application may want to know when
    /// nothing is acknowledged (RFC 9293 §3.9.2.2, SHLD-25).
    #[must_use]
    pub const fn last_error(&self) -> Option<IcmpKind> {
        self.last_error
    }

    /// How long data may stay unacknowledged, or a closed window unanswered, before the flow is
    /// given up: what was configured, set, or agreed to (RFC 5482).
    #[must_use]
    pub const fn user_timeout(&self) -> Duration {
        self.user_timeout.current
    }

    /// What the peer said last of its own user timeout (RFC 5482 §3.1).
    #[must_use]
    pub fn peer_user_timeout(&self) -> Option<Duration> {
        self.user_timeout.remote()
    }

    fn path(&self, id: PathId) -> Option<&Path> {
        self.paths.iter().find(|p| p.id == id)
    }
}
