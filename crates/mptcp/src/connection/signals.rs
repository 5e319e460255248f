//! What the peer said in options, and what is to be said to it: addresses and priorities
//! (RFC 8684 §3.3.8, §3.4).

use core::net::SocketAddr;

use manypath_base::{Instant, SubflowId};
use manypath_wire::{AddAddr, MpPrio};

use super::path_manager::{Announcement, LocalEntry};
use super::subflow::{Kind, Said, Signal};
use super::{Connection, Role};
use crate::address::is_unicast;
use crate::crypto::add_addr_hmac;
use crate::{ConnectionError, Event, NotOpen};

impl Connection {
    pub(super) fn act_on_said(&mut self, now: Instant, i: usize) {
        for said in self.subflows[i].state.take_said() {
            match said {
                Said::Confirmed => self.on_confirmed(now, i),
                Said::Repeated => self.subflows[i].flow.request_ack(),
                Said::DataFin if self.shared.recv.is_finished() => {
                    self.subflows[i].flow.request_ack();
                }
                // Bytes before it are missing: what brings them is acknowledged.
                Said::DataFin => {}
                Said::AddAddr(add) => self.on_add_addr(i, add),
                Said::RemoveAddr(remove) => self.on_remove_addr(now, &remove),
                Said::Prio(backup) => self.on_prio(i, backup),
                Said::Fail(_) => self.on_fail(i),
                Said::FastClose => self.on_fastclose(),
                Said::BadHmac => self.bad_hmac += 1,
            }
        }
    }

    /// A subflow's handshake is complete: the side that opened it hears so at once (the fourth ACK
    /// of RFC 8684 §3.2), and after the first one addresses may be announced.
    fn on_confirmed(&mut self, now: Instant, i: usize) {
        let opened_here = match self.subflows[i].state.kind {
            Kind::Initial => self.shared.role == Role::Initiator,
            Kind::Join { opener, .. } => opener,
        };
        if !opened_here {
            self.subflows[i].flow.request_ack();
        }
        if !self.confirmed {
            self.confirmed = true;
            self.tell_initial_priority();
        }
        self.paths.is_stale = true;
        self.paths.start_announcing(now, self.ends.local().ip());
        self.announce_timeout(now);
    }

    fn on_add_addr(&mut self, i: usize, add: AddAddr) {
        if add.hmac.is_none() {
            self.paths.on_echo(Announcement { id: add.id, addr: add.addr, port: add.port });
            return;
        }
        // RFC 8684 §3.4.1: without a port, that of the subflow on which it came.
        let port = add.port.unwrap_or(self.subflows[i].flow.remote().port());
        self.subflows[i].state.say(Signal::AddAddr(AddAddr { hmac: None, ..add }));
        let usable = is_unicast(add.addr);
        if usable && self.paths.on_add_addr(add.id, SocketAddr::new(add.addr, port)) {
            self.events.push_back(Event::AddrAnnounced(self.id, add.id, add.addr));
        }
    }

    /// Whether the connection lives on without subflow `i`.
    pub(super) fn is_spare(&self, i: usize) -> bool {
        let others = self.subflows.iter().enumerate().filter(|&(n, _)| n != i);
        others.map(|(_, s)| s).any(|s| s.may_carry() && s.down.is_none())
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

    /// MP_CAPABLE has no B flag: where the connection began from a backup address, MP_PRIO says so.
    fn tell_initial_priority(&mut self) {
        let initial = self.subflows.iter().find(|s| s.state.kind == Kind::Initial);
        let untold = initial.filter(|s| !s.state.backup_local).map(|s| s.id);
        if let Some(id) = untold.filter(|_| self.paths.is_backup(self.ends.local().ip())) {
            // The peer may have fallen back with the same segment: then there is nobody to tell.
            let _told = self.set_backup(id, true);
        }
    }

    /// Addresses became backups, or are no more: their subflows follow, and the peer hears of it.
    pub(super) fn follow_priorities(&mut self, before: &[LocalEntry]) {
        for n in 0..self.subflows.len() {
            let (id, ip) = (self.subflows[n].id, self.subflows[n].flow.local().ip());
            let was = before.iter().any(|l| l.addr == ip && l.flags.backup);
            let is = self.paths.is_backup(ip);
            if was != is && self.paths.has_local(ip) {
                // After falling back there is nobody to tell.
                let _told = self.set_backup(id, is);
            }
        }
    }

    /// Changes the priority of a subflow and tells the peer.
    pub(crate) fn set_backup(&mut self, id: SubflowId, backup: bool) -> Result<(), NotOpen> {
        let i = self.index(id).filter(|_| self.shared.is_multipath()).ok_or(NotOpen)?;
        let state = &mut self.subflows[i].state;
        state.backup_local = backup;
        // The last word counts.
        state.unsay_priority();
        state.say(Signal::Prio(MpPrio { backup, addr_id: None }));
        Ok(())
    }

    /// When an announcement is to be sent or repeated.
    pub(super) fn announce_at(&self) -> Option<Instant> {
        self.paths.announce_at().filter(|_| self.shared.may_join() && self.ended.is_none())
    }

    pub(super) fn announce_timeout(&mut self, now: Instant) {
        if !self.shared.may_join() || self.ended.is_some() {
            return;
        }
        while let Some(Announcement { id, addr, port }) = self.paths.next_announcement(now) {
            let (Some(remote), Some(i)) = (self.shared.remote, self.best_subflow()) else { return };
            let hmac = add_addr_hmac(self.shared.local.key, remote.key, id, addr, port);
            let add = AddAddr { id, addr, port, hmac: Some(hmac) };
            self.subflows[i].state.say(Signal::AddAddr(add));
        }
    }
}
