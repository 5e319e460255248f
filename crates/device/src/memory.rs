//! Two devices joined in memory, for two stacks in one process.
//!
//! **Invariant**: a port's descriptor is readable exactly while datagrams wait for it, because the
//! queue and its eventfd change under one lock. **Leaves out** delay and loss: that is the
//! simulator's and the lab's.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use manypath_wire::Datagram;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{Device, Offload, cut};

/// Datagrams that may wait for each end; with super-segments that is up to 64 MiB.
pub const QUEUE_DATAGRAMS: usize = 1024;

/// Two ends of one cable: what one sends, the other receives, in order. What finds
/// [`QUEUE_DATAGRAMS`] waiting, or the other end gone, is dropped and counted.
///
/// # Errors
/// When the process has no descriptors left.
pub fn pair(mtu: u16, offload: Offload) -> io::Result<(MemoryPort, MemoryPort)> {
    let (a, b) = (Arc::new(Inbox::new()?), Arc::new(Inbox::new()?));
    let port = |own: &Arc<Inbox>, peer: &Arc<Inbox>| MemoryPort {
        own: Arc::clone(own),
        peer: Arc::clone(peer),
        mtu,
        offload,
        dropped: 0,
    };
    Ok((port(&a, &b), port(&b, &a)))
}

/// One end of a [`pair`]. Datagrams pass whole, without a copy.
#[derive(Debug)]
pub struct MemoryPort {
    own: Arc<Inbox>,
    peer: Arc<Inbox>,
    mtu: u16,
    offload: Offload,
    dropped: u64,
}

impl MemoryPort {
    /// Packets that were sent from here and dropped, because the queue was full or the other end
    /// was gone.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn pass(&mut self, packet: Datagram) -> io::Result<()> {
        if !self.peer.push(packet)? {
            self.dropped += 1;
        }
        Ok(())
    }
}

impl AsFd for MemoryPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.event.as_fd()
    }
}

impl Device for MemoryPort {
    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn offload(&self) -> Offload {
        self.offload
    }

    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        if cut::is_needed(datagram, self.offload) {
            return cut::wire_packets(datagram).try_for_each(|packet| self.pass(packet));
        }
        self.pass(datagram.clone())
    }

    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        self.own.pop(batch, limit)
    }
}

impl Drop for MemoryPort {
    fn drop(&mut self) {
        let mut queue = self.own.lock();
        queue.closed = true;
        queue.datagrams.clear();
    }
}

/// What waits for one end.
#[derive(Debug)]
struct Inbox {
    queue: Mutex<Queue>,
    event: EventFd,
}

#[derive(Debug, Default)]
struct Queue {
    datagrams: VecDeque<Datagram>,
    closed: bool,
}

impl Inbox {
    fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self { queue: Mutex::default(), event: EventFd::from_flags(flags)? })
    }

    /// The queue is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the datagram found room.
    fn push(&self, datagram: Datagram) -> io::Result<bool> {
        let mut queue = self.lock();
        if queue.closed || queue.datagrams.len() >= QUEUE_DATAGRAMS {
            return Ok(false);
        }
        if queue.datagrams.is_empty() {
            self.event.write(1)?;
        }
        queue.datagrams.push_back(datagram);
        Ok(true)
    }

    fn pop(&self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        let mut queue = self.lock();
        let n = limit.min(queue.datagrams.len());
        batch.extend(queue.datagrams.drain(..n));
        if n > 0 && queue.datagrams.is_empty() {
            self.event.read()?;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::time::Duration;

    fn packet(tag: u8) -> Datagram {
        Datagram { payload: Bytes::from(vec![tag; 3]).into(), ..Datagram::default() }
    }

    fn readable(port: &MemoryPort, wait: Duration) -> bool {
        let mut fds = [PollFd::new(port.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(wait).expect("short")).expect("poll works") == 1
    }

    #[test]
    fn packets_arrive_in_order_and_readiness_follows_the_queue() {
        let (mut a, mut b) = pair(1500, Offload::FULL).expect("descriptors are left");
        assert!(!readable(&b, Duration::ZERO));
        for tag in 0..3 {
            a.send(&packet(tag)).expect("a memory port takes every packet");
        }
        let mut batch = Vec::new();
        assert_eq!(b.recv(&mut batch, 2).expect("works"), 2);
        assert!(readable(&b, Duration::ZERO), "one still waits");
        assert_eq!(b.recv(&mut batch, 9).expect("works"), 1);
        assert!(!readable(&b, Duration::ZERO));
        assert_eq!(b.recv(&mut batch, 9).expect("works"), 0);
        assert_eq!(batch, [packet(0), packet(1), packet(2)]);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (mut a, mut b) = pair(1500, Offload::FULL).expect("descriptors are left");
        for _ in 0..QUEUE_DATAGRAMS + 5 {
            a.send(&packet(0)).expect("a drop is no error");
        }
        assert_eq!(a.dropped(), 5);
        let mut batch = Vec::new();
        assert_eq!(b.recv(&mut batch, usize::MAX).expect("works"), QUEUE_DATAGRAMS);
    }

    #[test]
    fn what_goes_to_a_dropped_end_is_counted() {
        let (mut a, b) = pair(1500, Offload::FULL).expect("descriptors are left");
        drop(b);
        a.send(&packet(0)).expect("a drop is no error");
        assert_eq!(a.dropped(), 1);
    }

    #[test]
    fn a_waiting_thread_is_woken() {
        let (mut a, mut b) = pair(1500, Offload::FULL).expect("descriptors are left");
        let waiter = std::thread::spawn(move || {
            let woken = readable(&b, Duration::from_secs(30));
            let mut batch = Vec::new();
            (woken, b.recv(&mut batch, 1).expect("works"))
        });
        a.send(&packet(7)).expect("works");
        assert_eq!(waiter.join().expect("the thread does not panic"), (true, 1));
    }
}
