//! A deterministic discrete-event simulator of networks.
#![forbid(unsafe_code)]

mod events;
mod link;

pub use events::EventQueue;
pub use link::{
    Carried, CoDel, Counter, Discipline, DropReason, GilbertElliott, Limit, Link, LinkConfig,
    LinkStats, Loss, MILLION, PushOutcome, Red, Trace, TraceError, Transmitter,
};
