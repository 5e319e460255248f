//! One connection: the data level over its subflows.
//!
//! **Owns** the subflows and everything they share. **Invariants**: every call ends with
//! [`Connection::settle`], after which events and transmissions can be polled; a byte is released
//! only by DATA_ACK; falling back leaves one subflow. **Leaves out** addresses of packets, tokens
//! and ports: the endpoint's.

mod admission;
mod birth;
mod checksum;
mod close;
mod copies;
mod crowd;
mod data_recv;
mod data_send;
mod fast_open;
mod fastclose;
mod gate;
mod hurry;
mod input;
mod mapping;
mod one_ended;
mod output;
mod path_manager;
mod plan;
mod removal;
mod seam;
mod shared;
mod signals;
mod snapshot;
mod spare;
mod subflow;
mod switches;
mod timeout;
mod unmapped;
mod views;
mod watch;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;
use manypath_base::{
    AddrId, DataOffset, Ends, FourTuple, IfaceId, Instant, Key, SubflowId, len64, usize64,
};
use manypath_cc::Algorithm as CongestionControl;
use manypath_sched::Scheduler;
use manypath_tcp::{Flow, Opening, Transmit};
use manypath_wire::MpTcpRst;

pub(crate) use crowd::first_buffer;
pub(crate) use one_ended::{OneEnded, Spreading};
pub(crate) use path_manager::{Join, LocalEntry, PathManager};
pub(crate) use shared::{Mode, Role};

use crate::crypto::Identity;
use crate::endpoint::ConnId;
use crate::{ConnectionError, Event, NotOpen};
use data_recv::DataRecv;
use data_send::DataSend;
use gate::Gate;
use seam::Seam;
use shared::Shared;
use spare::Spare;
use subflow::Subflow;
use switches::Switches;

/// Bytes that a connection keeps for sending, whatever its windows.
const SEND_BUFFER: u64 = 8 << 20;

/// What a connection is made from.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) id: ConnId,
    pub(crate) role: Role,
    /// What it begins with: MPTCP where this side asks for it, or the peer did.
    pub(crate) mode: Mode,
    pub(crate) key: Key,
    pub(crate) nodelay: bool,
    pub(crate) checksum: bool,
    /// This side takes no joins to the address that the connection begins with (flag C).
    pub(crate) deny_join_id0: bool,
    /// MP_FASTCLOSE goes out in acknowledgments rather than RSTs.
    pub(crate) fastclose_by_ack: bool,
    pub(crate) scheduler: Box<dyn Scheduler>,
    /// How it is spread over paths where it is TCP; `None` keeps it to one.
    pub(crate) spreading: Option<Spreading>,
    pub(crate) congestion_control: CongestionControl,
    pub(crate) send_buffer_max: u64,
    /// Bytes of the receive buffer at first.
    pub(crate) recv_buffer: u32,
    pub(crate) paths: PathManager,
    pub(crate) iface: IfaceId,
    pub(crate) opening: Opening,
}

/// A join, in either direction.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) iface: IfaceId,
    pub(crate) opening: Opening,
    pub(crate) local_id: AddrId,
    pub(crate) remote_id: AddrId,
    pub(crate) backup: bool,
    pub(crate) nonce: u32,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    id: ConnId,
    shared: Shared,
    subflows: Vec<Subflow>,
    next_subflow: u32,
    /// Connections of the host that are busy at once, about.
    crowd: u32,
    gate: Gate,
    scheduler: Box<dyn Scheduler>,
    congestion_control: CongestionControl,
    send_buffer_max: u64,
    switches: Switches,
    /// When a peer that only has to close is waited for no longer.
    linger_until: Option<Instant>,
    /// No subflow is left, and how it ends if none comes until then.
    stranded: Option<(Instant, ConnectionError)>,
    /// The peer has shown once that it has the keys.
    confirmed: bool,
    /// Of the first subflow.
    ends: Ends,
    paths: PathManager,
    one_ended: OneEnded,
    events: VecDeque<Event>,
    /// The application may use it: the handshake is complete.
    established: bool,
    /// RSTs of subflows that are gone.
    last_words: VecDeque<(SubflowId, Transmit)>,
    /// The first missing byte, while later ones are held, and since when.
    hole: Option<(DataOffset, Instant)>,
    /// How it ended, once it has.
    ended: Option<Option<ConnectionError>>,
    /// MP_FASTCLOSE goes out in acknowledgments rather than RSTs.
    fastclose_by_ack: bool,
    /// It was said so, and the peer has not answered.
    fastclose: Option<fastclose::FastCloseWait>,
    /// The application holds no handle any more.
    released: bool,
    bad_hmac: u64,
    /// The application knows that it fell back to TCP.
    fallback_told: bool,
    /// The application knows that there is something to read.
    readable_told: bool,
    spare: Spare,
}

impl Connection {
    fn new(birth: &mut Birth) -> Self {
        let config = &birth.opening.config;
        Self {
            id: birth.id,
            shared: Shared {
                role: birth.role,
                mode: birth.mode,
                local: Identity::new(birth.key),
                remote: None,
                checksum: birth.checksum,
                deny_join_id0: false,
                denies_join_id0: birth.deny_join_id0,
                send: DataSend::new(),
                recv: DataRecv::new(birth.recv_buffer, config.recv_buffer_max),
                views: Vec::new(),
                fastclosing: false,
                telling_failure: None,
                leaving: None,
                joined: false,
                lost_first: false,
                skewed: false,
                wide: false,
                infinite: shared::Infinite::No,
                capable_answered: None,
            },
            subflows: Vec::new(),
            next_subflow: 0,
            crowd: 1,
            gate: Gate::default(),
            scheduler: core::mem::replace(
                &mut birth.scheduler,
                manypath_sched::Algorithm::LowestRtt.build(),
            ),
            congestion_control: birth.congestion_control,
            send_buffer_max: birth.send_buffer_max,
            switches: Switches::new(config, birth.nodelay),
            linger_until: None,
            stranded: None,
            confirmed: false,
            ends: FourTuple { local: birth.opening.local, remote: birth.opening.remote }.into(),
            paths: core::mem::take(&mut birth.paths),
            one_ended: OneEnded::new(birth.spreading.take()),
            events: VecDeque::new(),
            established: false,
            last_words: VecDeque::new(),
            hole: None,
            ended: None,
            fastclose_by_ack: birth.fastclose_by_ack,
            fastclose: None,
            released: false,
            bad_hmac: 0,
            fallback_told: false,
            readable_told: false,
            spare: Spare::default(),
        }
    }

    /// Takes bytes to send from the front of `chunk`, as many as there is room for; `more` are about
    /// to be written.
    pub(crate) fn write(&mut self, chunk: &mut Bytes, more: bool) -> Result<usize, NotOpen> {
        if self.ended.is_some() || self.shared.send.closing {
            return Err(NotOpen);
        }
        let room = self.send_buffer().saturating_sub(self.shared.send.buffer.len());
        let taken = usize64(room).min(chunk.len());
        self.shared.send.blocked = taken < chunk.len();
        self.switches.on_write(more);
        self.shared.send.buffer.push(chunk.split_to(taken));
        self.revert();
        Ok(taken)
    }

    /// Bytes written and not acknowledged that are kept now: what the windows of all paths hold, as
    /// much again while a loss is repaired, and twice that where a path takes longer than others.
    fn send_buffer(&self) -> u64 {
        let windows: u64 = self.shared.views.iter().map(|view| u64::from(view.cwnd)).sum();
        (4 * windows).max(SEND_BUFFER).min(self.send_buffer_max)
    }

    /// The next bytes in order; an empty chunk is the end.
    pub(crate) fn read(&mut self) -> Result<Option<Bytes>, NotOpen> {
        let freely = || crowd::free_buffer(self.crowd, &self.subflows);
        let chunk = self.shared.recv.read(freely);
        if chunk.is_some() {
            self.after_read();
            return Ok(chunk);
        }
        if self.shared.recv.is_finished() {
            return Ok(Some(Bytes::new()));
        }
        self.readable_told = false;
        if self.ended.is_some() { Err(NotOpen) } else { Ok(None) }
    }

    pub(crate) fn id(&self) -> ConnId {
        self.id
    }

    pub(crate) fn local_token(&self) -> manypath_base::Token {
        self.shared.local.token
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(crate) fn is_established(&self) -> bool {
        self.established
    }

    pub(crate) fn congestion_control(&self) -> CongestionControl {
        self.congestion_control
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.released { None } else { event }
    }

    pub(crate) fn take_bad_hmac(&mut self) -> u64 {
        core::mem::take(&mut self.bad_hmac)
    }

    /// Index of a subflow that exists.
    fn index(&self, id: SubflowId) -> Option<usize> {
        self.subflows.iter().position(|s| s.id == id)
    }

    /// Calls into a subflow's flow with the seam in place.
    fn with_flow<R>(&mut self, i: usize, call: impl FnOnce(&mut Flow, &mut Seam<'_>) -> R) -> R {
        let Self { shared, subflows, .. } = self;
        let Subflow { flow, state, .. } = &mut subflows[i];
        call(flow, &mut Seam { shared, sub: state })
    }

    /// The living subflow that answers fastest: what must be said soon is said there.
    fn best_subflow(&self) -> Option<usize> {
        let candidates = self.subflows.iter().enumerate().filter(|(_, s)| s.may_signal());
        candidates
            .min_by_key(|(_, s)| {
                let path = s.flow.paths().next();
                let unwell = path.is_none_or(|p| p.suspect || p.failed);
                (unwell, path.map(|p| p.srtt))
            })
            .map(|(i, _)| i)
    }

    /// Asks the best subflow to acknowledge at once, which carries DATA_ACK, window and DATA_FIN.
    fn speak_now(&mut self) {
        if let Some(i) = self.best_subflow() {
            self.subflows[i].flow.request_ack();
        }
    }

    /// Asks every subflow to acknowledge at once: the best one may be dead without anybody having
    /// noticed, where this side has sent nothing on it.
    fn speak_everywhere(&mut self) {
        for sub in self.subflows.iter_mut().filter(|s| s.may_signal()) {
            sub.flow.request_ack();
        }
    }

    /// Bytes of data-level sequence space that the plain TCP flow has acknowledged: after falling
    /// back both levels count alike.
    fn plain_una(flow: &Flow) -> DataOffset {
        DataOffset(flow.una().0).min(DataOffset(flow.write_offset().0))
    }

    /// Whether SYNs with MP_CAPABLE were answered, once that is known of this side's SYNs.
    pub(crate) fn take_capable_answer(&mut self) -> Option<bool> {
        self.shared.capable_answered.take()
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.ends.remote()
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.ends.local()
    }

    /// Ends the subflows that were marked for it.
    pub(crate) fn end_marked(&mut self, now: Instant) {
        for sub in &mut self.subflows {
            let Some(why) = sub.down else { continue };
            // "T": the peer may expect another subflow soon (RFC 8684 §3.6).
            let reason = why.reset_reason();
            sub.flow.abort(Some(MpTcpRst { transient: true, reason }));
        }
        self.settle_all(now);
    }

    /// Settles every subflow, after a call that touched all.
    pub(crate) fn settle_all(&mut self, now: Instant) {
        for id in self.subflows.iter().map(|s| s.id).collect::<Vec<_>>() {
            if let Some(i) = self.index(id) {
                self.settle(now, i);
            }
        }
    }
}

/// Length of a chunk in data-level sequence space.
fn data_len(chunk: &Bytes) -> u64 {
    len64(chunk.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host has a hundred thousand of them that do nothing: what only few need is in boxes.
    #[test]
    fn a_connection_is_small() {
        for (name, size, most) in
            [("Connection", size_of::<Connection>(), 960), ("Subflow", size_of::<Subflow>(), 1_440)]
        {
            assert!(size <= most, "{name}: {size} bytes");
        }
    }
}
