//! The words every other crate speaks: sequence numbers and offsets, ranges, time, rates,
//! identifiers, shared payload, seeded randomness and a timer queue.
//!
//! **Owns** plain values without behaviour of a protocol. **Invariants**: no clock, no source of
//! entropy, no I/O; every value is deterministic. **Leaves out** anything that only one crate uses.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ends;
mod id;
mod name;
mod payload;
mod ranges;
mod rate;
mod rng;
mod seq;
mod size;
mod time;
mod timers;

pub use ends::{Ends, FourTuple};
pub use id::{AddrId, IfaceId, Key, PathId, SubflowId, Token};
pub use name::{UnknownName, by_name};
pub use payload::Payload;
pub use ranges::RangeSet;
pub use rate::Rate;
pub use rng::Rng;
pub use seq::{DataOffset, DataSeq, SeqNum, SubflowOffset};
pub use size::{Mss, len16, len32, len64, usize32, usize64};
pub use time::Instant;
pub use timers::TimerQueue;
