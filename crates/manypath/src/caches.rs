//! The caches of this host's processors.
//!
//! **Owns** what follows from their size. **Invariant**: a host that does not tell, or tells nonsense, is
//! one with small caches. **Leaves out** who shares them with whom, and with which other hosts: of a
//! cache only a small part is counted on.

use std::fs;

/// Where Linux describes a processor's caches, one in each `index*`.
const CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";
/// The part of the last cache that what is in flight within this host may fill: others' data, its buffers
/// at both ends, and the tables of all are in it, too.
const PART: u32 = 32;
/// More was not faster (`docs/performance.md`).
const MOST: u32 = 8 << 20;

/// Bytes that may be in flight to a peer beside this host as far as the caches go; 0 where that is not known.
pub(crate) fn near_flight() -> u32 {
    let caches = fs::read_dir(CACHES).into_iter().flatten().flatten();
    let sizes = caches.filter_map(|cache| fs::read_to_string(cache.path().join("size")).ok());
    part_of(sizes.filter_map(|size| bytes(&size)).max().unwrap_or(0))
}

fn part_of(cache: u32) -> u32 {
    (cache / PART).min(MOST)
}

/// Reads a size as Linux writes it.
fn bytes(size: &str) -> Option<u32> {
    size.trim().strip_suffix('K')?.parse::<u32>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_linux_writes_them() {
        assert_eq!(bytes("307200K\n"), Some(300 << 20));
        for size in ["", "K", "12", "-1K", "4194304K", "1 K"] {
            assert_eq!(bytes(size), None, "{size:?}");
        }
    }

    #[test]
    fn a_small_part_of_the_cache_may_be_in_flight() {
        assert_eq!([0, 32 << 20, 128 << 20, 300 << 20].map(part_of), [0, 1 << 20, 4 << 20, MOST]);
    }
}
