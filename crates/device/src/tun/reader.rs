//! What reads from a queue.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use manypath_base::Mss;
use manypath_wire::{Checksum, Datagram};

use crate::buffers::{ReceiveBuffers, packet_of};
use crate::joiner::Joiner;
use crate::{Offload, Receiver, sys, vnet};

/// The longest IP packet, and the header before it.
const BUFFER: usize = 65_535 + vnet::LEN;

/// What reads from a queue, with buffers of its own.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<File>,
    offload: Offload,
    buffers: ReceiveBuffers,
    /// Joins packets of the MTU's size.
    joiner: Joiner,
}

impl Reader {
    pub(super) fn new(file: Arc<File>, offload: Offload) -> Self {
        Self { file, offload, buffers: ReceiveBuffers::new(BUFFER), joiner: Joiner::new() }
    }

    /// Takes the next packet to `batch`, or to what is joined; whether one waited.
    fn read(&mut self, batch: &mut Vec<Datagram>) -> io::Result<bool> {
        let buffer = self.buffers.free();
        loop {
            match sys::read_spare(&*self.file, buffer) {
                Ok(_) if self.offload.tso => batch.push(take(buffer)),
                Ok(_) => self.joiner.push(buffer, Checksum::Complete, batch),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(true);
        }
    }
}

/// Makes a datagram of what the buffer holds, with a virtio-net header.
fn take(buffer: &mut BytesMut) -> Datagram {
    let (mut gso_mss, mut checksum) = (None::<Mss>, Checksum::Complete);
    if let Some(&header) = buffer.first_chunk::<{ vnet::LEN }>() {
        let header = vnet::VnetHeader::parse(header);
        (gso_mss, checksum) = (header.gso_mss(), header.checksum());
        buffer.advance(vnet::LEN);
    }
    let packet = packet_of(buffer, BUFFER);
    Datagram { payload: packet.into(), gso_mss, checksum, ..Datagram::default() }
}

impl Receiver for Reader {
    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        let before = batch.len();
        let mut result = Ok(true);
        while batch.len() < before + limit && matches!(result, Ok(true)) {
            result = self.read(batch);
        }
        self.joiner.flush(batch);
        result.map(|_| batch.len() - before)
    }
}
