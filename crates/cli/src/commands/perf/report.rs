//! What a test is like: path by path, interval by interval.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use manypath::ConnectionInfo;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::Serialize;

use crate::watch::{Watch, float, mbps, seconds, thousandths};

/// The shortest last interval: over less, rates mean nothing.
const LEAST: Duration = Duration::from_millis(50);

/// One path in one interval, over all connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct PathInterval {
    /// Its name.
    pub(super) path: String,
    /// Subflows on it.
    pub(super) subflows: u32,
    /// Payload sent, retransmissions included.
    pub(super) sent_mbps: f64,
    /// Payload received.
    pub(super) received_mbps: f64,
    /// The largest smoothed round-trip time of its subflows at the end.
    pub(super) srtt_ms: f64,
    /// Congestion windows at the end, in bytes.
    pub(super) cwnd: u64,
    /// Payload sent again on it.
    pub(super) retransmitted: u64,
}

/// One interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Interval {
    /// Seconds since the start.
    pub(super) from: f64,
    /// Seconds since the start.
    pub(super) to: f64,
    /// Paths by name.
    pub(super) paths: Vec<PathInterval>,
}

/// Turns snapshots into intervals.
#[derive(Debug)]
pub(super) struct Reporter {
    begun: Instant,
    last: Duration,
    /// Bytes sent, received and retransmitted of each subflow of each connection.
    before: BTreeMap<(usize, u32), [u64; 3]>,
    /// All intervals so far.
    pub(super) intervals: Vec<Interval>,
}

impl Reporter {
    /// Begins now.
    pub(super) fn new() -> Self {
        let (last, before, intervals) = (Duration::ZERO, BTreeMap::new(), Vec::new());
        Self { begun: Instant::now(), last, before, intervals }
    }

    /// Looks at the connections every `every` and prints a line for each path, until dropped.
    pub(super) async fn keep_reporting(
        &mut self,
        watches: &mut [Watch],
        every: Duration,
        print: fn(&str),
    ) -> ! {
        loop {
            tokio::time::sleep(every).await;
            self.take(watches, print);
        }
    }

    /// Ends with an interval of what is left, unless that is next to nothing.
    pub(super) fn finish(&mut self, watches: &mut [Watch], print: fn(&str)) {
        if self.intervals.is_empty() || self.begun.elapsed() > self.last + LEAST {
            self.take(watches, print);
        }
        for watch in watches {
            watch.look();
        }
    }

    fn take(&mut self, watches: &mut [Watch], print: fn(&str)) {
        let infos: Vec<_> = watches.iter_mut().map(|watch| watch.look().cloned()).collect();
        self.add(self.begun.elapsed(), &infos);
        self.intervals.last().into_iter().for_each(|interval| interval.print(print));
    }

    fn add(&mut self, now: Duration, infos: &[Option<ConnectionInfo>]) {
        let took = now.saturating_sub(self.last).as_secs_f64();
        let mut paths: BTreeMap<String, (PathInterval, [u64; 3])> = BTreeMap::new();
        let subflows = infos.iter().enumerate().filter_map(|(n, info)| Some((n, info.as_ref()?)));
        for (n, subflow) in subflows.flat_map(|(n, i)| i.subflows.iter().map(move |s| (n, s))) {
            let counts = [subflow.bytes_sent, subflow.bytes_received, subflow.bytes_retransmitted];
            let before = self.before.insert((n, subflow.id), counts).unwrap_or_default();
            let (path, sums) = paths.entry(subflow.path.clone()).or_default();
            path.subflows += 1;
            path.cwnd += u64::from(subflow.cwnd);
            path.srtt_ms = path.srtt_ms.max(subflow.srtt_ms);
            for (sum, (now, before)) in sums.iter_mut().zip(counts.iter().zip(before)) {
                *sum += now.saturating_sub(before);
            }
        }
        let paths = paths.into_iter().map(|(name, (path, [sent, received, retransmitted]))| {
            let (sent_mbps, received_mbps) = (mbps(sent, took), mbps(received, took));
            let srtt_ms = thousandths(path.srtt_ms);
            PathInterval { path: name, sent_mbps, received_mbps, retransmitted, srtt_ms, ..path }
        });
        let (from, to) = (seconds(self.last), seconds(now));
        self.intervals.push(Interval { from, to, paths: paths.collect() });
        self.last = now;
    }
}

impl Interval {
    fn print(&self, print: fn(&str)) {
        let Self { from, to, paths } = self;
        for PathInterval {
            path,
            subflows,
            sent_mbps,
            received_mbps,
            srtt_ms,
            cwnd,
            retransmitted,
        } in paths
        {
            print(&format!(
                "{from:7.2}-{to:<7.2} s  {path:<15} {subflows} subflows  sent {sent_mbps:9.1} \
                 Mbit/s  received {received_mbps:9.1} Mbit/s  srtt {srtt_ms:7.2} ms  cwnd {cwnd}  \
                 retransmitted {retransmitted}"
            ));
        }
    }
}

/// Processor time of this process so far, user and system.
pub(super) fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Processor seconds for a gigabyte; 0 where nothing was moved.
pub(super) fn cpu_per_gb(cpu: Duration, bytes: u64) -> f64 {
    if bytes == 0 { 0.0 } else { thousandths(cpu.as_secs_f64() / (float(bytes) / 1e9)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_told_for_a_gigabyte() {
        let per_gb = cpu_per_gb(Duration::from_millis(500), 2_000_000_000);
        assert!((per_gb - 0.25).abs() < f64::EPSILON);
        assert!(cpu_per_gb(Duration::from_secs(1), 0).abs() < f64::EPSILON);
    }
}
