//! What a shard sends on one device: written by who sends or, where writing takes most of the time, by
//! a thread of its own, so that the stack goes on meanwhile.
//!
//! Of what sending costs, four fifths are the device's: the copy into the kernel's buffers and, to a
//! peer within this host, the way to its socket. With a processor to spare two can share the work.
//!
//! **Invariants**: datagrams leave in the order in which they were given; a few short ones do not wait for
//! another thread unless others do; at most [`WAITING`] bytes and what is given at once wait for
//! it, and who has more waits, as it would for the device itself; what waits is written before the device is
//! closed. **Leaves out** what is sent, and when (`devices`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use manypath_base::{Instant, len64};
use manypath_device::{Device, Receiver};
use manypath_wire::Datagram;
use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;

/// Bytes that may wait for the thread: what keeps it busy while the stack does something else.
const WAITING: usize = 4 << 20;
/// What is shorter together costs less to write than to hand over.
const SHORT: usize = 4 << 10;
/// How long writing is watched before its share of the time is known.
const WATCH: Duration = Duration::from_millis(1);

/// A device, and what it is to send.
pub(crate) struct Outbox {
    shared: Arc<Shared>,
    mtu: u16,
    /// Where there may be a thread and is none yet.
    may_start: bool,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    clock: Clock,
    hand: Mutex<Hand>,
    /// [`Load::high`], for who does not have the device in hand.
    loaded: AtomicBool,
    /// Datagrams that the device refused, and nobody has heard of yet.
    refused: AtomicU64,
    queue: Mutex<Queue>,
    /// There is something to write, or room again: never do both sides wait.
    changed: Condvar,
}

/// What writes has it in hand.
struct Hand {
    device: Box<dyn Device>,
    /// `None` where no thread may write, whatever it is.
    load: Option<Load>,
}

/// What waits for the thread.
#[derive(Default)]
struct Queue {
    waiting: Vec<Datagram>,
    bytes: usize,
    /// The thread writes what it took before.
    writing: bool,
    /// Nothing comes any more, or nobody takes it.
    closed: bool,
}

/// Which share of the time is spent on writing.
struct Load {
    since: Instant,
    writing: Duration,
    /// It was more than a half.
    high: bool,
}

impl Outbox {
    /// `apart` where another thread may write, if that helps.
    pub(crate) fn new(device: Box<dyn Device>, clock: Clock, apart: bool) -> Self {
        let mtu = device.mtu();
        // The others are read through the same hands.
        let may_start = apart && device.receiver().is_some();
        let shared = Shared {
            hand: Mutex::new(Hand { device, load: may_start.then(|| Load::new(clock.now())) }),
            clock,
            loaded: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            queue: Mutex::default(),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared), mtu, may_start, writer: None }
    }

    /// The longest packet, in bytes.
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// A descriptor of one's own that is readable while packets wait.
    pub(crate) fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        self.shared.hand.lock().device.as_fd().try_clone_to_owned()
    }

    /// As [`Device::receiver`].
    pub(crate) fn receiver(&self) -> Option<Box<dyn Receiver>> {
        self.shared.hand.lock().device.receiver()
    }

    /// As [`Device::recv`].
    pub(crate) fn recv(&self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        self.shared.hand.lock().device.recv(batch, limit)
    }

    /// Sends all, or hands them over; how many were refused since this was called last.
    pub(crate) fn send(&mut self, datagrams: &mut Vec<Datagram>) -> u64 {
        if !self.has_writer() || !self.shared.hand_over(datagrams) {
            self.shared.write(datagrams);
            datagrams.clear();
        }
        self.shared.refused.swap(0, Ordering::Relaxed)
    }

    /// Whether there is a thread, which starts when it is first worth while.
    fn has_writer(&mut self) -> bool {
        if self.may_start && self.shared.loaded.load(Ordering::Relaxed) {
            self.start();
        }
        self.writer.is_some()
    }

    fn start(&mut self) {
        self.may_start = false;
        let shared = Arc::clone(&self.shared);
        let named = thread::Builder::new().name("manypath-write".to_owned());
        // Where the system has no threads left, who sends goes on writing.
        self.writer = named.spawn(move || WriterThread(shared).run()).ok();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take() {
            // One that panicked closed the queue, and has nothing more to say.
            let _panicked = writer.join();
        }
    }
}

impl Shared {
    /// Puts all into the queue; `false` where the caller shall write them.
    fn hand_over(&self, datagrams: &mut Vec<Datagram>) -> bool {
        let bytes: usize = datagrams.iter().map(|datagram| datagram.payload.len()).sum();
        let mut queue = self.queue.lock();
        let idle = queue.waiting.is_empty() && !queue.writing;
        if idle && (bytes < SHORT || !self.loaded.load(Ordering::Relaxed)) {
            return false;
        }
        self.changed.wait_while(&mut queue, |queue| queue.bytes > WAITING && !queue.closed);
        if queue.closed {
            return false;
        }
        queue.waiting.append(datagrams);
        queue.bytes += bytes;
        if !queue.writing {
            self.changed.notify_one();
        }
        true
    }

    fn write(&self, datagrams: &[Datagram]) {
        let Hand { device, load } = &mut *self.hand.lock();
        let began = load.is_some().then(|| self.clock.now());
        let refused = device.send_all(datagrams);
        if let (Some(load), Some(began)) = (load, began) {
            load.note(began, self.clock.now());
            self.loaded.store(load.high, Ordering::Relaxed);
        }
        self.refused.fetch_add(len64(refused), Ordering::Relaxed);
    }

    fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }
}

/// The thread's side. Nobody waits for it any more once it has ended, however that comes.
struct WriterThread(Arc<Shared>);

impl WriterThread {
    fn run(&self) {
        let mut mine = Vec::new();
        while self.take(&mut mine) {
            self.0.write(&mine);
            mine.clear();
        }
    }

    /// Takes all that waits, or will; `false` where nothing will.
    fn take(&self, mine: &mut Vec<Datagram>) -> bool {
        let mut queue = self.0.queue.lock();
        queue.writing = false;
        self.0.changed.wait_while(&mut queue, |queue| queue.waiting.is_empty() && !queue.closed);
        std::mem::swap(&mut queue.waiting, mine);
        queue.writing = !mine.is_empty();
        let full = std::mem::take(&mut queue.bytes) > WAITING;
        drop(queue);
        if full {
            self.0.changed.notify_one();
        }
        !mine.is_empty()
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Load {
    fn new(now: Instant) -> Self {
        Self { since: now, writing: Duration::ZERO, high: false }
    }

    fn note(&mut self, began: Instant, ended: Instant) {
        self.writing += ended.since(began);
        let watched = ended.since(self.since);
        if watched >= WATCH {
            let high = self.writing > watched / 2;
            *self = Self { high, ..Self::new(ended) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::sync::mpsc;

    use bytes::Bytes;
    use manypath_device::{MemoryPort, Offload, memory};

    use super::*;

    /// Says what it is given, refuses what is empty, and lets `gate` hold it up.
    struct Told {
        port: MemoryPort,
        gate: Arc<Mutex<()>>,
        told: mpsc::Sender<usize>,
    }

    struct Nothing;

    impl Receiver for Nothing {
        fn recv(&mut self, _: &mut Vec<Datagram>, _: usize) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl AsFd for Told {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.port.as_fd()
        }
    }

    impl Device for Told {
        fn mtu(&self) -> u16 {
            self.port.mtu()
        }

        fn offload(&self) -> Offload {
            self.port.offload()
        }

        fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
            let _held_up = self.gate.lock();
            match datagram.payload.len() {
                0 => Err(io::ErrorKind::InvalidInput.into()),
                len => self.told.send(len).map_err(io::Error::other),
            }
        }

        fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
            self.port.recv(batch, limit)
        }

        fn receiver(&self) -> Option<Box<dyn Receiver>> {
            Some(Box::new(Nothing))
        }
    }

    type Gate = Arc<Mutex<()>>;

    fn outbox(apart: bool) -> (Outbox, Gate, mpsc::Receiver<usize>) {
        let (port, _) = memory::pair(1_500, Offload::FULL).expect("descriptors are left");
        let ((told, hears), gate) = (mpsc::channel(), Gate::default());
        let device = Told { port, gate: Arc::clone(&gate), told };
        (Outbox::new(Box::new(device), Clock::start(), apart), gate, hears)
    }

    fn of(len: usize) -> Datagram {
        Datagram { payload: Bytes::from(vec![7; len]).into(), ..Datagram::default() }
    }

    fn send(outbox: &mut Outbox, lens: impl IntoIterator<Item = usize>) -> u64 {
        outbox.send(&mut lens.into_iter().map(of).collect())
    }

    /// With its thread, whatever the load is.
    fn loaded(outbox: &mut Outbox) {
        outbox.start();
        outbox.shared.loaded.store(true, Ordering::Relaxed);
    }

    #[test]
    fn who_seldom_writes_has_no_thread() {
        let (mut outbox, _, hears) = outbox(true);
        assert_eq!(send(&mut outbox, [1, 0, SHORT]), 1);
        assert!(outbox.writer.is_none());
        assert_eq!(hears.try_iter().collect::<Vec<_>>(), [1, SHORT], "they have been written");
    }

    #[test]
    fn a_thread_starts_where_writing_takes_most_of_the_time_and_it_may() {
        for apart in [false, true] {
            let (mut outbox, ..) = outbox(apart);
            outbox.shared.loaded.store(true, Ordering::Relaxed);
            send(&mut outbox, [1]);
            assert_eq!(outbox.writer.is_some(), apart);
        }
    }

    #[test]
    fn what_is_handed_over_leaves_in_its_order_and_who_sends_goes_on() {
        let (mut outbox, gate, hears) = outbox(true);
        loaded(&mut outbox);
        let held_up = gate.lock();
        let lens = (0..200).map(|n| if n % 3 == 0 { n + 1 } else { SHORT + n });
        for len in lens.clone().rev() {
            outbox.shared.loaded.store(true, Ordering::Relaxed);
            // The first is long, and the short ones behind it wait for their turn, too.
            send(&mut outbox, [len]);
        }
        assert!(hears.try_recv().is_err());
        drop(held_up);
        drop(outbox);
        assert!(hears.iter().eq(lens.rev()), "all of them, before the device was closed");
    }

    #[test]
    fn a_short_one_leaves_at_once_where_nothing_waits() {
        let (mut outbox, _, hears) = outbox(true);
        loaded(&mut outbox);
        send(&mut outbox, [SHORT - 1]);
        assert_eq!(hears.try_recv(), Ok(SHORT - 1));
    }

    #[test]
    fn what_the_thread_saw_refused_is_told_later() {
        let (mut outbox, _, hears) = outbox(true);
        loaded(&mut outbox);
        let mut refused = send(&mut outbox, [0, SHORT, 0]);
        assert_eq!(hears.recv(), Ok(SHORT));
        while refused < 2 {
            refused += send(&mut outbox, [1]);
        }
        assert_eq!(refused, 2);
    }

    #[test]
    fn who_is_faster_than_the_device_waits_for_it() {
        let (mut outbox, gate, hears) = outbox(true);
        loaded(&mut outbox);
        let held_up = gate.lock();
        let shared = Arc::clone(&outbox.shared);
        let each = WAITING / 8;
        let sends = thread::spawn(move || {
            for _ in 0..64 {
                outbox.shared.loaded.store(true, Ordering::Relaxed);
                send(&mut outbox, [each]);
            }
        });
        // It stops when there is more than may wait.
        while shared.queue.lock().bytes <= WAITING {
            thread::yield_now();
        }
        drop(held_up);
        let most = hears.iter().take(64).map(|_| shared.queue.lock().bytes).max();
        assert!(most.expect("they were sent") <= WAITING + each);
        sends.join().expect("it does not panic");
    }

    #[test]
    fn load_is_the_share_of_the_time_that_writing_takes() {
        let us = |n| Instant::ZERO + Duration::from_micros(n);
        let mut load = Load::new(us(0));
        load.note(us(0), us(999));
        assert!(!load.high, "not for so short a time");
        load.note(us(999), us(1_000));
        assert!(load.high);
        load.note(us(1_400), us(1_900));
        load.note(us(1_900), us(2_000));
        assert!(load.high, "6 of 10");
        load.note(us(2_600), us(3_000));
        assert!(!load.high, "4 of 10");
        load.note(us(9_000), us(9_500));
        assert!(!load.high, "what has only just begun");
    }
}
