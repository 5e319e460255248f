//! Destinations behind which only one path of a connection does well: a middlebox there resets or
//! swallows what comes out of order. The next connections to them keep to one path for a while.
//!
//! **Invariant**: at most [`MAX`] are remembered.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use manypath_base::Instant;

use super::memory::make_room;

/// Destinations that are remembered.
const MAX: usize = 1024;
/// For how long: routes and middleboxes change.
const TIME: Duration = Duration::from_secs(3_600);

/// Until when each destination gets one path.
#[derive(Debug, Default)]
pub(super) struct SinglePaths(BTreeMap<IpAddr, Instant>);

impl SinglePaths {
    pub(super) fn learn(&mut self, now: Instant, dest: IpAddr) {
        make_room(&mut self.0, &dest, MAX, |until| *until);
        self.0.insert(dest, now + TIME);
    }

    pub(super) fn has(&self, now: Instant, dest: IpAddr) -> bool {
        self.0.get(&dest).is_some_and(|&until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_remembered_for_an_hour_and_never_too_many_are() {
        let dest = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut memory = SinglePaths::default();
        memory.learn(Instant::ZERO, dest(0));
        assert!(memory.has(Instant::from_millis(3_599_999), dest(0)));
        assert!(!memory.has(Instant::from_millis(3_600_000), dest(0)));
        for n in 1..3_000 {
            memory.learn(Instant::from_millis(n.into()), dest(n));
        }
        assert_eq!(memory.0.len(), MAX);
        assert!(memory.has(Instant::from_millis(3_000), dest(2_999)), "the latest stay");
    }
}
