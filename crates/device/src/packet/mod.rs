//! Packet sockets: an address of the stack on an interface that the kernel has, too, beside the
//! kernel's own addresses and without its routes, rules and NAT (packet(7)).
//!
//! With offload every frame has a virtio-net header, as at a TUN interface, so that super-segments
//! pass whole. **Owns** the socket, and who has which link address on that link. **Invariants**:
//! the kernel never answers for an address of ours, so none of them may be the kernel's; frames
//! that are not for our addresses are refused by a filter in the kernel and never copied.
//! **Leaves out** VLANs, and hosts that forward: those would forward what is meant for us.
//!
//! **Choice:** a socket that is read, not a ring (PACKET_RX_RING): a ring has slots of one length,
//! and super-segments are forty times as long as the packets between them.

mod arp;
mod filter;
mod frame;
mod link;
mod ndp;
mod neighbours;

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use bytes::Buf;
use manypath_wire::Datagram;
use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::writev;
use smallvec::SmallVec;
use thiserror::Error;

use crate::buffers::{ReceiveBuffers, packet_of};
use crate::command::CommandError;
use crate::vnet::VnetHeader;
use crate::{Device, Mac, Offload, cut, headers, sys, vnet};
use link::Link;
use neighbours::{Neighbours, Outcome};

/// [`frame::LEN`] as the virtio-net header has lengths.
const LINK_HEADER: u16 = 14;
/// The longest IP packet, and the headers before it.
const BUFFER: usize = 65_535 + vnet::LEN + frame::LEN;
/// Bytes that may wait for us in the kernel, and for the interface: what bursts of a few
/// gigabits per second need.
const QUEUE: libc::c_int = 8 << 20;
/// Slices of one `writev`; the kernel takes 1024 (`UIO_MAXIOV`).
const MAX_SLICES: usize = 1024;

/// Which addresses on which interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketConfig {
    /// The interface; it must be Ethernet, or look like it.
    pub interface: String,
    /// Addresses that are ours alone, in subnets of the interface or routed to it.
    pub addresses: Vec<IpAddr>,
    /// Super-segments and checksums left to the kernel and the card.
    pub offload: bool,
}

/// Why there is no packet socket.
#[derive(Debug, Error)]
pub enum PacketError {
    /// Not privileged.
    #[error("a packet socket on `{interface}` needs root or CAP_NET_RAW")]
    NotPermitted {
        /// The interface.
        interface: String,
    },
    /// There is no such interface, or it has no link addresses.
    #[error("`{interface}` is no Ethernet interface; see `ip link`")]
    NoInterface {
        /// The interface.
        interface: String,
    },
    /// The kernel has the address already, and would answer for it.
    #[error("address {address} is the kernel's own; choose one of the subnet that is free")]
    AddressTaken {
        /// The address.
        address: IpAddr,
    },
    /// Another failure.
    #[error("packet socket on `{interface}`: {doing}")]
    Io {
        /// The interface.
        interface: String,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel could not be asked about the interface.
    #[error(transparent)]
    Ask(#[from] CommandError),
}

/// A packet socket with addresses of its own.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
    link: Link,
    neighbours: Neighbours,
    offload: Offload,
    buffers: ReceiveBuffers,
    dropped: u64,
}

impl PacketSocket {
    /// Takes `config.addresses` on the interface, in the network namespace of the calling thread.
    /// Subnets and gateways are those of the kernel's routes over that interface, at this moment.
    ///
    /// # Errors
    /// See [`PacketError`].
    pub fn open(config: &PacketConfig) -> Result<Self, PacketError> {
        let link = Link::ask(&config.interface, &config.addresses)?;
        let socket = open(config, link.index).map_err(|(doing, source)| {
            let interface = config.interface.clone();
            match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => PacketError::NotPermitted { interface },
                _ => PacketError::Io { interface, doing, source },
            }
        })?;
        let offload = if config.offload { Offload::FULL } else { Offload::NONE };
        let neighbours = Neighbours::new(link.mac, config.addresses.clone());
        let buffers = ReceiveBuffers::new(BUFFER);
        Ok(Self { socket, link, neighbours, offload, buffers, dropped: 0 })
    }

    /// Packets that were sent and went nowhere: no route, no answer of the neighbour yet, or no
    /// room at the interface.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// To the next hop, or where its link address is not known yet, into its queue.
    fn route(&mut self, packet: &Datagram) -> io::Result<()> {
        let dst = headers::destination(packet);
        let Some(hop) = dst.and_then(|dst| self.link.next_hop(dst)) else {
            self.dropped += 1;
            return Ok(());
        };
        let next = self.neighbours.find(Instant::now(), hop, packet);
        if let Some(question) = next.question {
            self.write_complete(&question)?;
        }
        next.mac.map_or(Ok(()), |mac| self.write(mac, hop, packet))
    }

    fn write(&mut self, to: Mac, hop: IpAddr, packet: &Datagram) -> io::Result<()> {
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
    fn write_complete(&mut self, frame: &[u8]) -> io::Result<()> {
        let vnet = VnetHeader::default().emit();
        self.write_slices(&[IoSlice::new(&vnet), IoSlice::new(frame)])
    }

    fn write_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        match writev(&self.socket, slices) {
            Ok(_) => Ok(()),
            // The interface has no room, or is down for the moment.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::ENETDOWN) => {
                self.dropped += 1;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame.
    fn read(&mut self) -> io::Result<Received> {
        let buffer = self.buffers.free();
        match sys::read_spare(&self.socket, buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Received::Nothing);
            }
            // An interface that went down says so once; it may come back.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {
                return Ok(Received::Other);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Received::Other),
            Err(error) => return Err(error),
        }
        let Some(&vnet) = buffer.first_chunk::<{ vnet::LEN }>() else { return Ok(Received::Other) };
        let vnet = VnetHeader::parse(vnet);
        buffer.advance(vnet::LEN);
        let Some((kind, body)) = frame::parse(buffer) else { return Ok(Received::Other) };
        if let Some(outcome) = self.neighbours.take(Instant::now(), kind, body) {
            self.follow(outcome)?;
            return Ok(Received::Other);
        }
        buffer.advance(frame::LEN);
        let (gso_mss, checksum) = (vnet.gso_mss(), vnet.checksum());
        let payload = packet_of(buffer, BUFFER).into();
        Ok(Received::Packet(Datagram { payload, gso_mss, checksum, ..Datagram::default() }))
    }

    fn follow(&mut self, outcome: Outcome) -> io::Result<()> {
        if let Some(answer) = outcome.answer {
            self.write_complete(&answer)?;
        }
        outcome.ready.map_or(Ok(()), |(mac, hop, packet)| self.write(mac, hop, &packet))
    }
}

/// What one call brought.
enum Received {
    Packet(Datagram),
    /// Something that is not for the stack; more may wait.
    Other,
    Nothing,
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Device for PacketSocket {
    fn mtu(&self) -> u16 {
        self.link.mtu
    }

    fn offload(&self) -> Offload {
        self.offload
    }

    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        if cut::is_needed(datagram, self.offload) {
            return cut::wire_packets(datagram).try_for_each(|packet| self.route(&packet));
        }
        self.route(datagram)
    }

    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        let before = batch.len();
        for _ in 0..limit {
            match self.read()? {
                Received::Packet(datagram) => batch.push(datagram),
                Received::Other => {}
                Received::Nothing => break,
            }
        }
        Ok(batch.len() - before)
    }
}

/// A socket that gets nothing but what is for `config.addresses`; where it fails, what was done.
fn open(config: &PacketConfig, index: libc::c_int) -> Result<OwnedFd, (&'static str, io::Error)> {
    let at = |doing| move |error: io::Error| (doing, error);
    let socket = sys::packet_socket().map_err(at("open it"))?;
    let set = |name, value| sys::set_number(&socket, libc::SOL_PACKET, name, value);
    set(libc::PACKET_VNET_HDR, 1).map_err(at("have headers of offload"))?;
    set(libc::PACKET_IGNORE_OUTGOING, 1).map_err(at("not see what is sent"))?;
    sys::attach_filter(&socket, &mut filter::program(&config.addresses))
        .map_err(at("attach the filter"))?;
    for queue in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        sys::set_number(&socket, libc::SOL_SOCKET, queue, QUEUE).map_err(at("widen its queues"))?;
    }
    if config.addresses.iter().any(IpAddr::is_ipv6) {
        sys::take_multicast(&socket, index).map_err(at("hear questions of neighbours"))?;
    }
    sys::packet_bind(&socket, index).map_err(at("bind it"))?;
    Ok(socket)
}
