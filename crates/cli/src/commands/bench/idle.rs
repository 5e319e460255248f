//! What a connection costs that does nothing.
//!
//! **Invariant**: memory is a difference between few and many connections that are held, so that
//! what a process costs by itself is not counted. **Leaves out** what a connection costs while data
//! flows.

use std::fmt::{self, Display, Formatter};

use manypath_base::len64;
use manypath_lab::Packets;
use serde::Serialize;

use super::child::{Child, sleep};
use super::compare::Way;
use super::end::{Job, Side, Spec, Stack};
use super::hosts::Hosts;
use super::machine;
use crate::failure::Failure;
use crate::watch::float;

/// The few connections with which many are compared.
const FEW: usize = 50;
/// Connections to one port: an address has 64,512 to connect from.
const PER_PORT: usize = 40_000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Idle {
    subflows: usize,
    /// Connections that were held at once.
    held: usize,
    /// Resident memory of manypath's process, bytes for each connection.
    manypath_bytes_each: Option<f64>,
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
        linux_slab_bytes_each: None,
        error: None,
    };
    let result = weigh(way, connections, &mut idle);
    idle.error = result.err().map(|failure| failure.to_string());
    idle
}

fn weigh(way: &Way, connections: usize, idle: &mut Idle) -> Result<(), Failure> {
    let more = float(len64(connections.saturating_sub(FEW)));
    let ours = [Stack::Manypath, Stack::Linux];
    let few = hold(way, ours, FEW, idle.subflows)?;
    let many = hold(way, ours, connections, idle.subflows)?;
    idle.held = many.held;
    idle.manypath_bytes_each = Some(float(many.resident.saturating_sub(few.resident)) / more);
    if way.against_linux {
        let linux = [Stack::Linux; 2];
        let few = hold(way, linux, FEW, idle.subflows)?.slab;
        let many = hold(way, linux, connections, idle.subflows)?.slab;
        let grown = few.zip(many).and_then(|(few, many)| many.checked_sub(few));
        // Both ends are in this kernel.
        idle.linux_slab_bytes_each = grown.map(|bytes| float(bytes) / more / 2.0);
    }
    Ok(())
}

/// What holding connections took.
struct Held {
    held: usize,
    /// Bytes of the connecting process.
    resident: u64,
    /// Bytes of the kernel, since before there were hosts.
    slab: Option<u64>,
}

fn hold(
    way: &Way,
    stacks: [Stack; 2],
    connections: usize,
    subflows: usize,
) -> Result<Held, Failure> {
    let hosts = Hosts::build(way.link, stacks, Packets::SuperSegments, subflows)?;
    let before = machine::slab();
    let (addr, job) = (hosts.server_addr(stacks[1]), Job::Hold);
    let ports = u16::try_from(connections.div_ceil(PER_PORT)).unwrap_or(u16::MAX);
    let end = |side: Side, stack: Stack| {
        let tun = (stack == Stack::Manypath).then(|| hosts.tun(side));
        let spec = Spec { stack, side, job, addr, ports, connections, subflows, tun };
        Child::start(hosts.host(side), &spec)
    };
    let _server = end(Side::Listen, stacks[1])?;
    let mut client = end(Side::Connect, stacks[0])?;
    sleep(way.window.length)?;
    client.ask();
    let sample = client.sample()?;
    let after = machine::slab();
    Ok(Held {
        held: sample.counts.iter().filter(|&&count| count > 0).count(),
        resident: sample.resident[0],
        slab: before.zip(after).map(|(before, after)| after.saturating_sub(before)),
    })
}

impl Idle {
    /// Whether it was measured, with as many connections as were asked for.
    pub(super) fn is_sound(&self, connections: usize) -> bool {
        self.error.is_none() && self.held == connections
    }
}

impl Display for Idle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { subflows, held, manypath_bytes_each, linux_slab_bytes_each, error } = self;
        let shown = |bytes: &Option<f64>| bytes.map_or("-".to_owned(), |n| format!("{n:.0}"));
        write!(
            f,
            "idle: {held} connections of {subflows} subflows, each {} bytes of manypath, {} of the \
             kernel's slab",
            shown(manypath_bytes_each),
            shown(linux_slab_bytes_each)
        )?;
        error.iter().try_for_each(|error| write!(f, "\n  failed: {error}"))
    }
}
