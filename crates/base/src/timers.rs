//! Deadlines of many things, soonest first.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::Instant;

/// One deadline for each key. Setting and expiring cost the logarithm of the number of keys.
#[derive(Clone, Debug)]
pub struct TimerQueue<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> TimerQueue<K> {
    /// Sets, moves or (with `None`) clears the deadline of `key`.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        if self.by_key.get(&key).copied() == at {
            return;
        }
        let old = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        // In this order a queue of one never becomes empty, and keeps its memory.
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
    }

    /// The soonest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes out one key whose deadline has come, soonest first.
    pub fn pop_expired(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first().filter(|&&(at, _)| at <= now)?;
        self.by_time.remove(&(at, key));
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_list_of_deadlines(
            sets in prop::collection::vec((0u8..8, prop::option::of(0u64..50)), 0..60),
            now in 0u64..50,
        ) {
            let mut queue = TimerQueue::default();
            let mut model = BTreeMap::new();
            for (key, at) in sets {
                let at = at.map(Instant::from_nanos);
                queue.set(key, at);
                match at {
                    Some(at) => model.insert(key, at),
                    None => model.remove(&key),
                };
            }
            prop_assert_eq!(queue.next(), model.values().min().copied());
            let now = Instant::from_nanos(now);
            let mut expected: alloc::vec::Vec<_> =
                model.iter().filter(|(_, at)| **at <= now).map(|(k, at)| (*at, *k)).collect();
            expected.sort_unstable();
            let popped: alloc::vec::Vec<_> =
                core::iter::from_fn(|| queue.pop_expired(now)).collect();
            prop_assert_eq!(popped, expected.into_iter().map(|(_, k)| k).collect::<alloc::vec::Vec<_>>());
        }
    }
}
