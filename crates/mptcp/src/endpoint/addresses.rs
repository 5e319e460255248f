//! Interfaces, addresses and ports of this host.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use manypath_base::{AddrId, IfaceId, Instant};

use super::demux::FourTuple;
use super::{ConnId, Endpoint};
use crate::connection::LocalEntry;
use crate::{ConnectError, Interface};

/// Ephemeral ports (RFC 6335 §6).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

impl Endpoint {
    /// Adds an interface with its addresses, or replaces it; running connections may open
    /// subflows from them.
    pub fn add_interface(&mut self, now: Instant, interface: Interface) {
        self.interfaces.insert(interface.id, interface);
        self.addresses_changed(now);
    }

    /// Takes an interface away with its addresses.
    pub fn remove_interface(&mut self, now: Instant, iface: IfaceId) {
        if self.interfaces.remove(&iface).is_some() {
            self.addresses_changed(now);
        }
    }

    fn addresses_changed(&mut self, now: Instant) {
        for id in self.connections.keys().copied().collect::<Vec<ConnId>>() {
            let initial = self.connections[&id].conn.local_addr().ip();
            let locals = self.local_entries(initial);
            if let Some(entry) = self.connections.get_mut(&id) {
                entry.conn.set_addresses(now, locals);
                self.settle(now, id);
            }
        }
    }

    /// Every address with its identifier: that of the initial subflow is 0 (RFC 8684 §3.2), the
    /// others count from 1.
    pub(super) fn local_entries(&self, initial: IpAddr) -> Vec<LocalEntry> {
        let all = self.interfaces.values().flat_map(|i| i.addresses.iter().map(move |a| (i, a)));
        let entry = |(n, (i, a)): (usize, (&Interface, &crate::LocalAddress))| LocalEntry {
            id: if a.addr == initial {
                AddrId(0)
            } else {
                AddrId(u8::try_from(n + 1).unwrap_or(u8::MAX))
            },
            addr: a.addr,
            iface: i.id,
            mtu: i.mtu,
            flags: a.flags,
        };
        all.enumerate().map(entry).collect()
    }

    pub(super) fn iface_of(&self, addr: IpAddr) -> Option<IfaceId> {
        let found = self.interfaces.values().find(|i| i.addresses.iter().any(|a| a.addr == addr));
        found.map(|i| i.id)
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

    /// A free ephemeral port towards `remote`, from a random place on (RFC 6056 §3.3.1).
    pub(super) fn free_port(&mut self, local: IpAddr, remote: SocketAddr) -> Option<u16> {
        let first = u64::from(*EPHEMERAL.start());
        let count = u64::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        let start = self.rng.below(count);
        let candidates = (0..count).filter_map(|n| u16::try_from(first + (start + n) % count).ok());
        candidates.into_iter().find(|&port| {
            !self.tuples.contains_key(&FourTuple { local: SocketAddr::new(local, port), remote })
        })
    }

    pub(super) fn free_listening_port(&mut self) -> Option<u16> {
        let used = |port: u16| self.listeners.values().any(|l| l.addr.port() == port);
        EPHEMERAL.into_iter().find(|&port| !used(port))
    }
}
