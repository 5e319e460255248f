//! Processor time of the whole machine, from `/proc/stat`.
//!
//! What the network costs outside the processes (softirqs) is nobody's in the kernel's books, and on
//! which end's account it belongs cannot be told. So it is counted for the machine, for manypath and
//! for the kernel in the same way. **Leaves out** other programs on the machine: there should be
//! none.

use std::time::Duration;

/// The kernel counts in hundredths of a second (`USER_HZ`, which is 100 on every architecture that
/// Linux has TUN on).
const TICK: Duration = Duration::from_millis(10);

/// Time that all processors were busy since the start: user, nice, system, irq, softirq. Not stolen
/// time. `None` where `/proc/stat` is not there or not understood.
pub(super) fn busy() -> Option<Duration> {
    busy_of(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Memory that the kernel has allotted to itself, in bytes (`Slab` of `/proc/meminfo`).
pub(super) fn slab() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn busy_of(stat: &str) -> Option<Duration> {
    let fields: Vec<u32> = stat
        .strip_prefix("cpu ")?
        .lines()
        .next()?
        .split_whitespace()
        .flat_map(str::parse)
        .collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = fields[..] else { return None };
    Some(TICK * (user + nice + system + irq + softirq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_and_idle_time_is_not_busy() {
        let stat = "cpu  100 10 200 5000 70 3 7 900 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_of(stat), Some(Duration::from_millis(3_200)));
        assert_eq!(busy_of("cpu0 1 2"), None);
        assert!(busy().is_some() && slab().is_some_and(|bytes| bytes > 0));
    }
}
