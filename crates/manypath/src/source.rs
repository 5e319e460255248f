//! One device as the driver's thread has it: what it waits for, and what it took from it.
//!
//! **Invariants**: where the device can, packets are taken without the lock, since reading one
//! takes longer than all that follows from it; what a device handed out is taken in only while
//! that device is there. **Leaves out** when to wait, and for how long (`driver`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use manypath_base::{IfaceId, Instant};
use manypath_device::Receiver;
use manypath_wire::Datagram;

use crate::shared::State;

/// Datagrams taken from one device at once where it costs nothing to ask for more than there is: as
/// many acknowledgments as answer two super-segments, so that what they make room for leaves in one.
const CHEAP_BATCH: usize = 48;

/// A device that packets come from.
pub(crate) struct Source {
    slot: usize,
    born: u64,
    fd: OwnedFd,
    receiver: Option<Box<dyn Receiver>>,
    /// [`Receiver::is_cheap`].
    cheap: bool,
    /// Something waited when the last wait ended.
    pub(crate) ready: bool,
    batch: Vec<Datagram>,
    /// Datagrams to take the next time: one where one came the last time, so that it is answered
    /// before the device is asked whether there is another.
    limit: usize,
    /// As many came as were asked for.
    more: bool,
    /// The device is gone.
    failed: bool,
}

impl Source {
    /// The device in `slot`, which came with generation `born`.
    pub(crate) fn new(
        slot: usize,
        born: u64,
        fd: OwnedFd,
        receiver: Option<Box<dyn Receiver>>,
    ) -> Self {
        let batch = Vec::new();
        let cheap = receiver.as_ref().is_some_and(|receiver| receiver.is_cheap());
        let limit = if cheap { CHEAP_BATCH } else { 1 };
        let (ready, more, failed) = (false, false, false);
        Self { slot, born, fd, receiver, cheap, ready, batch, limit, more, failed }
    }

    /// Takes what waits, where that needs no lock; whether there was something.
    pub(crate) fn fetch(&mut self) -> bool {
        if let (true, Some(receiver)) = (self.ready, &mut self.receiver) {
            self.ready = false;
            self.failed = receiver.recv(&mut self.batch, self.limit).is_err();
        }
        !self.batch.is_empty() || self.failed
    }

    /// Whether as many came as were asked for.
    pub(crate) fn may_have_more(&self) -> bool {
        self.more
    }

    /// A descriptor of one's own to wait for the device with.
    pub(crate) fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Takes what waits, where it could not be fetched before.
    pub(crate) fn receive(&mut self, state: &mut State) {
        if std::mem::take(&mut self.ready) && state.devices.has(self.slot, self.born) {
            self.failed = state.devices.receive(self.slot, &mut self.batch, self.limit).is_err();
        }
    }

    /// Takes in what was fetched and received; how many datagrams there were. The next time as many
    /// as `most` are taken at once.
    pub(crate) fn hand_over(&mut self, state: &mut State, now: Instant, most: usize) -> usize {
        if !state.devices.has(self.slot, self.born) {
            self.batch.clear();
            self.more = false;
            return 0;
        }
        let got = self.batch.len();
        self.more = got >= self.limit;
        if !self.cheap {
            self.limit = if self.more { (2 * got).min(most) } else { got.max(1) };
        }
        for datagram in self.batch.drain(..) {
            if let Some(iface) = state.devices.arrived(self.slot, now, &datagram) {
                state.endpoint.handle_datagram(now, iface, &datagram);
            }
        }
        if std::mem::take(&mut self.failed) {
            // The device is gone: its paths are, too, and the connections move to others.
            for iface in state.devices.ifaces_of(self.slot) {
                remove_interface(state, now, iface);
            }
        }
        got
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Takes an interface away from the endpoint, and its device if it was the last of that.
pub(crate) fn remove_interface(state: &mut State, now: Instant, iface: IfaceId) {
    state.endpoint.remove_interface(now, iface);
    state.devices.remove_iface(iface);
}
