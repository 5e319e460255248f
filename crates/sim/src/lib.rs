//! A deterministic discrete-event simulator of networks, whose hosts are manypath's own endpoints.
//!
//! **Owns** switches, middleboxes, topologies, workloads, and experiments read from files.
//! **Invariants**: integer time and integer arithmetic wherever the outcome is decided; one thread
//! a simulation; same seed, same trace hash, on any machine. **Leaves out** the protocol: hosts
//! are [`manypath_mptcp::Endpoint`], packets [`manypath_wire::Packet`], or their bytes.
#![forbid(unsafe_code)]

mod events;
mod file;
mod frame;
mod graph;
mod hash;
mod host;
mod middlebox;
mod network;
mod session;
mod shipped;
mod spread;
#[cfg(test)]
mod tests;
mod traffic;
mod workload;
mod world;

pub use events::EventQueue;
pub use file::{
    Experiment, FileError, FlowSeries, LinkSeries, Outcome, Overrides, Series, SubflowSeries,
    Verdict,
};
pub use frame::{Carriage, Content, Frame, Port};
pub use graph::{Edge, Graph, HostConfig, Node, Spread, Way};
pub use hash::TraceHash;
pub use manypath_link::{
    Carried, CoDel, Counter, Discipline, DropReason, GilbertElliott, Limit, Link, LinkConfig,
    LinkStats, Loss, MILLION, PushOutcome, Red, Trace, TraceError, Transmitter,
};
pub use middlebox::{Meddling, Middlebox};
pub use network::NetworkCounters;
pub use shipped::shipped;
pub use traffic::FlowStats;
pub use workload::{FlowConfig, Workload};
pub use world::{Change, Plan, Scheduled, Ways, World};
