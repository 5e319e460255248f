//! Packet sockets: an address of the stack on an interface that the kernel has, too, beside the
//! kernel's own addresses and without its routes, rules and NAT (packet(7)).
//!
//! With offload every frame has a virtio-net header, as at a TUN interface, so that super-segments
//! pass whole. **Owns** the socket, and who has which link address on that link. **Invariants**:
//! the kernel never answers for an address of ours, so none of them may be the kernel's; frames
//! that are not for our addresses are refused by a filter in the kernel and never copied.
//! **Leaves out** VLANs, and, without a link address of our own, hosts that forward: those would
//! forward what is meant for us.
//!
//! Packets of the MTU's size come through a ring (PACKET_RX_RING) and are joined; super-segments,
//! which are forty times as long, by a call each.

mod arp;
mod filter;
mod frame;
mod inbox;
mod link;
mod ndp;
mod neighbours;
mod port;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use manypath_wire::Datagram;
use nix::libc;
use thiserror::Error;

use crate::command::CommandError;
use crate::{Device, Mac, Offload, Receiver, cut, sys};
use inbox::Inbox;
use link::Link;
use port::Port;

/// Bytes that may wait for us in the kernel, and for the interface: what bursts of a few
/// gigabits per second need.
const QUEUE: libc::c_int = 8 << 20;
/// Bytes of the ring: what comes in 5 ms at 6 Gbit/s.
const RING: usize = 4 << 20;
/// Where the interface takes longer packets than these, slots are for shorter ones.
const JUMBO: u16 = 9_216;

/// Which addresses on which interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketConfig {
    /// The interface; it must be Ethernet, or look like it.
    pub interface: String,
    /// Addresses that are ours alone, in subnets of the interface or routed to it.
    pub addresses: Vec<IpAddr>,
    /// Super-segments and checksums left to the kernel and the card.
    pub offload: bool,
    /// A link address of our own: the kernel then refuses at once what is for us, instead of looking
    /// for a route, and would not forward it. `None`, the interface's, is for links where a host has
    /// one only: Wi-Fi, and switches that insist on it.
    pub mac: Option<Mac>,
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
    port: Arc<Port>,
    inbox: Inbox,
    offload: Offload,
}

impl PacketSocket {
    /// Takes `config.addresses` on the interface, in the network namespace of the calling thread.
    /// Subnets and gateways are those of the kernel's routes over that interface, at this moment.
    ///
    /// # Errors
    /// See [`PacketError`].
    pub fn open(config: &PacketConfig) -> Result<Self, PacketError> {
        let mut link = Link::ask(&config.interface, &config.addresses)?;
        link.mac = config.mac.unwrap_or(link.mac);
        let (socket, ring) = open(config, &link).map_err(|(doing, source)| {
            let interface = config.interface.clone();
            match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => PacketError::NotPermitted { interface },
                _ => PacketError::Io { interface, doing, source },
            }
        })?;
        let offload = if config.offload { Offload::FULL } else { Offload::NONE };
        let port = Arc::new(Port::new(socket, link, config.addresses.clone()));
        Ok(Self { inbox: Inbox::new(Arc::clone(&port), ring), port, offload })
    }

    /// Packets that went nowhere: sent without a route, an answer of the neighbour, or room at the
    /// interface; or received where neither ring nor queue had room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.port.dropped()
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.socket.as_fd()
    }
}

impl Device for PacketSocket {
    fn mtu(&self) -> u16 {
        self.port.link.mtu
    }

    fn offload(&self) -> Offload {
        self.offload
    }

    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        if cut::is_needed(datagram, self.offload) {
            return cut::wire_packets(datagram).try_for_each(|packet| self.port.route(&packet));
        }
        self.port.route(datagram)
    }

    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        self.inbox.recv(batch, limit)
    }

    fn receiver(&self) -> Option<Box<dyn Receiver>> {
        Some(Box::new(self.inbox.clone()))
    }
}

/// A socket that gets nothing but what is for `config.addresses`, and its ring; where it fails,
/// what was done.
fn open(
    config: &PacketConfig,
    link: &Link,
) -> Result<(OwnedFd, Option<sys::RxRing>), (&'static str, io::Error)> {
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
    let mtu = if link.mtu > JUMBO { 1_500 } else { link.mtu };
    // Where there is no memory for it, each frame costs a call.
    let ring = sys::RxRing::map(&socket, usize::from(mtu) + frame::LEN, RING).ok();
    if config.addresses.iter().any(IpAddr::is_ipv6) {
        sys::take_multicast(&socket, link.index).map_err(at("hear questions of neighbours"))?;
    }
    if let Some(Mac(mac)) = config.mac {
        sys::take_address(&socket, link.index, mac).map_err(at("have an address of its own"))?;
    }
    sys::packet_bind(&socket, link.index).map_err(at("bind it"))?;
    Ok((socket, ring))
}
