//! What a connection costs that does nothing.
//!
//! **Invariant**: memory is a difference between few and many connections that are held, so that
//! what a process costs by itself is not counted. manypath is at both ends: the kernel keeps four
//! tokens at most in each place of a table that has one for a megabyte of memory, and lets
//! connections fall back to TCP where it finds no place for theirs. **Leaves out** what a connection
//! costs while data flows.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

use manypath_base::len64;
use manypath_lab::Packets;
use serde::Serialize;

use super::child::{Child, sleep};
use super::compare::Way;
use super::end::{Job, Sample, Side, Spec, Stack};
use super::hosts::{Hosts, Wanted};
use super::machine;
use crate::failure::Failure;
use crate::watch::float;

/// The few connections with which many are compared.
const FEW: usize = 50;
/// Connections to one port: manypath has 16,384 ports of its own to connect from (RFC 6335 §6), and
/// finds a free one at once as long as half of them are.
const PER_PORT: usize = 8_000;
/// Connections of the kernel, which has the tokens of both ends in its table.
const MOST_OF_KERNEL: usize = 10_000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Idle {
    subflows: usize,
    /// Connections that were held at once.
    held: usize,
    /// Resident memory of the process that connects, bytes for each connection.
    manypath_bytes_each: Option<f64>,
    /// Of the process that listens.
    manypath_listening_bytes_each: Option<f64>,
    /// Connections of the kernel that were held for its figure.
    linux_held: usize,
    /// Slab memory of the kernel for one end of a connection; the whole machine's, so that other
    /// programs disturb it.
    linux_slab_bytes_each: Option<f64>,
    /// Why figures are missing.
    error: Option<String>,
}

/// Holds so many connections of so many subflows.
pub(super) fn measure(way: &Way, connections: usize, subflows: usize) -> Idle {
    let mut idle = Idle {
        subflows,
        held: 0,
        manypath_bytes_each: None,
        manypath_listening_bytes_each: None,
        linux_held: 0,
        linux_slab_bytes_each: None,
        error: None,
    };
    let result = weigh(way, connections, &mut idle);
    idle.error = result.err().map(|failure| failure.to_string());
    idle
}

fn weigh(way: &Way, connections: usize, idle: &mut Idle) -> Result<(), Failure> {
    let more = |connections: usize| float(len64(connections.saturating_sub(FEW)));
    let ours = [Stack::Manypath; 2];
    let few = hold(way, ours, FEW, idle.subflows)?.resident;
    let many = hold(way, ours, connections, idle.subflows)?;
    idle.held = many.held;
    let each =
        |end: usize| Some(float(many.resident[end].saturating_sub(few[end])) / more(connections));
    (idle.manypath_bytes_each, idle.manypath_listening_bytes_each) = (each(0), each(1));
    if way.against_linux {
        let (linux, connections) = ([Stack::Linux; 2], connections.min(MOST_OF_KERNEL));
        let few = hold(way, linux, FEW, idle.subflows)?.slab;
        let many = hold(way, linux, connections, idle.subflows)?;
        idle.linux_held = many.held;
        let grown = few.zip(many.slab).and_then(|(few, many)| many.checked_sub(few));
        // Both ends are in this kernel.
        idle.linux_slab_bytes_each = grown.map(|bytes| float(bytes) / more(connections) / 2.0);
    }
    Ok(())
}

/// What holding connections took.
struct Held {
    held: usize,
    /// Bytes of the connecting and of the listening process.
    resident: [u64; 2],
    /// Bytes of the kernel, since before there were hosts.
    slab: Option<u64>,
}

fn hold(
    way: &Way,
    stacks: [Stack; 2],
    connections: usize,
    subflows: usize,
) -> Result<Held, Failure> {
    let packets = Packets::SuperSegments;
    let wanted = Wanted { packets, subflows, network: None };
    let hosts = Hosts::build(way.link(packets), stacks, wanted)?;
    let before = machine::slab();
    let (addr, job) = (hosts.server_addr(stacks[1]), Job::Hold);
    let end = |side: Side, stack: Stack| {
        let child = |Part { addr, ports, connections }| {
            let tun = (stack == Stack::Manypath).then(|| hosts.tun(side));
            let spec = Spec {
                stack,
                side,
                job,
                addr,
                ports,
                connections,
                subflows,
                shards: way.shards.unwrap_or(1),
                controller: None,
                tun,
            };
            Child::start(hosts.host(side), &spec)
        };
        parts(stack, addr, connections).into_iter().map(child).collect::<Result<Vec<_>, _>>()
    };
    let mut servers = end(Side::Listen, stacks[1])?;
    let mut clients = end(Side::Connect, stacks[0])?;
    sleep(way.window.length)?;
    let [samples, others] = [sample(&mut clients)?, sample(&mut servers)?];
    let after = machine::slab();
    let counts = samples.iter().flat_map(|sample| &sample.counts);
    Ok(Held {
        held: counts.filter(|&&count| count > 0).count(),
        resident: [&samples, &others].map(|all| all.iter().map(|s| s.resident[0]).sum()),
        slab: before.zip(after).map(|(before, after)| after.saturating_sub(before)),
    })
}

fn sample(ends: &mut [Child]) -> Result<Vec<Sample>, Failure> {
    ends.iter_mut().for_each(Child::ask);
    ends.iter().map(Child::sample).collect()
}

/// What one process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    addr: SocketAddr,
    ports: u16,
    connections: usize,
}

/// How an end's connections are spread over processes. A socket of the kernel is a descriptor, of
/// which a process has a limited number, so that there each port is a process.
fn parts(stack: Stack, addr: SocketAddr, connections: usize) -> Vec<Part> {
    let ports = connections.div_ceil(PER_PORT);
    let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    let port = |n: usize| {
        let addr = SocketAddr::new(addr.ip(), addr.port().saturating_add(number(n)));
        // In turns, as manypath connects to them.
        let connections = (connections - n).div_ceil(ports);
        Part { addr, ports: 1, connections }
    };
    match stack {
        Stack::Manypath => vec![Part { addr, ports: number(ports), connections }],
        Stack::Linux => (0..ports).map(port).collect(),
    }
}

impl Idle {
    /// Whether it was measured, with as many connections as were asked for.
    pub(super) fn is_sound(&self, connections: usize) -> bool {
        self.error.is_none() && self.held == connections
    }
}

impl Display for Idle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { subflows, held, linux_held, error, .. } = self;
        let shown = |bytes: &Option<f64>| bytes.map_or("-".to_owned(), |n| format!("{n:.0}"));
        write!(
            f,
            "idle: {held} connections of {subflows} subflows, each {} bytes of manypath where it \
             connects, {} where it listens; {linux_held} of the kernel's, each {} bytes of its slab",
            shown(&self.manypath_bytes_each),
            shown(&self.manypath_listening_bytes_each),
            shown(&self.linux_slab_bytes_each)
        )?;
        error.iter().try_for_each(|error| write!(f, "\n  failed: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_of_the_kernels_holds_more_than_a_port_bears() {
        let addr = SocketAddr::from(([10, 0, 0, 1], 5201));
        let all = parts(Stack::Linux, addr, 100_001);
        assert_eq!(all.iter().map(|part| part.connections).sum::<usize>(), 100_001);
        assert!(all.iter().all(|part| part.connections <= PER_PORT && part.ports == 1));
        assert_eq!(all.last().map(|part| part.addr.port()), Some(5213));
        let one = parts(Stack::Manypath, addr, 100_001);
        assert_eq!(one, [Part { addr, ports: 13, connections: 100_001 }]);
    }
}
