//! Destinations to which several paths of a connection lead, and which of them did best: the next
//! connections begin on it, since nothing else is known of a path before it was used. (What RFC 9040 §6
//! lets connections to a host share, for the paths of one.)
//!
//! **Choice:** what counts is the destination's address alone, and for ten minutes: routes change. A
//! handshake that gets no answer there is repeated where it would have begun without.
//!
//! **Invariant**: at most [`MAX`] are remembered.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use manypath_base::{IfaceId, Instant};

use super::memory::make_room;

/// Destinations that are remembered.
const MAX: usize = 1024;
/// For how long after a connection last found it so.
const TIME: Duration = Duration::from_secs(600);

/// The interface of each, and until when.
#[derive(Debug, Default)]
pub(super) struct FirstPaths(BTreeMap<IpAddr, (IfaceId, Instant)>);

impl FirstPaths {
    pub(super) fn learn(&mut self, now: Instant, dest: IpAddr, iface: IfaceId) {
        make_room(&mut self.0, &dest, MAX, |(_, until)| *until);
        self.0.insert(dest, (iface, now + TIME));
    }

    pub(super) fn forget(&mut self, dest: IpAddr) {
        self.0.remove(&dest);
    }

    pub(super) fn of(&self, now: Instant, dest: IpAddr) -> Option<IfaceId> {
        self.0.get(&dest).filter(|(_, until)| *until > now).map(|(iface, _)| *iface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_word_counts_for_ten_minutes_and_never_too_many_do() {
        let dest = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut memory = FirstPaths::default();
        memory.learn(Instant::ZERO, dest(0), IfaceId(1));
        memory.learn(Instant::ZERO, dest(0), IfaceId(2));
        assert_eq!(memory.of(Instant::from_millis(599_999), dest(0)), Some(IfaceId(2)));
        assert_eq!(memory.of(Instant::from_millis(600_000), dest(0)), None);
        for n in 1..3_000 {
            memory.learn(Instant::from_millis(n.into()), dest(n), IfaceId(1));
        }
        assert_eq!(memory.0.len(), MAX);
        let now = Instant::from_millis(3_000);
        assert_eq!(memory.of(now, dest(2_999)), Some(IfaceId(1)), "the latest stay");
        memory.forget(dest(2_999));
        assert_eq!(memory.of(now, dest(2_999)), None);
    }
}
