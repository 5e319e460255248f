//! The receiving half of a packet socket: frames from the ring, or by a call each where there is
//! none, joined on the way.
//!
//! **Invariants**: frames are taken in the order in which they came, whether they lie in the ring
//! or, longer than a slot, in the socket's queue; what is asked for and does not wait is not waited
//! for. **Leaves out** neighbours: see [`Port`].

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use manypath_wire::Datagram;
use nix::libc;

use super::frame;
use super::port::Port;
use crate::Receiver;
use crate::buffers::{ReceiveBuffers, packet_of};
use crate::joiner::Joiner;
use crate::sys::{self, RxRing, Slot};
use crate::vnet::{self, VnetHeader};

/// The longest IP packet, and the headers before it.
const BUFFER: usize = 65_535 + BEFORE;
/// What stands before a packet.
const BEFORE: usize = vnet::LEN + frame::LEN;

/// What waits at a socket. Several hands may take from it, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Inbox(Arc<Mutex<Frames>>);

impl Inbox {
    pub(super) fn new(port: Arc<Port>, ring: Option<RxRing>) -> Self {
        let (buffers, joiner) = (ReceiveBuffers::new(BUFFER), Joiner::new());
        Self(Arc::new(Mutex::new(Frames { port, ring, buffers, joiner })))
    }

    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver for Inbox {
    fn is_cheap(&self) -> bool {
        self.frames().ring.is_some()
    }

    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        let before = batch.len();
        let mut frames = self.frames();
        let result = frames.take(batch, before + limit);
        frames.joiner.flush(batch);
        result.map(|()| batch.len() - before)
    }
}

#[derive(Debug)]
struct Frames {
    port: Arc<Port>,
    /// `None` where the kernel refused one.
    ring: Option<RxRing>,
    /// For what is read by a call.
    buffers: ReceiveBuffers,
    joiner: Joiner,
}

impl Frames {
    /// Takes what waits, until `batch` has `full` datagrams.
    fn take(&mut self, batch: &mut Vec<Datagram>, full: usize) -> io::Result<()> {
        let mut looked = false;
        while batch.len() < full {
            let Some(ring) = &mut self.ring else {
                if self.read(batch)? { continue } else { break }
            };
            let Some(slot) = ring.peek(vnet::LEN) else {
                // An error of the socket makes it readable until a call takes it.
                if !looked {
                    self.read(batch)?;
                }
                break;
            };
            looked = true;
            let queued = slot == Slot::Queued;
            let taken = match slot {
                Slot::Frame(frame) => accept(&self.port, &mut self.joiner, frame, batch),
                Slot::Queued => Ok(()),
                Slot::Lost => {
                    self.port.drop_one();
                    Ok(())
                }
            };
            ring.release();
            taken?;
            if queued {
                self.read(batch)?;
            }
        }
        Ok(())
    }

    /// Reads a frame by a call; whether there was one, or another may wait.
    fn read(&mut self, batch: &mut Vec<Datagram>) -> io::Result<bool> {
        let buffer = self.buffers.free();
        match sys::read_spare(&self.port.socket, buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            // An interface that went down says so once; it may come back.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => return Ok(true),
            Err(error) => return Err(error),
        }
        let vnet = buffer.first_chunk().map(|&header| VnetHeader::parse(header));
        let Some(vnet) = vnet.filter(|vnet| vnet.gso_mss().is_some()) else {
            return accept(&self.port, &mut self.joiner, buffer, batch).map(|()| true);
        };
        buffer.advance(BEFORE);
        let payload = packet_of(buffer, BUFFER).into();
        let (gso_mss, checksum) = (vnet.gso_mss(), vnet.checksum());
        self.joiner.pass(Datagram { payload, gso_mss, checksum, ..Datagram::default() }, batch);
        Ok(true)
    }
}

/// Takes in a frame with its virtio-net header: a neighbour's word, or a packet.
fn accept(
    port: &Port,
    joiner: &mut Joiner,
    frame: &[u8],
    batch: &mut Vec<Datagram>,
) -> io::Result<()> {
    let Some((&vnet, frame)) = frame.split_first_chunk::<{ vnet::LEN }>() else { return Ok(()) };
    let Some((kind, packet)) = frame::parse(frame) else { return Ok(()) };
    if port.hear(kind, packet)? {
        return Ok(());
    }
    let vnet = VnetHeader::parse(vnet);
    if let Some(mss) = vnet.gso_mss() {
        // A super-segment that fits a slot.
        let payload = Bytes::copy_from_slice(packet).into();
        let (gso_mss, checksum) = (Some(mss), vnet.checksum());
        joiner.pass(Datagram { payload, gso_mss, checksum, ..Datagram::default() }, batch);
    } else {
        joiner.push(packet, vnet.checksum(), batch);
    }
    Ok(())
}
