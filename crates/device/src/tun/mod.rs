//! TUN interfaces: packets to and from the kernel's routing, whole super-segments at a time.
//!
//! With offload every packet has a virtio-net header, so that 64 KB cross the kernel's border in
//! one call and nobody touches their checksums. Several are written with one call where the system has
//! `io_uring`. **Invariants**: sending copies nothing in this process (`writev` of the header and of the
//! payload's slices); a received packet pins at most four times its own length. Without offload,
//! packets that arrive are joined (`joiner`). **Leaves out** routes and rules: see `paths`.
//!
//! **Choice:** own code instead of a crate: those that know the virtio-net header cut received
//! super-segments in userspace, which is what is to be avoided here.

mod config;
mod reader;
mod writer;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use manypath_wire::Datagram;

use crate::{Device, Offload, Receiver};
pub use config::{TunConfig, TunError};
use config::{attach, check_name, configure, open_driver};
use reader::Reader;
use writer::Writer;

/// One queue of a TUN interface. The interface vanishes with its last queue.
#[derive(Debug)]
pub struct Tun {
    file: Arc<File>,
    name: String,
    mtu: u16,
    offload: Offload,
    reader: Reader,
    writer: Writer,
    /// Further queues, until they are taken.
    further: Vec<Self>,
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
        let writer = Writer::new(Arc::clone(&file), offload);
        Ok(Self { file, name, mtu: config.mtu, offload, reader, writer, further: Vec::new() })
    }

    /// The interface's name, as the kernel chose it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Packets that were sent and that the kernel had no room for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }
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
        self.writer.send(datagram)
    }

    fn send_all(&mut self, datagrams: &[Datagram]) -> usize {
        self.writer.send_all(datagrams)
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
