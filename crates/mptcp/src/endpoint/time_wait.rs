//! What is left of connections that only wait in TIME-WAIT (RFC 9293 §3.6.1): a record for each
//! subflow, in place of the connection.
//!
//! **Invariants**: a 4-tuple has a subflow or a record, never both; there are no more records than
//! connections are allowed, the oldest makes way; of several shards the home of a 4-tuple has its
//! record. **Leaves out** what a segment means to one (`manypath_tcp::TimeWait`).

use alloc::collections::VecDeque;

use hashbrown::HashMap;
use manypath_base::{Ends, FourTuple, IfaceId, Instant};
use manypath_tcp::{Echo, TimeWait};
use manypath_wire::{Dss, DssNumber, Ecn, IpHeader, Packet, Segment};
use smallvec::SmallVec;

use super::{ConnId, Departure, Endpoint};

/// What is kept of a subflow.
#[derive(Debug)]
pub(super) struct Record {
    wait: TimeWait,
    data_ack: Option<DssNumber>,
}

/// The records of an endpoint.
#[derive(Debug, Default)]
pub(super) struct TimeWaits {
    records: HashMap<Ends, Record>,
    /// When each is looked at next. All waits are of one length, so that this is in order; one that
    /// began anew is found not to be over, and looked at again at the end.
    order: VecDeque<(Instant, Ends)>,
}

impl TimeWaits {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, tuple: &FourTuple) -> Option<&TimeWait> {
        self.records.get(tuple).map(|record| &record.wait)
    }

    pub(super) fn remove(&mut self, tuple: &FourTuple) {
        self.records.remove(tuple);
    }

    fn insert(&mut self, ends: Ends, record: Record, max: usize) {
        if self.records.len() >= max
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
        self.look_at(record.wait.until(), ends.clone());
        self.records.insert(ends, record);
    }

    fn look_at(&mut self, at: Instant, ends: Ends) {
        let at = self.order.back().map_or(at, |&(last, _)| last.max(at));
        self.order.push_back((at, ends));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.order.front().map(|&(at, _)| at)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, ends)) = self.order.pop_front_if(|&mut (at, _)| at <= now) {
            match self.records.get(&ends).map(|record| record.wait.until()) {
                Some(until) if until > now => self.look_at(until, ends),
                Some(_) => drop(self.records.remove(&ends)),
                None => {}
            }
        }
        if self.records.is_empty() {
            *self = Self::default();
        }
    }
}

impl Endpoint {
    /// Keeps of a connection what TIME-WAIT needs, and forgets the rest.
    pub(super) fn reduce(&mut self, id: ConnId) {
        let Some(entry) = self.connections.get(&id) else { return };
        let (waits, data_ack) = entry.conn.time_waits();
        let ends_of = |subflow| entry.subflows.iter().find(|(id, ..)| *id == subflow);
        let records: SmallVec<[_; 2]> = waits
            .filter_map(|(subflow, wait)| {
                Some((ends_of(subflow)?.1.clone(), Record { wait, data_ack }))
            })
            .collect();
        for (ends, record) in records {
            self.keep_at_home(ends, record);
        }
        self.forget(id);
    }

    fn keep_at_home(&mut self, ends: Ends, record: Record) {
        let (local, remote) = ends.ports();
        if self.shard.is_home(local, remote) {
            self.keep(ends, record);
        } else {
            self.note_left(&ends.tuple(), Some(record));
        }
    }

    pub(super) fn keep(&mut self, ends: Ends, record: Record) {
        self.time_waits.insert(ends, record, self.config.max_connections);
    }

    /// Takes in a segment that comes to a 4-tuple in TIME-WAIT, unless it opens a new connection
    /// there. Returns whether it did.
    pub(super) fn is_of_time_wait(
        &mut self,
        now: Instant,
        iface: IfaceId,
        ip: &IpHeader,
        tuple: FourTuple,
        segment: &Segment,
    ) -> bool {
        let Some(Record { wait, data_ack }) = self.time_waits.records.get_mut(&tuple) else {
            return false;
        };
        if wait.may_be_replaced(segment) {
            self.time_waits.remove(&tuple);
            return false;
        }
        match wait.handle_segment(now, segment) {
            Echo::None => {}
            Echo::Over => self.time_waits.remove(&tuple),
            Echo::Acknowledgment => {
                let (local, remote) = (tuple.local.port(), tuple.remote.port());
                let mut ack = wait.acknowledgment(now, local, remote);
                let dss = Dss { data_ack: *data_ack, ..Dss::default() };
                ack.options.mptcp.dss = data_ack.is_some().then_some(dss);
                let manypath_tcp::Config { dscp, hop_limit, .. } = self.config.tcp;
                let (src, dst, ecn) = (ip.dst, ip.src, Ecn::NotEct);
                let ip = IpHeader { src, dst, ecn, dscp, hop_limit, flow_label: 0 };
                let packet = Packet { ip, transport: ack.into() };
                self.queue_answer(Departure { iface, packet, gso_mss: None });
            }
        }
        true
    }
}
