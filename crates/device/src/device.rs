//! The one seam between the stack and whatever carries its packets.

use std::io;
use std::os::fd::AsFd;

use manypath_wire::Datagram;

/// Datagrams that are worth sending together.
pub const TOGETHER: usize = 32;

/// What a device does itself. What it does not do is done in software by [`Device::send`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Takes and delivers super-segments, cutting them at their MSS where a wire needs that.
    pub tso: bool,
    /// Completes TCP checksums that hold the pseudo-header's sum only, and verifies on arrival.
    pub checksum: bool,
}

impl Offload {
    /// The device does everything.
    pub const FULL: Self = Self { tso: true, checksum: true };
    /// Everything is done in software.
    pub const NONE: Self = Self { tso: false, checksum: false };
}

/// Where packets go. Nothing here waits: readiness is a file descriptor.
///
/// The descriptor is readable while packets wait. It is never worth waiting for it to be writable:
/// a device whose queue is full drops, as a network card does, and the congestion control of the
/// stack hears of it as of any other loss.
pub trait Device: AsFd + Send {
    /// The longest packet that goes on the wire in one piece, IP header included, in bytes.
    fn mtu(&self) -> u16;

    /// What the device does itself.
    fn offload(&self) -> Offload;

    /// Sends one datagram; it is cut and its checksums are completed in software where the device
    /// does not do that.
    ///
    /// A full queue drops the packet, counts it in the device's own counter, and is `Ok`.
    ///
    /// # Errors
    /// When the device is down or gone, or refuses the packet's form.
    fn send(&mut self, datagram: &Datagram) -> io::Result<()>;

    /// Sends datagrams in this order, each as [`Device::send`] would, and says how many it refused. A
    /// device that takes several with one call, up to [`TOGETHER`], does so: who receives them within
    /// this host then runs once for all, not after each.
    fn send_all(&mut self, datagrams: &[Datagram]) -> usize {
        datagrams.iter().filter(|datagram| self.send(datagram).is_err()).count()
    }

    /// Appends what waits to `batch` until that are `limit` datagrams, and says how many; one more
    /// may be needed to see that a super-segment ended. Nothing waiting is `Ok(0)`. Fewer than
    /// `limit` means that nothing more waited.
    ///
    /// # Errors
    /// When the device is gone. What was appended before the error stays in `batch`.
    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize>;

    /// Takes the further queues out of a device that has several, each a device of its own for who reads
    /// and writes there at the same time. Packets may come to any of them, mostly to where what they
    /// answer was sent.
    fn take_queues(&mut self) -> Vec<Box<dyn Device>> {
        Vec::new()
    }

    /// The receiving side on its own, for who takes packets while others send. It takes from the
    /// same queue as [`Device::recv`]; `None` where only that does.
    fn receiver(&self) -> Option<Box<dyn Receiver>> {
        None
    }
}

/// The receiving side of a device.
pub trait Receiver: Send {
    /// Whether asking for more than is there costs nothing, so that many may be asked for always.
    fn is_cheap(&self) -> bool {
        false
    }

    /// As [`Device::recv`].
    ///
    /// # Errors
    /// As [`Device::recv`].
    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize>;
}
