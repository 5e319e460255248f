//! Connections to hosts beside this one: they share this host's processors and caches with who
//! receives there.
//!
//! What is in flight to such a host lies in its buffers, and is read from memory in place of a cache
//! once all connections together have more there than a cache holds. So they have a limit together, and
//! where it is reached, who has new data waits for a turn: the more it then sends in one go, the less
//! often its peer is woken.
//!
//! **Owns** the sum of what is in flight, who waits in which order, and which hosts are beside this one
//! though no connection alone was fast enough to tell. **Invariants**: the sum is that of the entries'
//! parts; whoever waits is in the queue once, and leaves it in its order; at most [`MAX`] hosts are
//! remembered. **Leaves out** what waits: see `connection/gate.rs`.

use alloc::collections::btree_map::Entry::{Occupied, Vacant};
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use core::time::Duration;

use manypath_base::{IfaceId, Instant};
use manypath_tcp::BEYOND_LINKS;

use super::memory::make_room;
use super::{ConnId, Entry};

/// Bytes that others have in flight beyond which nobody begins a turn: what the next finds on its way is
/// read by then, or lies in the second-level cache that it was written to.
const LIMIT: u64 = 1 << 20;
/// Packets of a turn: what fills the window of one connection.
const TURN: u32 = 32;
/// And where so many wait that what they all sent and nobody has read yet would fill the memory
/// of whoever receives.
const CROWD: (usize, u32) = (128, 16);
/// Hosts that are remembered.
const MAX: usize = 1024;
/// For how long what moves to and from a host is counted before it is judged.
const ROUND: Duration = Duration::from_millis(50);
/// How long is remembered that a host is beside this one.
const TIME: Duration = Duration::from_secs(600);

/// What all connections to hosts beside this one share.
#[derive(Debug, Default)]
pub(super) struct Beside {
    in_flight: u64,
    waiting: VecDeque<ConnId>,
    hosts: BTreeMap<(IfaceId, IpAddr), Host>,
}

/// A host with a short round trip, over one of the interfaces.
#[derive(Clone, Copy, Debug)]
struct Host {
    since: Instant,
    moved: u64,
}

impl Host {
    /// Whether more moved in a round than a link carries.
    fn is_beside(&self) -> bool {
        self.moved > BEYOND_LINKS.bytes_in(ROUND)
    }
}

/// A connection's part.
#[derive(Debug, Default)]
pub(super) struct Part {
    in_flight: u32,
    /// It is in the queue.
    waits: bool,
    /// Bytes of it that were counted.
    counted: u64,
}

impl Part {
    /// Whether it has something in flight to a host beside this one.
    pub(super) fn is_beside(&self) -> bool {
        self.in_flight > 0
    }

    /// It waits no longer.
    pub(super) fn begin(&mut self) {
        self.waits = false;
    }
}

impl Beside {
    /// Whether a connection that does not wait may begin a turn. What it has in flight itself its windows
    /// limit.
    pub(super) fn is_open_to(&self, part: &Part) -> bool {
        self.waiting.is_empty() && self.in_flight - u64::from(part.in_flight) < LIMIT
    }

    /// How many packets a turn has.
    pub(super) fn turn(&self) -> u32 {
        let (many, short) = CROWD;
        if self.waiting.len() < many { TURN } else { short }
    }

    /// The next of those that wait, where there is room for a turn.
    pub(super) fn next(&mut self) -> Option<ConnId> {
        if self.in_flight < LIMIT { self.waiting.pop_front() } else { None }
    }

    /// A connection had its turn, or something was done to it: its part is counted anew.
    pub(super) fn count(&mut self, entry: &mut Entry) {
        let now = entry.conn.in_flight_beside();
        let before = core::mem::replace(&mut entry.beside.in_flight, now);
        self.in_flight = self.in_flight - u64::from(before) + u64::from(now);
    }

    /// A connection is forgotten.
    pub(super) fn forget(&mut self, entry: &Entry) {
        self.in_flight -= u64::from(entry.beside.in_flight);
    }

    /// A connection whose data missed its turn waits for the next.
    pub(super) fn wait(&mut self, id: ConnId, part: &mut Part) {
        if !core::mem::replace(&mut part.waits, true) {
            self.waiting.push_back(id);
        }
    }

    /// Counts what moved on a connection that cannot tell by itself whether its peer is beside
    /// this host, in either direction, and tells it what is known.
    pub(super) fn learn(&mut self, now: Instant, entry: &mut Entry) {
        let moved = entry.conn.moved();
        let bytes = moved.saturating_sub(core::mem::replace(&mut entry.beside.counted, moved));
        if bytes == 0 {
            return;
        }
        for (subflow, ends, iface) in &entry.subflows {
            let Some(near) = entry.conn.may_be_beside(*subflow) else { continue };
            let host = (*iface, ends.tuple().remote.ip());
            // Of several subflows it is not known which moved it.
            if near && entry.subflows.len() == 1 {
                self.note_moved(now, host, bytes);
            }
            if self.has(now, host) {
                entry.conn.note_beside(*subflow);
            }
        }
    }

    /// Whether a host is known to be beside this one.
    fn has(&self, now: Instant, host: (IfaceId, IpAddr)) -> bool {
        let known = self.hosts.get(&host);
        known.is_some_and(|host| host.is_beside() && now.since(host.since) <= TIME)
    }

    /// So many more bytes went to a host, or came from it.
    fn note_moved(&mut self, now: Instant, host: (IfaceId, IpAddr), bytes: u64) {
        make_room(&mut self.hosts, &host, MAX, |host| host.since);
        // What opens a round took its time before.
        let new = Host { since: now, moved: 0 };
        let known = match self.hosts.entry(host) {
            Occupied(entry) => entry.into_mut(),
            Vacant(entry) => {
                entry.insert(new);
                return;
            }
        };
        let patience = if known.is_beside() { TIME } else { ROUND };
        if now.since(known.since) > patience {
            *known = new;
        } else {
            known.moved = known.moved.saturating_add(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u32) -> (IfaceId, IpAddr) {
        (IfaceId(0), IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn a_host_is_beside_where_more_moves_than_a_link_carries() {
        let at = Instant::from_millis;
        let mut beside = Beside::default();
        let mut is_known = |millis, host, bytes| {
            beside.note_moved(at(millis), host, bytes);
            beside.has(at(millis), host)
        };
        // 125 MB a second is what 1 Gbit/s carries.
        assert!(!(0..100).any(|n| is_known(n * 10, host(1), 1_250_000)), "a link");
        assert!(!(1..=6).any(|n| is_known(2_000 + n, host(1), 1_250_000)), "not yet");
        assert!(is_known(2_007, host(1), 1_250_000));
        assert!(!is_known(2_008, host(2), 1_250_000), "each for itself");
        assert!(is_known(60_000, host(1), 1), "that is remembered");
        assert!(!is_known(700_000, host(1), 1), "but not for ever");
    }

    #[test]
    fn never_too_many_hosts_are_remembered() {
        let mut beside = Beside::default();
        for n in 0..3_000 {
            beside.note_moved(Instant::from_millis(n.into()), host(n), 1);
        }
        assert_eq!(beside.hosts.len(), MAX);
    }
}
