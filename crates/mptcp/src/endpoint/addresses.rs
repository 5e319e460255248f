//! Interfaces and addresses of this host.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use manypath_base::{AddrId, IfaceId, Instant};

use super::Endpoint;
use crate::connection::LocalEntry;
use crate::{ConnectError, Interface};

impl Endpoint {
    /// Adds an interface with its addresses, or replaces it; running connections may open
    /// subflows from them.
    pub fn add_interface(&mut self, now: Instant, interface: Interface) {
        self.interfaces.insert(interface.id, interface);
        self.name_addresses();
        self.addresses_changed(now);
    }

    /// Takes an interface away with its addresses.
    pub fn remove_interface(&mut self, now: Instant, iface: IfaceId) {
        if self.interfaces.remove(&iface).is_some() {
            self.addresses_changed(now);
        }
    }

    /// Gives every address an identifier that it keeps when interfaces come and go: the peer knows
    /// it by that (RFC 8684 §3.4.1). Those of absent addresses are given away only when all are.
    fn name_addresses(&mut self) {
        let Self { interfaces, addr_ids, .. } = self;
        let present = || interfaces.values().flat_map(|i| i.addresses.iter().map(|a| a.addr));
        for addr in present() {
            if addr_ids.contains_key(&addr) {
                continue;
            }
            let free = |ids: &BTreeMap<IpAddr, AddrId>| {
                (1..=u8::MAX).map(AddrId).find(|id| !ids.values().any(|used| used == id))
            };
            let id = free(addr_ids).or_else(|| {
                addr_ids.retain(|addr, _| present().any(|there| there == *addr));
                free(addr_ids)
            });
            addr_ids.extend(id.map(|id| (addr, id)));
        }
    }

    fn addresses_changed(&mut self, now: Instant) {
        for id in self.connections_where(|_| true) {
            let locals = self.locals_of(id);
            let locals = self.share(locals);
            if let Some(entry) = self.connections.get_mut(&id) {
                entry.conn.set_addresses(now, locals);
                self.settle(now, id);
            }
        }
    }

    /// Every address with its identifier: that of the initial subflow is 0 (RFC 8684 §3.2). One
    /// for which there is no identifier left is not used.
    pub(super) fn local_entries(&self, initial: IpAddr) -> Vec<LocalEntry> {
        let all = self.interfaces.values().flat_map(|i| i.addresses.iter().map(move |a| (i, a)));
        let id = |addr: &IpAddr| match self.addr_ids.get(addr) {
            _ if *addr == initial => Some(AddrId(0)),
            known => known.copied(),
        };
        let entry = |(i, a): (&Interface, &crate::LocalAddress)| {
            let id = id(&a.addr)?;
            Some(LocalEntry {
                id,
                addr: a.addr,
                iface: i.id,
                mtu: i.mtu,
                flags: a.flags,
                port: a.port,
            })
        };
        all.filter_map(entry).collect()
    }

    /// One list for all connections that have the same.
    pub(super) fn share(&mut self, locals: Vec<LocalEntry>) -> Arc<[LocalEntry]> {
        if *self.locals != *locals {
            self.locals = locals.into();
        }
        Arc::clone(&self.locals)
    }

    pub(super) fn iface_of(&self, addr: IpAddr) -> Option<IfaceId> {
        let found = self.interfaces.values().find(|i| i.addresses.iter().any(|a| a.addr == addr));
        found.map(|i| i.id)
    }

    /// The same address on another interface, if that has it.
    pub(super) fn on_iface(&self, local: &LocalEntry, iface: IfaceId) -> Option<LocalEntry> {
        let there = self.interfaces.get(&iface)?;
        let has = there.addresses.iter().any(|a| a.addr == local.addr);
        has.then_some(LocalEntry { iface, mtu: there.mtu, ..*local })
    }

    /// The source address for a connection: the one asked for, or the first regular one of the
    /// right family.
    pub(super) fn source_for(
        &self,
        remote: SocketAddr,
        wanted: Option<IpAddr>,
    ) -> Result<LocalEntry, ConnectError> {
        let entries = self.local_entries(remote.ip());
        if let Some(wanted) = wanted {
            return entries
                .into_iter()
                .find(|l| l.addr == wanted)
                .ok_or(ConnectError::NotLocal(wanted));
        }
        let same_family = |l: &&LocalEntry| l.addr.is_ipv4() == remote.is_ipv4();
        let regular = entries.iter().filter(same_family).find(|l| !l.flags.backup);
        regular
            .or_else(|| entries.iter().find(same_family))
            .copied()
            .ok_or(ConnectError::NoAddress(remote))
    }
}
