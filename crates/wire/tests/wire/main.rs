//! Tests of the whole crate against real packets, models and arbitrary bytes.

mod arbitrary;
mod captures;
mod offload;
mod round_trip;
mod strategies;

use bytes::Bytes;
use manypath_wire::{Checksum, Datagram};

/// A datagram as a device gives it that reads whole packets.
fn received(bytes: &[u8]) -> Datagram {
    Datagram { payload: Bytes::copy_from_slice(bytes).into(), ..Datagram::default() }
}

/// The bytes of a datagram in one piece.
fn flat(d: &Datagram) -> Vec<u8> {
    [&d.header[..], &d.payload.to_vec()].concat()
}

/// The same, with a TCP checksum that nobody looks at.
fn unverified(d: Datagram) -> Datagram {
    Datagram { checksum: Checksum::Offloaded, ..d }
}
