//! TUN interfaces: packets to and from the kernel's routing, whole super-segments at a time.
//!
//! With offload every packet has a virtio-net header, so that 64 KB cross the kernel's border in
//! one call and nobody touches their checksums. **Invariants**: sending copies nothing in this
//! process (`writev` of the header and of the payload's slices); a received packet pins at most
//! four times its own length. Without offload, packets that arrive are joined (`joiner`). **Leaves
//! out** routes and rules: see `paths`.
//!
//! **Choice:** own code instead of a crate: those that know the virtio-net header cut received
//! super-segments in userspace, which is what is to be avoided here.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use manypath_base::Mss;
use manypath_wire::{Checksum, Datagram};
use nix::libc;
use smallvec::SmallVec;
use thiserror::Error;

use crate::buffers::{ReceiveBuffers, packet_of};
use crate::command::{CommandError, run};
use crate::joiner::Joiner;
use crate::{Device, Offload, Receiver, cut, headers, sys, vnet};

/// The longest IP packet, and the header before it.
const BUFFER: usize = 65_535 + vnet::LEN;
/// Slices of one `writev`; the kernel takes 1024 (`UIO_MAXIOV`).
const MAX_SLICES: usize = 1024;

/// How a TUN interface shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunConfig {
    /// Name of the interface, at most 15 bytes; `mp%d` lets the kernel choose a number.
    pub name: String,
    /// Longest packet in bytes; IPv6 wants 1280 or more.
    pub mtu: u16,
    /// Super-segments and checksums left to the kernel.
    pub offload: bool,
    /// Queues, each for a thread of its own: those beyond the first are taken with
    /// [`Device::take_queues`]. The kernel puts packets into the one to which the other direction was
    /// written last, once it was; of 4,096 flows it knows that, those of others it spreads.
    pub queues: u32,
    /// The kernel's own addresses on the interface, with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Whether to set it up.
    pub up: bool,
    /// Packets that may wait for us in the kernel. The default of Linux, 500, drops bursts.
    pub txqueuelen: u32,
}

impl Default for TunConfig {
    fn default() -> Self {
        Self {
            name: "mp%d".to_owned(),
            mtu: 1500,
            offload: true,
            queues: 1,
            addresses: Vec::new(),
            up: true,
            txqueuelen: 10_000,
        }
    }
}

/// Why there is no TUN interface.
#[derive(Debug, Error)]
pub enum TunError {
    /// No TUN driver.
    #[error("/dev/net/tun does not exist; try `modprobe tun`, or give it to the container")]
    NoDriver,
    /// Not privileged.
    #[error("opening TUN interface `{name}` needs root or CAP_NET_ADMIN")]
    NotPermitted {
        /// The interface.
        name: String,
    },
    /// The name is not one.
    #[error("`{name}` is no interface name: 1 to 15 bytes, no spaces or slashes")]
    Name {
        /// The interface.
        name: String,
    },
    /// Someone else has it open, or it is no TUN interface of this kind.
    #[error(
        "interface `{name}` is in use, or is no TUN interface of this kind; choose another name"
    )]
    Busy {
        /// The interface.
        name: String,
    },
    /// Another failure.
    #[error("TUN interface `{name}`: {doing}")]
    Io {
        /// The interface.
        name: String,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The interface could not be configured.
    #[error(transparent)]
    Configure(#[from] CommandError),
}

/// One queue of a TUN interface. The interface vanishes with its last queue.
#[derive(Debug)]
pub struct Tun {
    file: Arc<File>,
    name: String,
    mtu: u16,
    offload: Offload,
    reader: Reader,
    dropped: u64,
    /// Further queues, until they are taken.
    further: Vec<Self>,
}

/// What reads from a queue, with buffers of its own.
#[derive(Debug)]
struct Reader {
    file: Arc<File>,
    offload: Offload,
    buffers: ReceiveBuffers,
    /// Joins packets of the MTU's size.
    joiner: Joiner,
}

impl Tun {
    /// Makes the interface, or attaches to it where it exists, and configures it. It lives in the
    /// network namespace of the calling thread; the descriptor may then be used from any.
    ///
    /// # Errors
    /// See [`TunError`].
    pub fn open(config: &TunConfig) -> Result<Self, TunError> {
        check_name(&config.name)?;
        let mut first = Self::queue(&config.name, config)?;
        let further = (1..config.queues).map(|_| Self::queue(&first.name, config));
        first.further = further.collect::<Result<_, _>>()?;
        configure(&first.name, config)?;
        Ok(first)
    }

    /// One queue, of an interface that may be new.
    fn queue(name: &str, config: &TunConfig) -> Result<Self, TunError> {
        let file = open_driver(name)?;
        let name = attach(&file, name, config)?;
        let offload = if config.offload { Offload::FULL } else { Offload::NONE };
        let file = Arc::new(file);
        let reader = Reader::new(Arc::clone(&file), offload);
        Ok(Self { file, name, mtu: config.mtu, offload, reader, dropped: 0, further: Vec::new() })
    }

    /// The interface's name, as the kernel chose it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Packets that were sent and that the kernel had no room for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn write(&mut self, packet: &Datagram) -> io::Result<()> {
        let flat;
        let vnet = if self.offload.tso { Some(vnet_bytes(packet)?) } else { None };
        let mut slices: SmallVec<[IoSlice<'_>; 16]> =
            vnet.iter().map(|header| IoSlice::new(header)).collect();
        slices.extend(headers::pieces(packet).map(IoSlice::new));
        if slices.len() > MAX_SLICES {
            flat = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
            slices.clear();
            slices.push(IoSlice::new(&flat));
        }
        match (&*self.file).write_vectored(&slices) {
            Ok(_) => Ok(()),
            Err(error) if is_full(&error) => {
                self.dropped += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Reader {
    fn new(file: Arc<File>, offload: Offload) -> Self {
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

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Device for Tun {
    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn offload(&self) -> Offload {
        self.offload
    }

    /// See [`Device::send`]. A packet should not be longer than 65,500 bytes: the kernel counts
    /// link headers in its limit of 64 KiB and would cut a longer one early, at a high price.
    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        if cut::is_needed(datagram, self.offload) {
            return cut::wire_packets(datagram).try_for_each(|packet| self.write(&packet));
        }
        self.write(datagram)
    }

    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        self.reader.recv(batch, limit)
    }

    fn take_queues(&mut self) -> Vec<Box<dyn Device>> {
        self.further.drain(..).map(|queue| Box::new(queue) as _).collect()
    }

    fn receiver(&self) -> Option<Box<dyn Receiver>> {
        Some(Box::new(Reader::new(Arc::clone(&self.file), self.offload)))
    }
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

fn vnet_bytes(packet: &Datagram) -> io::Result<[u8; vnet::LEN]> {
    let not_tcp = || io::Error::new(io::ErrorKind::InvalidInput, "only TCP can be offloaded");
    vnet::VnetHeader::of(packet).map(vnet::VnetHeader::emit).ok_or_else(not_tcp)
}

/// No room now, in whatever form the kernel says so.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

fn check_name(name: &str) -> Result<(), TunError> {
    let good = (1..libc::IFNAMSIZ).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if good { Ok(()) } else { Err(TunError::Name { name: name.to_owned() }) }
}

fn open_driver(name: &str) -> Result<File, TunError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    options.open("/dev/net/tun").map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TunError::NoDriver,
        _ => describe(source, name, "open /dev/net/tun"),
    })
}

fn attach(file: &File, name: &str, config: &TunConfig) -> Result<String, TunError> {
    let mut flags = libc::IFF_TUN | libc::IFF_NO_PI;
    let mut offload = 0;
    if config.offload {
        flags |= libc::IFF_VNET_HDR;
        offload = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    }
    if config.queues > 1 {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    let flags = libc::c_short::try_from(flags).expect("the flags of TUNSETIFF have 15 bits");
    let offload = libc::c_int::try_from(offload).expect("the flags of TUNSETOFFLOAD have 7 bits");
    let fail = |doing| move |source| describe(source, name, doing);
    let name = sys::tun_attach(file, name, flags).map_err(fail("attach"))?;
    if config.offload {
        let len = libc::c_int::try_from(vnet::LEN).expect("10 bytes");
        sys::tun_set_vnet_header_size(file, len).map_err(fail("set the header's length"))?;
    }
    // Also without offload: a persistent interface may have it on from an earlier user.
    sys::tun_set_offload(file, offload).map_err(fail("set the offloads"))?;
    Ok(name)
}

fn configure(name: &str, config: &TunConfig) -> Result<(), TunError> {
    let (mtu, queue) = (config.mtu.to_string(), config.txqueuelen.to_string());
    run("ip", &["link", "set", "dev", name, "mtu", &mtu, "txqueuelen", &queue])?;
    // No link-local address, so no router solicitations; fails harmlessly where IPv6 is off.
    let _no_ipv6 = run("ip", &["link", "set", "dev", name, "addrgenmode", "none"]);
    for (address, prefix) in &config.addresses {
        run("ip", &["address", "replace", &format!("{address}/{prefix}"), "dev", name])?;
    }
    if config.up {
        run("ip", &["link", "set", "dev", name, "up"])?;
    }
    Ok(())
}

fn describe(source: io::Error, name: &str, doing: &'static str) -> TunError {
    let name = name.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => TunError::NotPermitted { name },
        Some(libc::EBUSY | libc::EINVAL | libc::EEXIST) => TunError::Busy { name },
        _ => TunError::Io { name, doing, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_refuse_are_refused() {
        for name in ["", "a b", "a/b", "sixteen-bytes-xx"] {
            assert!(matches!(check_name(name), Err(TunError::Name { .. })), "{name}");
        }
        assert!(check_name("fifteen-bytes-x").is_ok());
    }
}
