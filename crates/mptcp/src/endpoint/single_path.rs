//! Destinations behind which only one path of a connection does well: a middlebox there resets or
//! swallows what comes out of order. The next connections to them keep to one path for a while.
//!
//! **Invariant**: at most [`MAX`] are remembered.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use manypath_base::Instant;

/// Destinations that are remembered.
const MAX: usize = 1024;
/// For how long: routes and middleboxes change.
const TIME: Duration = Duration::from_secs(3_600);

/// Until when each destination gets one path.
#[derive(Debug, Default)]
pub(super) struct SinglePaths(BTreeMap<IpAddr, Instant>);

impl SinglePaths {
    pub(super) fn learn(&mut self, now: Instant, dest: IpAddr) {
        if self.0.len() >= MAX && !self.0.contains_key(&dest) {
            let first_out = self.0.iter().min_by_key(|(_, until)| **until).map(|(dest, _)| *dest);
            first_out.map(|dest| self.0.remove(&dest));
        }
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
