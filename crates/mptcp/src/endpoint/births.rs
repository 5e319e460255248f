//! New connections and subflows: keys, ports, numbers, and the tables that lead to them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::net::SocketAddr;

use manypath_base::{AddrId, FourTuple, IfaceId, Instant, Key, PathId, SubflowId, Token};
use manypath_cc::Algorithm as CongestionControl;
use manypath_tcp::{FastOpen, Opening, PathConfig};
use manypath_wire::{IpHeader, MpTcpRst, ResetReason, Segment};

use super::beside::Part;
use super::fast_open::Early;
use super::listeners::Arrival;
use super::{ConnId, Endpoint, Entry, ListenerId};
use crate::address::{self, is_unicast};
use crate::connection::{
    Birth, Connection, Join, Joining, LocalEntry, Mode, PathManager, Role, Spreading, first_buffer,
};
use crate::crypto::Identity;
use crate::{ConnectError, ConnectOptions, ConnectionMode, FallbackReason};

/// Which path of a one-ended connection takes what: the window is all that a legacy receiver gives,
/// and a slow path must not hold it up.
const ONE_ENDED: manypath_sched::Algorithm = manypath_sched::Algorithm::Blest;

impl Endpoint {
    /// Begins a connection; its SYN waits to be sent.
    ///
    /// # Errors
    /// If there is no address, port or room for it.
    pub fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        options: &ConnectOptions,
    ) -> Result<ConnId, ConnectError> {
        if self.connections.len() >= self.config.max_connections {
            return Err(ConnectError::TooMany);
        }
        if let Some(&many) = [remote].iter().chain(&*options.remotes).find(|a| !is_unicast(a.ip()))
        {
            return Err(ConnectError::NotUnicast(many));
        }
        let usual = self.source_for(remote, options.local)?;
        let (spreading, local) = self.spreading(now, remote, options.mode, usual);
        let port = self.port_towards(now, local.addr, remote, options.local_port)?;
        let tuple = FourTuple { local: SocketAddr::new(local.addr, port.number), remote };
        let cc = options.congestion_control.unwrap_or(self.config.congestion_control);
        let scheduler = options.scheduler.unwrap_or(self.config.scheduler);
        let locals = self.local_entries(local.addr);
        let mut paths = PathManager::new(self.share(locals), self.config.limits);
        paths.know_remotes(&options.remotes);
        let plain = options.mode != ConnectionMode::Automatic;
        let mode = match (plain, self.blackholes.is_black(now, remote.ip())) {
            (true, _) => Mode::Plain(None),
            (false, true) => Mode::Plain(Some(FallbackReason::KnownToDrop)),
            (false, false) => Mode::Negotiating,
        };
        let mut birth = Birth {
            id: self.next_id(),
            role: Role::Initiator,
            mode,
            key: self.unique_key(),
            nodelay: !self.config.tcp.nagle,
            checksum: self.config.checksum,
            deny_join_id0: self.config.deny_join_initial,
            fastclose_by_ack: self.config.fastclose_by_ack,
            scheduler: scheduler.build(),
            spreading,
            congestion_control: cc,
            send_buffer_max: self.config.send_buffer_max.into(),
            recv_buffer: self.first_buffer(),
            paths,
            iface: local.iface,
            opening: self.opening(now, tuple, local.mtu, cc),
        };
        if let Some(least) = port.least_isn.filter(|least| birth.opening.isn.before(*least)) {
            birth.opening.isn = least;
        }
        let (id, hosts) = (birth.id, (local.addr, remote.ip()));
        if options.early_data.is_some() {
            birth.opening.fast_open = self.servers.plan(now, hosts);
        }
        let tries = birth.opening.fast_open != FastOpen::Off;
        let early = options.early_data.clone().unwrap_or_default();
        let conn = Connection::connect(now, birth, early);
        self.insert(now, conn, tuple, local.iface, None);
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.fast_open = tries.then_some(hosts);
        }
        Ok(id)
    }

    /// A connection that a listener takes.
    pub(super) fn birth_of_incoming(&mut self, now: Instant, arrival: Arrival, syn: &Segment) {
        let key = self.unique_key();
        let early = self.early(now, arrival, syn);
        let Some(mut birth) = self.birth_at_listener(now, arrival, key) else { return };
        let iface = birth.iface;
        let conn = match early {
            Early::Take => {
                let listening = self.listeners.get_mut(&arrival.listener);
                listening.map(|l| l.early.insert(birth.id));
                Connection::accept_early(now, birth, syn.clone())
            }
            Early::Grant(cookie) => {
                birth.opening.fast_open = FastOpen::Grant(cookie);
                Connection::accept(now, birth, syn)
            }
            Early::No => Connection::accept(now, birth, syn),
        };
        self.insert(now, conn, arrival.tuple, iface, Some(arrival.listener));
    }

    /// What a connection that comes to a listener is made from; `None` where the address is gone.
    pub(super) fn birth_at_listener(
        &mut self,
        now: Instant,
        arrival: Arrival,
        key: Key,
    ) -> Option<Birth> {
        let Arrival { iface, tuple, multipath, listener } = arrival;
        let options = self.listeners.get(&listener)?.options;
        let kept = options.mode;
        let mut locals = self.local_entries(tuple.local.ip());
        locals.extend(self.foreign(tuple.local.ip(), iface));
        let usual = *locals.iter().find(|l| l.addr == tuple.local.ip())?;
        let usual = self.on_iface(&usual, iface).unwrap_or(LocalEntry { iface, ..usual });
        let (spreading, local) = self.spreading(now, tuple.remote, kept, usual);
        let cc = self.config.congestion_control;
        Some(Birth {
            id: self.next_id(),
            role: Role::Responder,
            mode: if multipath { Mode::Negotiating } else { Mode::Plain(None) },
            key,
            nodelay: !self.config.tcp.nagle,
            checksum: self.config.checksum,
            deny_join_id0: self.config.deny_join_initial,
            fastclose_by_ack: self.config.fastclose_by_ack,
            scheduler: self.config.scheduler.build(),
            spreading,
            congestion_control: cc,
            send_buffer_max: self.config.send_buffer_max.into(),
            recv_buffer: self.first_buffer(),
            paths: PathManager::new(self.share(locals), self.config.limits),
            iface: local.iface,
            opening: self.opening(now, tuple, local.mtu, cc),
        })
    }

    /// How a connection is spread over paths of which the peer knows nothing, if it may be, and what it
    /// begins from: `usual`, or the same address on the interface that did better before.
    fn spreading(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        mode: ConnectionMode,
        usual: LocalEntry,
    ) -> (Option<Spreading>, LocalEntry) {
        let wanted = match mode {
            ConnectionMode::Automatic => self.config.one_ended,
            ConnectionMode::OneEnded => true,
            ConnectionMode::PlainTcp => false,
        };
        if !wanted || self.single_paths.has(now, remote.ip()) {
            return (None, usual);
        }
        let better = self.first_paths.of(now, remote.ip()).filter(|&iface| iface != usual.iface);
        let better = better.and_then(|iface| self.on_iface(&usual, iface));
        let spreading = Spreading {
            usual: better.map(|_| usual.iface),
            scheduler: ONE_ENDED,
            seed: self.path_rng.bytes(),
        };
        (Some(spreading), better.unwrap_or(usual))
    }

    pub(super) fn insert(
        &mut self,
        now: Instant,
        conn: Connection,
        tuple: FourTuple,
        iface: IfaceId,
        listener: Option<ListenerId>,
    ) {
        let id = conn.id();
        self.tokens.insert(conn.local_token(), id);
        self.lead(tuple, id, SubflowId(0));
        let subflows = vec![(SubflowId(0), tuple.into(), iface)];
        if let Some(listening) = listener.and_then(|l| self.listeners.get_mut(&l)) {
            listening.half_open.insert(id);
        }
        let foreign = self.foreign(tuple.local.ip(), iface);
        let (queued, seen, beside, fast_open) = (false, 0, Part::default(), None);
        let entry = Entry { conn, queued, seen, beside, listener, fast_open, foreign, subflows };
        self.connections.insert(id, Box::new(entry));
        self.settle(now, id);
    }

    /// What comes to a 4-tuple is a subflow's from now on.
    fn lead(&mut self, tuple: FourTuple, id: ConnId, subflow: SubflowId) {
        self.tuples.insert(tuple.into(), (id, subflow));
        self.note_guest(&tuple);
    }

    /// What the receive buffer of the next connection begins with, of as many as the host has if each
    /// shard has as many.
    fn first_buffer(&self) -> u32 {
        let all = self.connections.len() * manypath_base::usize32(self.shard.count());
        first_buffer(all, self.config.tcp.recv_buffer)
    }

    /// Opens the subflows that a connection's path manager wants now.
    pub(super) fn open_joins(&mut self, now: Instant, id: ConnId) {
        while let Some(join) = self.connections.get(&id).and_then(|e| e.conn.next_join(now)) {
            let port = self.port_for_join(id, &join);
            let Some(entry) = self.connections.get_mut(&id) else { return };
            let Some(port) = port else {
                entry.conn.on_join_impossible(now, &join);
                continue;
            };
            let cc = entry.conn.congestion_control();
            let tuple =
                FourTuple { local: SocketAddr::new(join.local.addr, port), remote: join.remote };
            let joining = self.joining(now, &join, tuple, cc);
            let Some(entry) = self.connections.get_mut(&id) else { return };
            let subflow = entry.conn.join_out(now, joining);
            entry.add_subflow(subflow, tuple, join.local.iface);
            self.lead(tuple, id, subflow);
        }
    }

    /// The port of the first subflow, so that firewalls and people know it again (RFC 8684 §3.9.1);
    /// another where that is taken, and at further attempts, which an earlier one must not hinder.
    fn port_for_join(&mut self, id: ConnId, join: &Join) -> Option<u16> {
        let conn = &self.connections.get(&id)?.conn;
        let local = SocketAddr::new(join.local.addr, conn.local_addr().port());
        let tuple = FourTuple { local, remote: join.remote };
        let is_home = self.shard.is_home(local.port(), join.remote.port());
        if conn.was_never_tried(join) && is_home && !self.is_taken(&tuple) {
            return Some(local.port());
        }
        self.free_port(join.local.addr, join.remote, usize::MAX)
    }

    fn joining(
        &mut self,
        now: Instant,
        join: &Join,
        tuple: FourTuple,
        cc: CongestionControl,
    ) -> Joining {
        let mut opening = self.opening(now, tuple, join.local.mtu, cc);
        opening.config = Arc::clone(&self.flow_configs.join);
        Joining {
            iface: join.local.iface,
            opening,
            local_id: join.local.id,
            remote_id: join.remote_id,
            backup: join.local.flags.backup,
            nonce: self.rng.u32(),
        }
    }

    /// A SYN that joins a connection (RFC 8684 §3.2): refused with a RST and its reason where
    /// there is no such connection or it takes no more.
    pub(super) fn on_join_syn(
        &mut self,
        now: Instant,
        iface: IfaceId,
        ip: &IpHeader,
        tuple: FourTuple,
        token: Token,
        syn: &Segment,
    ) {
        let Some(&id) = self.tokens.get(&token) else {
            self.drops.unknown_token += 1;
            let error = MpTcpRst { transient: false, reason: ResetReason::MptcpError };
            return self.answer_stray(iface, ip, syn, Some(error));
        };
        let Some(entry) = self.connections.get_mut(&id) else { return };
        if let Err(refusal) = entry.conn.admit_join(tuple.local) {
            return self.answer_stray(iface, ip, syn, Some(refusal));
        }
        let locals = self.locals_of(id);
        let Some(local) = locals.into_iter().find(|l| l.addr == tuple.local.ip()) else { return };
        // Answers leave by the interface that the SYN came on.
        let local = LocalEntry { iface, ..local };
        let cc = self.connections[&id].conn.congestion_control();
        let join = Join { local, remote: tuple.remote, remote_id: AddrId(0) };
        let mut joining = self.joining(now, &join, tuple, cc);
        joining.opening.config = Arc::clone(&self.flow_configs.usual);
        let Some(entry) = self.connections.get_mut(&id) else { return };
        let subflow = entry.conn.join_in(now, joining, syn);
        entry.add_subflow(subflow, tuple, iface);
        self.lead(tuple, id, subflow);
        self.settle(now, id);
    }

    fn next_id(&mut self) -> ConnId {
        let id = ConnId(self.next_conn);
        self.next_conn += u64::from(self.shard.count());
        id
    }

    /// A key whose token no other connection has (RFC 8684 §3.1), and that leads to this shard.
    fn unique_key(&mut self) -> Key {
        loop {
            let key = Key(self.rng.bytes());
            let token = Identity::new(key).token;
            if self.shard.is_of(token) && !self.tokens.contains_key(&token) {
                return key;
            }
        }
    }

    fn opening(
        &mut self,
        now: Instant,
        tuple: FourTuple,
        mtu: u16,
        cc: CongestionControl,
    ) -> Opening {
        let (isn, timestamp_offset) = self.isns.draw(now, tuple.local, tuple.remote);
        let mss = address::mss(mtu, tuple.local.ip());
        Opening {
            local: tuple.local,
            remote: tuple.remote,
            isn,
            timestamp_offset,
            config: Arc::clone(&self.flow_configs.usual),
            path: PathConfig {
                id: PathId(0),
                mss,
                controller: cc.build(manypath_cc::Config::new(mss)),
            },
            fast_open: FastOpen::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EndpointConfig;
    use manypath_base::Rng;

    fn endpoint() -> Endpoint {
        Endpoint::new(EndpointConfig::default(), Rng::seeded(7))
    }

    /// RFC 8684 §3.1: another key is drawn.
    #[test]
    fn a_key_whose_token_is_taken_is_not_used() {
        let mut first = endpoint();
        let (taken, next) = (first.unique_key(), first.unique_key());
        let mut second = endpoint();
        second.tokens.insert(Identity::new(taken).token, ConnId(0));
        assert_eq!(second.unique_key(), next);
    }
}
