//! What an endpoint remembers of other hosts is bounded.

use alloc::collections::BTreeMap;

use manypath_base::Instant;

/// Makes room for `key` where at most `max` are remembered: the one whose time `at` is soonest goes.
pub(super) fn make_room<K: Copy + Ord, V>(
    map: &mut BTreeMap<K, V>,
    key: &K,
    max: usize,
    at: impl Fn(&V) -> Instant,
) {
    if map.len() >= max && !map.contains_key(key) {
        let first_out = map.iter().min_by_key(|(_, value)| at(value)).map(|(key, _)| *key);
        first_out.map(|key| map.remove(&key));
    }
}
