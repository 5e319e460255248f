//! What the peer said in options, and what is to be said to it: addresses and priorities
//! (RFC 8684 §3.3.8, §3.4).

use core::net::SocketAddr;

use manypath_base::{AddrId, Instant, SubflowId};
use manypath_wire::{AddAddr, MpPrio, RemoveAddr};

use super::Connection;
use super::path_manager::Announcement;
use super::subflow::{Said, Signal};
use crate::crypto::add_addr_hmac;
use crate::event::PathDownReason;
use crate::{ConnectionError, Event, NotOpen};

impl Connection {
    pub(super) fn act_on_said(&mut self, now: Instant, i: usize) {
        for said in core::mem::take(&mut self.subflows[i].state.said) {
            match said {
                Said::Confirmed => self.on_confirmed(now, i),
                Said::DataAcked => {}
                Said::DataFin => self.subflows[i].flow.request_ack(),
                Said::AddAddr(add) => self.on_add_addr(i, add),
                Said::RemoveAddr(remove) => self.on_remove_addr(now, &remove),
                Said::Prio(backup) => self.on_prio(i, backup),
                Said::Fail(_) => self.on_fail(i),
                Said::FastClose => self.on_fastclose(),
                Said::BadHmac => self.bad_hmac += 1,
            }
        }
    }

    /// A subflow's handshake is complete: the peer of a join hears so at once (the fourth ACK of
    /// RFC 8684 §3.2), and after the first one addresses may be announced.
    fn on_confirmed(&mut self, now: Instant, i: usize) {
        self.subflows[i].flow.request_ack();
        self.paths.start_announcing(now, self.local.ip());
        self.announce_timeout(now);
    }

    fn on_add_addr(&mut self, i: usize, add: AddAddr) {
        if add.hmac.is_none() {
            self.paths.on_echo(add.id);
            return;
        }
        let port = add.port.unwrap_or(self.remote.port());
        self.paths.on_add_addr(add.id, SocketAddr::new(add.addr, port));
        self.subflows[i].state.to_say.push_back(Signal::AddAddr(AddAddr { hmac: None, ..add }));
        self.events.push_back(Event::AddrAnnounced(self.id, add.id, add.addr));
    }

    /// Every subflow that uses a withdrawn address of the peer ends (RFC 8684 §3.4.2).
    fn on_remove_addr(&mut self, now: Instant, remove: &RemoveAddr) {
        for &id in &remove.ids {
            self.paths.on_remove_addr(id);
            self.events.push_back(Event::AddrRemoved(self.id, id));
            for n in 0..self.subflows.len() {
                if self.subflows[n].state.remote_id == id && self.subflows.len() > 1 {
                    self.subflows[n].down = Some(PathDownReason::AddressRemoved);
                    self.subflows[n].flow.abort(None);
                }
            }
        }
        self.paths.wake(now);
    }

    fn on_prio(&mut self, i: usize, backup: bool) {
        self.subflows[i].state.backup_remote = backup;
        let subflow = self.subflows[i].id;
        self.events.push_back(Event::PrioChanged { conn: self.id, subflow, backup });
    }

    /// The peer aborted the connection: RST on every subflow (RFC 8684 §3.5).
    fn on_fastclose(&mut self) {
        self.end(Some(ConnectionError::Reset));
        for sub in &mut self.subflows {
            sub.flow.abort(None);
        }
    }

    /// Changes the priority of a subflow and tells the peer.
    pub(crate) fn set_backup(&mut self, id: SubflowId, backup: bool) -> Result<(), NotOpen> {
        let i = self.index(id).filter(|_| self.shared.is_multipath()).ok_or(NotOpen)?;
        let state = &mut self.subflows[i].state;
        state.backup_local = backup;
        state.to_say.push_back(Signal::Prio(MpPrio { backup, addr_id: None }));
        Ok(())
    }

    /// When an announcement is to be sent or repeated.
    pub(super) fn announce_at(&self) -> Option<Instant> {
        self.paths.announce_at().filter(|_| self.shared.is_multipath() && self.ended.is_none())
    }

    pub(super) fn announce_timeout(&mut self, now: Instant) {
        if !self.shared.is_multipath() || self.ended.is_some() {
            return;
        }
        while let Some(Announcement { id, addr }) = self.paths.next_announcement(now) {
            let (Some(remote), Some(i)) = (self.shared.remote, self.best_subflow()) else { return };
            let hmac = add_addr_hmac(self.shared.local.key, remote.key, id, addr, None);
            let add = AddAddr { id, addr, port: None, hmac: Some(hmac) };
            self.subflows[i].state.to_say.push_back(Signal::AddAddr(add));
        }
    }

    /// Withdraws an address of this side (RFC 8684 §3.4.2), on every living subflow.
    pub(super) fn withdraw(&mut self, id: AddrId) {
        let remove = RemoveAddr { ids: smallvec::smallvec![id] };
        for sub in self.subflows.iter_mut().filter(|s| s.state.local_id != id) {
            sub.state.to_say.push_back(Signal::RemoveAddr(remove.clone()));
        }
    }
}
