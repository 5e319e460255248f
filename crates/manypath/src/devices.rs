//! The devices of a shard, its own queue of each, and the interfaces they serve.
//!
//! **Invariants**: an [`IfaceId`] is never reused, and is the same in all shards; a slot whose last
//! interface is gone is empty, and its device dropped. **Leaves out** when to receive: that is the
//! driver's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use manypath_base::{IfaceId, Instant, len32, usize32};
use manypath_device::{Device, Direction, TOGETHER};
use manypath_wire::Datagram;
use parking_lot::Mutex;

use crate::capture::Capture;
use crate::clock::Clock;
use crate::outbox::Outbox;
use crate::source::Source;

/// What a shard sends and receives on.
pub(crate) struct Devices {
    slots: Vec<Option<Slot>>,
    /// Indexed by [`IfaceId`].
    ifaces: Vec<Iface>,
    capture: Option<Arc<Mutex<Capture>>>,
    clock: Clock,
    /// Another thread may write to them, if that helps.
    apart: bool,
    send_errors: u64,
    /// Changes whenever a descriptor came or went.
    generation: u64,
}

/// One device. Several interfaces may share it: the same wire with several addresses.
struct Slot {
    device: Outbox,
    /// The generation that it came with: another device in the same slot has another.
    born: u64,
    /// Which interface an address belongs to.
    addresses: Vec<(IpAddr, IfaceId)>,
    ifaces: Vec<IfaceId>,
    /// What is to be sent; empty between calls of the driver's.
    outgoing: Vec<Datagram>,
}

struct Iface {
    name: String,
    /// `None` once the interface is gone.
    slot: Option<usize>,
}

impl Devices {
    /// `apart` where the host has a processor for who writes to them.
    pub(crate) fn new(capture: Option<Arc<Mutex<Capture>>>, clock: Clock, apart: bool) -> Self {
        let (slots, ifaces) = Default::default();
        Self { slots, ifaces, capture, clock, apart, send_errors: 0, generation: 0 }
    }

    /// Adds a device without interfaces, and returns its slot.
    pub(crate) fn add_device(&mut self, device: Box<dyn Device>) -> usize {
        self.generation += 1;
        let born = self.generation;
        let device = Outbox::new(device, self.clock.clone(), self.apart);
        let (addresses, ifaces, outgoing) = Default::default();
        let slot = Slot { device, born, addresses, ifaces, outgoing };
        if let Some(free) = self.slots.iter().position(Option::is_none) {
            self.slots[free] = Some(slot);
            return free;
        }
        self.slots.push(Some(slot));
        self.slots.len() - 1
    }

    /// Adds an interface of the device in `slot`.
    pub(crate) fn add_iface(&mut self, slot: usize, name: &str, addresses: &[IpAddr]) -> IfaceId {
        let id = IfaceId(len32(self.ifaces.len()));
        if let Some(capture) = &self.capture {
            capture.lock().add_interface(id, name, addresses);
        }
        self.ifaces.push(Iface { name: name.to_owned(), slot: Some(slot) });
        if let Some(slot) = self.slots[slot].as_mut() {
            slot.ifaces.push(id);
            slot.addresses.extend(addresses.iter().map(|&addr| (addr, id)));
        }
        id
    }

    /// Takes an interface away, and the device with its last one.
    pub(crate) fn remove_iface(&mut self, id: IfaceId) {
        let Some(at) = self.iface_mut(id).and_then(|iface| iface.slot.take()) else { return };
        if let Some(slot) = &mut self.slots[at] {
            slot.ifaces.retain(|&i| i != id);
            slot.addresses.retain(|&(_, i)| i != id);
            if slot.ifaces.is_empty() {
                self.slots[at] = None;
                self.generation += 1;
            }
        }
    }

    /// The name of an interface, also of one that is gone.
    pub(crate) fn name(&self, id: IfaceId) -> &str {
        self.ifaces.get(usize32(id.0)).map_or("", |iface| &iface.name)
    }

    /// The interfaces that share a slot.
    pub(crate) fn ifaces_of(&self, slot: usize) -> Vec<IfaceId> {
        self.slots.get(slot).and_then(Option::as_ref).map_or(Vec::new(), |s| s.ifaces.clone())
    }

    /// The largest packet of the device in `slot`.
    pub(crate) fn mtu(&self, slot: usize) -> u16 {
        self.slots.get(slot).and_then(Option::as_ref).map_or(0, |s| s.device.mtu())
    }

    /// Sends a datagram, at the latest with [`Devices::flush`].
    pub(crate) fn send(&mut self, id: IfaceId, datagram: Datagram, now: Instant) {
        let Some(iface) = self.ifaces.get(usize32(id.0)) else { return };
        if let Some(capture) = &self.capture {
            capture.lock().write(id, now, Direction::Outbound, &datagram);
        }
        let Some(slot) = iface.slot.and_then(|at| self.slots[at].as_mut()) else {
            self.send_errors += 1;
            return;
        };
        slot.outgoing.push(datagram);
        if slot.outgoing.len() == TOGETHER {
            self.send_errors += slot.flush();
        }
    }

    /// Sends what is left to send. What a device refuses it has dropped, as a network card would: the
    /// stack hears of it as of any other loss.
    pub(crate) fn flush(&mut self) {
        self.send_errors += self.slots.iter_mut().flatten().map(Slot::flush).sum::<u64>();
    }

    /// Receives what waits at a device, at most `limit` datagrams.
    pub(crate) fn receive(
        &mut self,
        slot: usize,
        batch: &mut Vec<Datagram>,
        limit: usize,
    ) -> io::Result<usize> {
        self.slots
            .get_mut(slot)
            .and_then(Option::as_mut)
            .map_or(Ok(0), |slot| slot.device.recv(batch, limit))
    }

    /// The interface that a datagram came in on: that of its destination address, else the first
    /// of the device.
    pub(crate) fn arrived(&self, slot: usize, now: Instant, d: &Datagram) -> Option<IfaceId> {
        let slot = self.slots.get(slot)?.as_ref()?;
        let id = slot.iface_for(d)?;
        if let Some(capture) = &self.capture {
            capture.lock().write(id, now, Direction::Inbound, d);
        }
        Some(id)
    }

    /// A number that changes whenever [`Devices::sources`] does.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// What the driver waits for and receives from, device by device, each with a descriptor of its
    /// own: a device may be dropped while the driver waits for it.
    pub(crate) fn sources(&self) -> io::Result<Vec<Source>> {
        let slots = self.slots.iter().enumerate();
        let used = slots.filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
        used.map(|(at, slot)| {
            let fd = slot.device.try_clone_fd()?;
            Ok(Source::new(at, slot.born, fd, slot.device.receiver()))
        })
        .collect()
    }

    /// Whether the device in `slot` is still the one that came with generation `born`.
    pub(crate) fn has(&self, slot: usize, born: u64) -> bool {
        self.slots.get(slot).and_then(Option::as_ref).is_some_and(|slot| slot.born == born)
    }

    /// Datagrams that a device refused, or whose interface was gone.
    pub(crate) fn send_errors(&self) -> u64 {
        self.send_errors
    }

    /// Brings everything to the capture file.
    pub(crate) fn flush_capture(&self) -> io::Result<()> {
        self.capture.as_ref().map_or(Ok(()), |capture| capture.lock().flush())
    }

    fn iface_mut(&mut self, id: IfaceId) -> Option<&mut Iface> {
        self.ifaces.get_mut(usize32(id.0))
    }
}

impl Slot {
    /// Sends what is to be sent; how many were refused.
    fn flush(&mut self) -> u64 {
        if self.outgoing.is_empty() {
            return 0;
        }
        self.device.send(&mut self.outgoing)
    }

    fn iface_for(&self, datagram: &Datagram) -> Option<IfaceId> {
        let first = self.ifaces.first().copied();
        if self.ifaces.len() < 2 {
            return first;
        }
        let to = destination(datagram);
        let known = self.addresses.iter().find(|&&(addr, _)| Some(addr) == to);
        known.map(|&(_, id)| id).or(first)
    }
}

/// The destination address of a packet (RFC 791 §3.1, RFC 8200 §3).
fn destination(datagram: &Datagram) -> Option<IpAddr> {
    let head: &[u8] = match datagram.header.is_empty() {
        true => datagram.payload.chunks().first()?,
        false => &datagram.header,
    };
    match head.first()? >> 4 {
        4 => Some(Ipv4Addr::from_octets(*head.get(16..)?.first_chunk()?).into()),
        6 => Some(Ipv6Addr::from_octets(*head.get(24..)?.first_chunk()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use manypath_device::{MemoryPort, Offload, memory};

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn packet_to(addr: IpAddr) -> Datagram {
        let mut bytes = vec![0; 20];
        bytes[0] = 0x45;
        if let IpAddr::V4(addr) = addr {
            bytes[16..20].copy_from_slice(&addr.octets());
        }
        Datagram { payload: Bytes::from(bytes).into(), ..Datagram::default() }
    }

    fn port() -> (MemoryPort, MemoryPort) {
        memory::pair(1400, Offload::FULL).expect("descriptors are left")
    }

    #[test]
    fn interfaces_that_share_a_device_are_told_apart_by_address() {
        let mut devices = Devices::new(None, Clock::start(), false);
        let slot = devices.add_device(Box::new(port().0));
        let a = devices.add_iface(slot, "a", &[A]);
        let b = devices.add_iface(slot, "b", &[B]);
        assert_eq!(devices.arrived(slot, Instant::ZERO, &packet_to(A)), Some(a));
        assert_eq!(devices.arrived(slot, Instant::ZERO, &packet_to(B)), Some(b));
        let other = packet_to(Ipv4Addr::LOCALHOST.into());
        assert_eq!(devices.arrived(slot, Instant::ZERO, &other), Some(a), "else the first");
        assert_eq!(devices.arrived(slot, Instant::ZERO, &Datagram::default()), Some(a));
        assert_eq!(devices.mtu(slot), 1400);
    }

    #[test]
    fn another_device_in_the_same_slot_is_another() {
        let mut devices = Devices::new(None, Clock::start(), false);
        let slot = devices.add_device(Box::new(port().0));
        let born = devices.generation();
        assert!(devices.has(slot, born));
        let a = devices.add_iface(slot, "a", &[A]);
        devices.remove_iface(a);
        assert!(!devices.has(slot, born));
        assert_eq!(devices.add_device(Box::new(port().0)), slot);
        assert!(!devices.has(slot, born) && devices.has(slot, devices.generation()));
    }

    #[test]
    fn a_device_goes_with_its_last_interface() {
        let mut devices = Devices::new(None, Clock::start(), false);
        let (near, mut far) = port();
        let slot = devices.add_device(Box::new(near));
        let (a, b) = (devices.add_iface(slot, "a", &[A]), devices.add_iface(slot, "b", &[B]));
        devices.send(b, packet_to(A), Instant::ZERO);
        devices.remove_iface(a);
        devices.send(a, packet_to(A), Instant::ZERO);
        devices.flush();
        assert_eq!(devices.send_errors(), 1, "of the one that is gone");
        assert_eq!(devices.sources().expect("works").len(), 1);
        let before = devices.generation();
        devices.remove_iface(b);
        assert_eq!(devices.sources().expect("works").len(), 0);
        assert_ne!(devices.generation(), before);
        let mut batch = Vec::new();
        assert_eq!(far.recv(&mut batch, 9).expect("works"), 1);
        assert_eq!(devices.name(b), "b");
    }
}
