//! From a packet to the subflow, listener or connection that it is for.

use alloc::boxed::Box;
use core::net::SocketAddr;

use manypath_base::{Ends, FourTuple, IfaceId, Instant, SubflowId};
use manypath_wire::{Ecn, Flags, IcmpError, IpHeader, MpJoin, Segment, Transport};
use smallvec::SmallVec;

use super::{ConnId, Endpoint};
use crate::address::is_unicast;

impl Endpoint {
    pub(super) fn on_segment(
        &mut self,
        now: Instant,
        iface: IfaceId,
        ip: &IpHeader,
        segment: Box<Segment>,
    ) {
        // RFC 9293 §3.9.2.3, MUST-57 and MUST-63: in silence.
        if !is_unicast(ip.src) || !is_unicast(ip.dst) {
            self.drops.not_local += 1;
            return;
        }
        let tuple = FourTuple {
            local: SocketAddr::new(ip.dst, segment.dst_port),
            remote: SocketAddr::new(ip.src, segment.src_port),
        };
        if let Some(&(id, subflow)) = self.tuples.get(&tuple) {
            if self.may_replace(id, subflow, &segment) {
                self.forget_subflow(id, subflow);
            } else {
                return self.pass_to_subflow(now, (id, subflow), iface, segment, ip.ecn);
            }
        } else if self.is_of_time_wait(now, iface, ip, tuple, &segment) {
            return;
        }
        if self.iface_of(ip.dst).is_none() && !self.stands_for(tuple.local) {
            self.drops.not_local += 1;
            return;
        }
        if let Some(there) = self.elsewhere(&tuple, &segment) {
            return self.hand_over(there, iface, *ip, Transport::Tcp(segment));
        }
        let syn = segment.flags.has(Flags::SYN)
            && !segment.flags.has(Flags::ACK)
            && !segment.flags.has(Flags::RST);
        if !syn {
            if self.is_nothing_to_a_listener(tuple.local, segment.flags) {
                self.drops.stray += 1;
                return;
            }
            if !self.on_cookie(now, iface, tuple, &segment, ip.ecn) {
                self.answer_stray(iface, ip, &segment, None);
            }
            return;
        }
        match segment.options.mptcp.join {
            Some(MpJoin::Syn { token, .. }) => {
                self.on_join_syn(now, iface, ip, tuple, token, &segment);
            }
            Some(MpJoin::SynAck { .. } | MpJoin::Ack { .. }) | None => {
                self.on_syn(now, iface, ip, tuple, &segment);
            }
        }
    }

    /// What says neither SYN nor ACK nor RST is dropped where somebody listens: "you are unlikely
    /// to get here, but if you do, drop the segment, and return" (RFC 9293 §3.10.7.2).
    fn is_nothing_to_a_listener(&self, local: SocketAddr, flags: Flags) -> bool {
        let says = [Flags::SYN, Flags::ACK, Flags::RST].iter().any(|&flag| flags.has(flag));
        !says && self.listener_at(local).is_some()
    }

    /// A SYN may take over the 4-tuple of a subflow in TIME-WAIT if its numbers show that it is
    /// not an old one (RFC 9293 §3.6.1, RFC 6191).
    fn may_replace(&self, id: ConnId, subflow: SubflowId, segment: &Segment) -> bool {
        segment.flags.has(Flags::SYN)
            && !segment.flags.has(Flags::ACK)
            && self.connections.get(&id).is_some_and(|e| e.conn.gives_way(subflow, segment))
    }

    fn pass_to_subflow(
        &mut self,
        now: Instant,
        (id, subflow): (ConnId, SubflowId),
        iface: IfaceId,
        segment: Box<Segment>,
        ecn: Ecn,
    ) {
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.conn.handle_segment(now, subflow, iface, segment, ecn);
            self.settle(now, id);
        }
    }

    pub(super) fn on_icmp(
        &mut self,
        now: Instant,
        iface: IfaceId,
        ip: &IpHeader,
        error: IcmpError,
    ) {
        let tuple = FourTuple { local: error.local, remote: error.remote };
        let Some(&(id, subflow)) = self.tuples.get(&tuple) else {
            match self.home_elsewhere(&tuple) {
                Some(there) => self.hand_over(there, iface, *ip, Transport::Icmp(error)),
                None => self.drops.stray += 1,
            }
            return;
        };
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.conn.handle_icmp(now, subflow, &error);
            self.settle(now, id);
        }
    }

    /// Forgets the 4-tuples of subflows that are gone.
    pub(super) fn drop_dead_tuples(&mut self, id: ConnId) {
        let Some(entry) = self.connections.get_mut(&id) else { return };
        let conn = &entry.conn;
        // Every subflow has one: where there are no more, none is dead.
        if entry.subflows.len() == conn.subflow_count() {
            return;
        }
        let dead: SmallVec<[_; 2]> =
            entry.subflows.extract_if(.., |(subflow, ..)| !conn.has_subflow(*subflow)).collect();
        for (_, ends, _) in dead {
            self.unlead(&ends);
        }
    }

    pub(super) fn forget_subflow(&mut self, id: ConnId, subflow: SubflowId) {
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.conn.forget_subflow(subflow);
        }
        self.drop_dead_tuples(id);
        if self.connections.get(&id).is_some_and(|e| e.conn.is_forgotten()) {
            self.forget(id);
        }
    }

    /// A 4-tuple leads to no subflow any more.
    fn unlead(&mut self, ends: &Ends) {
        self.tuples.remove(ends);
        self.note_left(&ends.tuple(), None);
    }

    /// Forgets a connection with everything that leads to it.
    pub(super) fn forget(&mut self, id: ConnId) {
        let Some(entry) = self.connections.remove(&id) else { return };
        self.beside.forget(&entry);
        for (_, ends, _) in &entry.subflows {
            self.unlead(ends);
        }
        if self.tokens.get(&entry.conn.local_token()) == Some(&id) {
            self.tokens.remove(&entry.conn.local_token());
        }
        self.timers.set(id, None);
        if let Some(listener) = entry.listener.and_then(|l| self.listeners.get_mut(&l)) {
            listener.half_open.remove(&id);
        }
    }
}
