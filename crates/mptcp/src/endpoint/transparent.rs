//! Listeners that stand for other hosts: connections to addresses that are on no interface.
//!
//! **Invariant**: such an address belongs to its connection alone: it is the initial one, with
//! identifier 0, and nothing is opened from it or announced. **Leaves out** bringing the packets
//! here: that is the routes'.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use manypath_base::{AddrId, IfaceId};

use super::{ConnId, Endpoint};
use crate::AddressFlags;
use crate::connection::LocalEntry;

/// Subflows come to it, and that is all.
const PASSIVE: AddressFlags =
    AddressFlags { subflow: false, signal: false, backup: false, fullmesh: false };

impl Endpoint {
    /// Whether a transparent listener takes what comes to an address.
    pub(super) fn stands_for(&self, local: SocketAddr) -> bool {
        self.listeners.values().any(|l| l.options.transparent && l.takes(local))
    }

    /// An address that is on no interface, as a connection has it that came to it.
    pub(super) fn foreign(&self, addr: IpAddr, iface: IfaceId) -> Option<LocalEntry> {
        let mtu = self.interfaces.get(&iface)?.mtu;
        let entry = LocalEntry { id: AddrId(0), addr, iface, mtu, flags: PASSIVE, port: None };
        Some(entry).filter(|_| self.iface_of(addr).is_none())
    }

    /// The addresses of a connection's side: the host's, and the one that it came to.
    pub(super) fn locals_of(&self, id: ConnId) -> Vec<LocalEntry> {
        let Some(entry) = self.connections.get(&id) else { return Vec::new() };
        let mut all = self.local_entries(entry.conn.local_addr().ip());
        let foreign = entry.foreign.and_then(|f| self.foreign(f.addr, f.iface));
        all.extend(foreign);
        all
    }
}
