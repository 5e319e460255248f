//! What a process takes of the processors, by their own counters, and the packets that its host
//! saw.
//!
//! **Invariant**: threads that begin later count too, and what the kernel does for them. **Leaves
//! out** softirqs, which are no process's.

use std::io;

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

/// Counters of this process.
#[derive(Debug)]
pub(crate) struct Counters {
    cycles: Counter,
    instructions: Counter,
}

impl Counters {
    /// Counts from now on.
    ///
    /// # Errors
    /// Where the machine has no counters, or gives none away.
    pub(crate) fn start() -> io::Result<Self> {
        let start = |event: Hardware| {
            let mut counter = Builder::new(event).inherit(true).include_kernel().build()?;
            counter.enable()?;
            Ok::<_, io::Error>(counter)
        };
        let cycles = start(Hardware::CPU_CYCLES)?;
        Ok(Self { cycles, instructions: start(Hardware::INSTRUCTIONS)? })
    }

    /// Cycles and instructions so far.
    pub(super) fn read(&mut self) -> Option<[u64; 2]> {
        Some([self.cycles.read().ok()?, self.instructions.read().ok()?])
    }
}

/// Packets that the interfaces of this host sent and received, a super-segment as one; of the
/// interface `name` alone, where there is one.
pub(super) fn packets(name: Option<&str>) -> u64 {
    packets_of(&std::fs::read_to_string("/proc/net/dev").unwrap_or_default(), name)
}

fn packets_of(text: &str, wanted: Option<&str>) -> u64 {
    let rows = text.lines().filter_map(|line| line.split_once(':'));
    let counted = rows.filter(|(name, _)| match wanted {
        Some(wanted) => name.trim() == wanted,
        None => name.trim() != "lo",
    });
    let number = |row: &str, column| {
        row.split_whitespace().nth(column).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    counted.map(|(_, row)| number(row, 1) + number(row, 9)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_both_directions_count() {
        let text = "Inter-| Receive\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n\
                    mpclient: 700 7 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n\
                    veth0: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n";
        assert_eq!(packets_of(text, None), 15);
        assert_eq!(packets_of(text, Some("mpclient")), 12);
        assert_eq!(packets_of("", None), 0);
    }

    #[test]
    fn counters_count_or_are_not_there() {
        let Ok(mut counters) = Counters::start() else { return };
        let before = counters.read().expect("they run");
        let after = counters.read().expect("they run");
        assert!(before < after, "{before:?} {after:?}");
    }
}
