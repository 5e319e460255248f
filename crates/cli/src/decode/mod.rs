//! Understands a capture: which connection and subflow a segment belongs to, where its bytes lie
//! in the connection's data, what was sent twice, and what fell back.
//!
//! **Owns** the analysis; sans-IO, packets in and lines out. **Invariants**: nothing that stands
//! in a capture makes it panic; a flow belongs to one connection for its whole life. What it keeps
//! grows with the flows and holes of the capture, not with its bytes. **Leaves out** capture file
//! formats (`manypath_device::pcapng`), TCP checksums, which are rarely complete where packets are
//! captured before the network card, and the same packet captured on two interfaces: it counts as
//! a retransmission.

mod connection;
mod decoder;
mod flow;
mod keys;
mod line;
mod packet;
mod segment;
mod summary;
#[cfg(test)]
mod testing;

pub(crate) use decoder::{Decoded, Decoder};

use serde::Serialize;

/// Which way something goes: seen from whoever opened the flow or the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the opener.
    Up,
    /// To the opener.
    Down,
}

impl Way {
    /// The other way.
    pub(crate) fn flip(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// One value for each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Both<T> {
    /// From the opener.
    pub(crate) up: T,
    /// To the opener.
    pub(crate) down: T,
}

impl<T> Both<T> {
    /// The value of one way.
    pub(crate) fn at(&self, way: Way) -> &T {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    /// The value of one way, to change it.
    pub(crate) fn at_mut(&mut self, way: Way) -> &mut T {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// The values with the ways exchanged if `swap`.
    pub(crate) fn swapped(self, swap: bool) -> Self {
        if swap { Self { up: self.down, down: self.up } } else { self }
    }
}
