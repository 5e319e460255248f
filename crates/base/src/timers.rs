//! Deadlines of many things, soonest first.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::Instant;

/// One deadline for each key. Setting and expiring cost the logarithm of the number of keys; a queue
/// of one costs nearly nothing.
///
/// **Invariant**: what is in `later` comes after `first`.
#[derive(Clone, Debug)]
pub struct TimerQueue<K> {
    first: Option<(Instant, K)>,
    later: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        Self { first: None, later: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> TimerQueue<K> {
    /// Sets, moves or (with `None`) clears the deadline of `key`.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        let known = self.by_key.get_mut(&key);
        if known.as_deref().copied() == at {
            return;
        }
        let old = match (known, at) {
            (Some(known), Some(at)) => Some(core::mem::replace(known, at)),
            (None, Some(at)) => self.by_key.insert(key, at),
            (_, None) => self.by_key.remove(&key),
        };
        // In this order what is filled never becomes empty between, and keeps its memory.
        let was_first = old.is_some_and(|old| self.first == Some((old, key)));
        match at.map(|at| (at, key)) {
            Some(new) if was_first && self.later.first().is_none_or(|next| new < *next) => {
                self.first = Some(new);
                return;
            }
            Some(new) if !was_first && self.first.is_none_or(|first| new < first) => {
                self.later.extend(self.first.replace(new));
            }
            Some(new) => drop(self.later.insert(new)),
            None => {}
        }
        if was_first {
            self.first = self.later.pop_first();
        } else if let Some(old) = old {
            self.later.remove(&(old, key));
        }
    }

    /// The soonest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.first.map(|(at, _)| at)
    }

    /// Takes out one key whose deadline has come, soonest first.
    pub fn pop_expired(&mut self, now: Instant) -> Option<K> {
        let (_, key) = self.first.filter(|&(at, _)| at <= now)?;
        self.first = self.later.pop_first();
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
