//! What writes to a queue: a packet at a time, or several with one call.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use manypath_base::len32;
use manypath_wire::Datagram;
use nix::libc;
use smallvec::SmallVec;

use crate::{Offload, TOGETHER, cut, headers, sys, vnet};

/// Slices of one `writev`; the kernel takes 1024 (`UIO_MAXIOV`).
const MAX_SLICES: usize = 1024;

/// The writing side of a queue.
#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<File>,
    offload: Offload,
    /// Writes several packets with one call, where the system lets us.
    writes: Option<sys::Writes>,
    dropped: u64,
}

impl Writer {
    pub(super) fn new(file: Arc<File>, offload: Offload) -> Self {
        // Containers often have no such calls.
        let writes = sys::Writes::new(len32(TOGETHER)).ok();
        Self { file, offload, writes, dropped: 0 }
    }

    /// Packets that the kernel had no room for.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// As [`crate::Device::send`].
    pub(super) fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        if cut::is_needed(datagram, self.offload) {
            return cut::wire_packets(datagram).try_for_each(|packet| self.write(&packet));
        }
        self.write(datagram)
    }

    /// As [`crate::Device::send_all`].
    pub(super) fn send_all(&mut self, datagrams: &[Datagram]) -> usize {
        let refused = datagrams.chunks(TOGETHER).map(|packets| {
            self.write_all(packets).unwrap_or_else(|| {
                packets.iter().filter(|packet| self.send(packet).is_err()).count()
            })
        });
        refused.sum()
    }

    fn write(&mut self, packet: &Datagram) -> io::Result<()> {
        let flat;
        let vnet = self.vnet_header(packet)?;
        let mut slices: SmallVec<[IoSlice<'_>; 16]> =
            pieces(vnet.as_ref(), packet).map(IoSlice::new).collect();
        if slices.len() > MAX_SLICES {
            flat = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
            slices.clear();
            slices.push(IoSlice::new(&flat));
        }
        let written = (&*self.file).write_vectored(&slices);
        self.account(written.map(drop))
    }

    /// Writes packets that need no cutting with one call; how many were refused, or `None` where that
    /// cannot be done and nothing was written.
    fn write_all(&mut self, packets: &[Datagram]) -> Option<usize> {
        let fits = |packet: &Datagram| {
            !cut::is_needed(packet, self.offload) && packet.payload.chunks().len() + 2 <= MAX_SLICES
        };
        if packets.len() < 2 || !packets.iter().all(fits) {
            return None;
        }
        let vnets: SmallVec<[_; TOGETHER]> = packets
            .iter()
            .map(|packet| self.vnet_header(packet))
            .collect::<io::Result<_>>()
            .ok()?;
        let mut writes = self.writes.take()?;
        let each = vnets.iter().zip(packets).map(|(vnet, packet)| pieces(vnet.as_ref(), packet));
        if writes.write_each(&*self.file, each).is_err() {
            return Some(packets.len());
        }
        let cannot = |result: &io::Result<()>| {
            let code = result.as_ref().err().and_then(io::Error::raw_os_error);
            code == Some(libc::EOPNOTSUPP)
        };
        // Older kernels: nothing was written.
        if writes.results().any(|result| cannot(&result)) {
            return None;
        }
        let results = writes.results().map(|result| self.account(result));
        let refused = results.filter(Result::is_err).count();
        self.writes = Some(writes);
        Some(refused)
    }

    fn vnet_header(&self, packet: &Datagram) -> io::Result<Option<[u8; vnet::LEN]>> {
        if self.offload.tso { vnet_bytes(packet).map(Some) } else { Ok(None) }
    }

    /// What the kernel has no room for is dropped.
    fn account(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(error) if is_full(&error) => {
                self.dropped += 1;
                Ok(())
            }
            written => written,
        }
    }
}

/// What one packet is written from.
fn pieces<'a>(
    vnet: Option<&'a [u8; vnet::LEN]>,
    packet: &'a Datagram,
) -> impl Iterator<Item = &'a [u8]> {
    vnet.into_iter().map(|header| &header[..]).chain(headers::pieces(packet))
}

fn vnet_bytes(packet: &Datagram) -> io::Result<[u8; vnet::LEN]> {
    let not_tcp = || io::Error::new(io::ErrorKind::InvalidInput, "only TCP can be offloaded");
    vnet::VnetHeader::of(packet).map(vnet::VnetHeader::emit).ok_or_else(not_tcp)
}

/// No room now, in whatever form the kernel says so.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}
