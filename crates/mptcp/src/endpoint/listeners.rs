//! Listeners: which SYN goes where, and connections that wait to be accepted.

use alloc::collections::{BTreeSet, VecDeque};
use core::net::{IpAddr, SocketAddr};

use manypath_base::{FourTuple, IfaceId, Instant};
use manypath_wire::{CapableFlags, IpHeader, MpCapable, Segment};

use super::{ConnId, Endpoint, ListenerId};
use crate::{ConnectionMode, ListenError, ListenOptions, SynCookies};

/// One listener.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) addr: SocketAddr,
    pub(super) options: ListenOptions,
    /// Established, and not accepted.
    pub(super) ready: VecDeque<ConnId>,
    /// Those whose handshake is not complete, the oldest first.
    pub(super) half_open: BTreeSet<ConnId>,
    /// Those whose data on the SYN was taken, some of them complete by now.
    pub(super) early: BTreeSet<ConnId>,
}

/// Where a connection comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) listener: ListenerId,
    pub(super) iface: IfaceId,
    pub(super) tuple: FourTuple,
    /// The peer asks for multipath, and the listener offers it.
    pub(super) multipath: bool,
}

/// What a new connection finds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// The place of this half-open one.
    Instead(ConnId),
    None,
}

impl Listener {
    pub(super) fn takes(&self, local: SocketAddr) -> bool {
        let any = match self.addr.ip() {
            IpAddr::V4(v4) => v4.is_unspecified() && local.is_ipv4(),
            IpAddr::V6(v6) => v6.is_unspecified(),
        };
        self.addr.port() == local.port() && (any || self.addr.ip() == local.ip())
    }
}

impl Endpoint {
    /// Listens on an address and port; `0.0.0.0` is every IPv4 address, `[::]` every address.
    /// Port 0 picks a free one.
    ///
    /// # Errors
    /// If the address is taken, or not this host's and the listener not transparent.
    pub fn listen(
        &mut self,
        addr: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let anywhere = addr.ip().is_unspecified() || options.transparent;
        if !anywhere && self.iface_of(addr.ip()).is_none() {
            return Err(ListenError::NotLocal(addr.ip()));
        }
        let mut addr = addr;
        if addr.port() == 0 {
            addr.set_port(self.free_listening_port().ok_or(ListenError::InUse(addr))?);
        }
        if self.listeners.values().any(|l| l.addr == addr) {
            return Err(ListenError::InUse(addr));
        }
        let id = ListenerId(self.next_listener);
        self.next_listener += 1;
        let options = ListenOptions {
            backlog: self.shard.part(options.backlog),
            fast_open: self.shard.part(options.fast_open),
            ..options
        };
        let listener = Listener {
            addr,
            options,
            ready: VecDeque::new(),
            half_open: BTreeSet::new(),
            early: BTreeSet::new(),
        };
        self.listeners.insert(id, listener);
        Ok(id)
    }

    /// Where a listener listens.
    #[must_use]
    pub fn listener_addr(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.listeners.get(&listener).map(|l| l.addr)
    }

    /// Stops listening; connections that were not accepted are aborted.
    pub fn close_listener(&mut self, now: Instant, listener: ListenerId) {
        if self.listeners.remove(&listener).is_none() {
            return;
        }
        for id in self.connections_where(|entry| entry.listener == Some(listener)) {
            if let Some(entry) = self.connections.get_mut(&id) {
                entry.listener = None;
            }
            self.abort(now, id);
            self.release(now, id);
        }
    }

    /// The next connection that waits at a listener; its handshake is complete.
    pub fn accept(&mut self, listener: ListenerId) -> Option<ConnId> {
        let listening = self.listeners.get_mut(&listener)?;
        let id = listening.ready.pop_front()?;
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.listener = None;
        }
        Some(id)
    }

    /// Whether a connection waits to be accepted.
    pub(super) fn is_waiting(&self, id: ConnId) -> bool {
        let listener = self.connections.get(&id).and_then(|e| e.listener);
        listener.and_then(|l| self.listeners.get(&l)).is_some_and(|l| l.ready.contains(&id))
    }

    /// Where a connection that comes to a listener finds room (RFC 4987 §3.2): a half-open one
    /// makes way for it, the oldest first, without a word, since whoever it was may not be there.
    fn room_for_one(&self, listener: ListenerId) -> Room {
        let Some(own) = self.listeners.get(&listener) else { return Room::None };
        let all = || self.listeners.values().flat_map(|l| l.half_open.first());
        let half_open: usize = self.listeners.values().map(|l| l.half_open.len()).sum();
        let oldest = if own.ready.len() >= own.options.backlog {
            None
        } else if own.ready.len() + own.half_open.len() >= own.options.backlog {
            own.half_open.first()
        } else if half_open >= self.config.max_half_open
            || self.connections.len() >= self.config.max_connections
        {
            all().min()
        } else {
            return Room::Free;
        };
        oldest.map_or(Room::None, |id| Room::Instead(*id))
    }

    /// The listener that takes what comes to an address: one for that alone before one for all.
    pub(super) fn listener_at(&self, local: SocketAddr) -> Option<ListenerId> {
        let ours = self.iface_of(local.ip()).is_some();
        let all = || self.listeners.iter().filter(|(_, l)| ours || l.options.transparent);
        let exact = all().find(|(_, l)| l.addr == local);
        let found = exact.or_else(|| all().find(|(_, l)| l.takes(local)));
        found.map(|(id, _)| *id)
    }

    /// A SYN that begins a connection (RFC 9293 §3.10.7.2).
    pub(super) fn on_syn(
        &mut self,
        now: Instant,
        iface: IfaceId,
        ip: &IpHeader,
        tuple: FourTuple,
        syn: &Segment,
    ) {
        let Some(id) = self.listener_at(tuple.local) else {
            return self.answer_stray(iface, ip, syn, None);
        };
        let options = self.listeners[&id].options;
        let multipath = options.mode == ConnectionMode::Automatic && offers_multipath(syn);
        let arrival = Arrival { listener: id, iface, tuple, multipath };
        match (self.room_for_one(id), self.config.syn_cookies) {
            (Room::Free, SynCookies::Never | SynCookies::WhenFull) => {}
            (Room::Free | Room::Instead(_), SynCookies::Always)
            | (Room::Instead(_), SynCookies::WhenFull) => {
                return self.answer_with_cookie(now, arrival, syn);
            }
            (Room::Instead(oldest), SynCookies::Never) => {
                self.drops.overflow += 1;
                self.forget(oldest);
            }
            // Silence: the peer's retransmission may find room.
            (Room::None, SynCookies::Never | SynCookies::WhenFull | SynCookies::Always) => {
                self.drops.overflow += 1;
                return;
            }
        }
        self.birth_of_incoming(now, arrival, syn);
    }

    /// Whether a listener has room for a connection that is complete already; a half-open one
    /// makes way for it.
    pub(super) fn make_room(&mut self, listener: ListenerId) -> bool {
        match self.room_for_one(listener) {
            Room::Free => true,
            Room::Instead(oldest) => {
                self.drops.overflow += 1;
                self.forget(oldest);
                true
            }
            Room::None => {
                self.drops.overflow += 1;
                false
            }
        }
    }
}

/// Whether a SYN asks for MPTCP in a way that this host answers: another version, an unknown
/// algorithm or flag B is answered by plain TCP (RFC 8684 §3.1).
fn offers_multipath(syn: &Segment) -> bool {
    match syn.options.mptcp.capable {
        Some(MpCapable::Syn { version, flags }) => {
            version == 1
                && flags.has(CapableFlags::HMAC_SHA256)
                && !flags.has(CapableFlags::EXTENSIBILITY)
        }
        Some(MpCapable::SynAck { .. } | MpCapable::Ack { .. }) | None => false,
    }
}
