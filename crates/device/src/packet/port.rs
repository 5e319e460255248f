//! The sending half of a packet socket: to whom a packet goes on the link, and the call.
//!
//! **Invariant**: any thread may send, the one that receives answers to questions of neighbours
//! among them; the lock is held to look into their table only.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use manypath_wire::Datagram;
use nix::errno::Errno;
use nix::sys::uio::writev;
use smallvec::SmallVec;

use super::frame;
use super::link::Link;
use super::neighbours::{Neighbours, Outcome};
use crate::vnet::VnetHeader;
use crate::{Mac, headers};

/// [`frame::LEN`] as the virtio-net header has lengths.
const LINK_HEADER: u16 = 14;
/// Slices of one `writev`; the kernel takes 1024 (`UIO_MAXIOV`).
const MAX_SLICES: usize = 1024;

/// A socket on a link.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: OwnedFd,
    pub(super) link: Link,
    neighbours: Mutex<Neighbours>,
    dropped: AtomicU64,
}

impl Port {
    pub(super) fn new(socket: OwnedFd, link: Link, addresses: Vec<IpAddr>) -> Self {
        let neighbours = Mutex::new(Neighbours::new(link.mac, addresses));
        Self { socket, link, neighbours, dropped: AtomicU64::new(0) }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// To the next hop, or where its link address is not known yet, into its queue.
    pub(super) fn route(&self, packet: &Datagram) -> io::Result<()> {
        let dst = headers::destination(packet);
        let Some(hop) = dst.and_then(|dst| self.link.next_hop(dst)) else {
            self.drop_one();
            return Ok(());
        };
        let next = self.neighbours().find(Instant::now(), hop, packet);
        if let Some(question) = next.question {
            self.write_complete(&question)?;
        }
        next.mac.map_or(Ok(()), |mac| self.write(mac, hop, packet))
    }

    /// Takes a frame in; whether it was about link addresses, and not for the stack.
    pub(super) fn hear(&self, kind: u16, body: &[u8]) -> io::Result<bool> {
        if kind == frame::IPV4 {
            return Ok(false);
        }
        let outcome = self.neighbours().take(Instant::now(), kind, body);
        let heard = outcome.is_some();
        outcome.map_or(Ok(()), |outcome| self.follow(outcome)).map(|()| heard)
    }

    fn neighbours(&self) -> MutexGuard<'_, Neighbours> {
        self.neighbours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, outcome: Outcome) -> io::Result<()> {
        if let Some(answer) = outcome.answer {
            self.write_complete(&answer)?;
        }
        outcome.ready.map_or(Ok(()), |(mac, hop, packet)| self.write(mac, hop, &packet))
    }

    fn write(&self, to: Mac, hop: IpAddr, packet: &Datagram) -> io::Result<()> {
        let not_tcp = || io::Error::new(io::ErrorKind::InvalidInput, "only TCP can be offloaded");
        let kind = if hop.is_ipv4() { frame::IPV4 } else { frame::IPV6 };
        let vnet = VnetHeader::of(packet).ok_or_else(not_tcp)?.behind(LINK_HEADER).emit();
        let link = frame::header(to, self.link.mac, kind);
        let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
        slices.extend([IoSlice::new(&vnet), IoSlice::new(&link)]);
        slices.extend(headers::pieces(packet).map(IoSlice::new));
        if slices.len() > MAX_SLICES {
            let flat: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            return self.write_slices(&[IoSlice::new(&flat)]);
        }
        self.write_slices(&slices)
    }

    /// A frame of which nothing is left to the kernel.
    fn write_complete(&self, frame: &[u8]) -> io::Result<()> {
        let vnet = VnetHeader::default().emit();
        self.write_slices(&[IoSlice::new(&vnet), IoSlice::new(frame)])
    }

    fn write_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        match writev(&self.socket, slices) {
            Ok(_) => Ok(()),
            // The interface has no room, or is down for the moment.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::ENETDOWN) => {
                self.drop_one();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
