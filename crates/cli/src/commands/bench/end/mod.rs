//! One end of a measurement: a process of its own, so that its processor time and its memory are its
//! alone.
//!
//! **Owns** what parent and child say to each other: the [`Spec`] as an argument, [`Said`] a line
//! each on the child's standard output, and on its standard input `sample` or, as its end, nothing
//! more. **Invariant**: an end goes when its parent goes. **Leaves out** what happens on
//! connections: `ours`, `linux`.

mod counters;
mod linux;
mod ours;
mod tally;

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
pub(super) use counters::Counters;
use tally::Tally;

/// The longest that an end takes to be ready, with few connections.
const READY: Duration = Duration::from_secs(60);
/// And how much longer with each further one.
const READY_EACH: Duration = Duration::from_millis(3);
/// Bytes written or read at once, where connections are few.
const BLOCK: usize = 256 << 10;

/// Whose code an end runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stack {
    /// manypath.
    Manypath,
    /// The kernel's MPTCP.
    Linux,
}

/// What an end does on each of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Job {
    /// Sends without end.
    Send,
    /// Reads to the end; counts bytes.
    Receive,
    /// Sends this many known bytes, hashes them, and closes.
    SendHashed(u64),
    /// Reads to the end and hashes.
    ReceiveHashed,
    /// Sends back what comes.
    Answer,
    /// Sends a byte, waits for the answer, and so on; counts answers.
    Ask,
    /// Opens a connection, asks once, closes, and so on; counts connections. Only of the end that
    /// connects.
    Knock,
    /// Sends a byte, or waits for one, and then does nothing.
    Hold,
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Side {
    /// It waits for connections.
    Listen,
    /// It connects.
    Connect,
}

/// The device of an end that is manypath.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TunSpec {
    /// Name of the TUN interface.
    pub(super) name: String,
    /// The kernel's address on it, in whose network those of the stack are.
    pub(super) kernel: (IpAddr, u8),
    /// The stack's addresses: a path each.
    pub(super) paths: Vec<IpAddr>,
    /// Super-segments, or packets of the MTU's size.
    pub(super) offload: bool,
    /// Interfaces that have packet sockets instead, one for each path.
    pub(super) sockets: Vec<String>,
}

/// What an end is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// Whose code.
    pub(super) stack: Stack,
    /// Which end.
    pub(super) side: Side,
    /// What it does.
    pub(super) job: Job,
    /// Where it listens, or where to it connects.
    pub(super) addr: SocketAddr,
    /// Ports from that one on, over which connections are spread: one address has 64,512 to
    /// connect from, to each.
    pub(super) ports: u16,
    /// Connections at once.
    pub(super) connections: usize,
    /// Subflows of each.
    pub(super) subflows: usize,
    /// Of manypath.
    pub(super) shards: u32,
    /// Congestion control by its name; if not said, CUBIC of the kernel and manypath's default.
    pub(super) controller: Option<String>,
    /// Of manypath.
    pub(super) tun: Option<TunSpec>,
}

impl Spec {
    fn addrs(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        let addr = self.addr;
        (0..self.ports).map(move |n| SocketAddr::new(addr.ip(), addr.port() + n))
    }

    /// The longest that the end takes to be ready.
    pub(super) fn patience(&self) -> Duration {
        READY + READY_EACH * u32::try_from(self.connections).unwrap_or(u32::MAX)
    }

    /// Bytes read or written at once: what many connections touch shall not grow with them.
    fn block(&self) -> usize {
        if self.connections > 16 { BLOCK / 4 } else { BLOCK }
    }
}

/// What an end says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// It listens, or every connection has its subflows and data flows.
    Ready,
    /// What was counted so far.
    Sample(Sample),
    /// One hashed direction is complete: bytes, and SHA-256 of them.
    Hashed(u64, String),
    /// It cannot go on.
    Failed(String),
}

/// What was counted at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// When: nanoseconds of the system's monotonic clock.
    pub(super) at: u64,
    /// Processor time of this process so far, user and system, in microseconds.
    pub(super) cpu: u64,
    /// Cycles and instructions of this process so far; `None` without counters.
    pub(super) work: Option<[u64; 2]>,
    /// Packets of its host so far.
    pub(super) packets: u64,
    /// What the job counts, by connection.
    pub(super) counts: Vec<u64>,
    /// Bytes resident now, and at most so far.
    pub(super) resident: [u64; 2],
    /// What went wrong on a connection.
    pub(super) error: Option<String>,
}

/// Runs an end until its standard input ends.
///
/// # Errors
/// When it cannot be set up, which the parent was told.
pub(super) fn run(text: &str) -> Result<(), Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::usage("--end", error);
    let spec: Spec = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    more_files();
    // Before there are threads, so that they are counted.
    let mut counters = Counters::start().ok();
    let tally = Arc::new(Tally::new(spec.connections));
    let running = match spec.stack {
        Stack::Manypath => ours::start(&spec, &tally),
        Stack::Linux => linux::start(&spec, &tally),
    };
    running.inspect_err(|failure| say(&Said::Failed(failure.to_string())))?;
    say(&Said::Ready);
    for line in io::stdin().lines().map_while(Result::ok) {
        if line == "sample" {
            say(&Said::Sample(sample(&spec, &mut counters, &tally)));
        }
    }
    if spec.stack == Stack::Linux {
        linux::leave(&spec);
    }
    // Not by returning: what still runs on connections is not waited for.
    std::process::exit(0);
}

/// Whoever does not read is gone, and so is this process soon.
fn say(said: &Said) {
    let line = serde_json::to_string(said).expect("plain values have a JSON form");
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

fn sample(spec: &Spec, counters: &mut Option<Counters>, tally: &Tally) -> Sample {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let micros = usage.map_or(0, |usage| {
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
    });
    Sample {
        at: manypath_lab::now().as_nanos(),
        cpu: u64::try_from(micros).unwrap_or(0),
        work: counters.as_mut().and_then(Counters::read),
        packets: counters::packets(spec.tun.as_ref().map(|tun| tun.name.as_str())),
        counts: tally.counts(),
        resident: resident(),
        error: tally.error(),
    }
}

/// Bytes resident now, and at most so far, as they were at one moment.
fn resident() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["VmRSS:", "VmHWM:"].map(|name| bytes_of(&status, name))
}

/// A line of `/proc/self/status`, in bytes.
fn bytes_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// As many descriptors as may be: a socket of the kernel is one.
fn more_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        setrlimit(Resource::RLIMIT_NOFILE, most, most).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_knows_its_memory() {
        let [now, most] = resident();
        assert!(now > 1 << 20 && now <= most, "{now} {most}");
        assert_eq!(bytes_of("VmRSS: 7 kB", "NoSuchLine:"), 0);
    }

    #[test]
    fn connections_are_spread_over_ports() {
        let addr = "10.0.0.1:5201".parse().expect("an address");
        let spec = Spec {
            stack: Stack::Linux,
            side: Side::Connect,
            job: Job::Hold,
            addr,
            ports: 2,
            connections: 3,
            subflows: 1,
            shards: 1,
            controller: None,
            tun: None,
        };
        let ports: Vec<_> = spec.addrs().cycle().take(3).map(|addr| addr.port()).collect();
        assert_eq!(ports, [5201, 5202, 5201]);
    }
}
