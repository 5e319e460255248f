//! Many emulated links in one thread: packets from real devices through [`Link`]s to real devices.
//!
//! **Owns** the thread, its wakeups and the commands to it. **Invariants**: commands have taken
//! effect when they return; packets of one link and direction pass in the order of the model; a
//! super-segment is cut before it goes on a link, so that rate, queue and loss act on packets. The
//! thread ends, and the devices are closed, when the [`Emulator`] is dropped. **Leaves out** what
//! the devices are.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use manypath_base::{Instant, Rng};
use manypath_device::Device;
use manypath_link::{Link, LinkConfig, LinkStats};
use manypath_wire::{Coalescer, Datagram, segment, segment_offloaded};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;

use crate::clock;
use crate::middlebox::Middlebox;

/// Datagrams taken from one device in a round. A fast link has some hundred packets in one.
const BATCH: usize = 512;

/// Rounds are this part of the shortest delay apart, and at most [`MAX_GRAIN`]: waking up
/// for every packet costs a virtual machine more than the packets do, and what the emulator takes
/// from the processors the hosts at its ends lack.
const GRAIN_DIVISOR: u32 = 10;

/// See [`GRAIN_DIVISOR`] and [`Emulator::set_grain`].
const MAX_GRAIN: Duration = Duration::from_millis(1);

/// Which way a packet goes. End A is the client's in a [`crate::Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From end A to end B.
    Up,
    /// From end B to end A.
    Down,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// Which side of the link a tap saw a packet on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TapPoint {
    /// As it left the sending host: it may still be dropped.
    Sent,
    /// As it reached the receiving host.
    Delivered,
}

/// One packet as a tap sees it.
#[derive(Clone, Copy, Debug)]
pub struct Tapped<'a> {
    /// Number of the link, in the order of [`Emulator::start`].
    pub link: usize,
    /// Which way it goes.
    pub direction: Direction,
    /// Before or after the link.
    pub point: TapPoint,
    /// When.
    pub at: Instant,
    /// The packet.
    pub packet: &'a Datagram,
}

/// Sees every packet, in the emulator's thread: it must be quick.
pub type Tap = Box<dyn FnMut(&Tapped<'_>) + Send>;

/// A link to be emulated.
pub struct EmulatedLink {
    /// Its name, for people.
    pub name: String,
    /// The device at end A.
    pub a: Box<dyn Device>,
    /// The device at end B.
    pub b: Box<dyn Device>,
    /// What happens on the way from A to B.
    pub up: LinkConfig,
    /// What happens on the way from B to A.
    pub down: LinkConfig,
    /// Whether neighbours that are due in the same round are handed over as one super-segment, as a
    /// network card does with what one interrupt brings (GRO). A fast link costs a call a round
    /// then, not one a packet. The devices have to take super-segments, and checksums of packets that
    /// were cut stay theirs to complete, since the link harms no bits.
    pub joins: bool,
}

/// How well the emulator keeps its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmulatorStats {
    /// Packets handed to a device.
    pub delivered: u64,
    /// Packets that the receiving device refused.
    pub refused: u64,
    /// The sum of how much too late packets were delivered.
    pub late_total: Duration,
    /// The most that a packet was too late.
    pub late_max: Duration,
}

impl EmulatorStats {
    /// How much too late a packet was on average.
    #[must_use]
    pub fn late_mean(&self) -> Duration {
        let nanos = self.late_total.as_nanos() / u128::from(self.delivered.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Both directions of a link. The thread and the handles take turns.
struct Pair {
    up: Link<Datagram>,
    down: Link<Datagram>,
    middlebox: Option<Middlebox>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

impl Pair {
    /// Takes in what a host sent since the last round. The links count what they drop.
    ///
    /// Devices do not say when packets were sent: they count as spread over the round. Where the
    /// thread was held up for long they would else meet the queue all at once, which no link of
    /// this rate would have seen.
    fn push(&mut self, round: Range<Instant>, direction: Direction, packets: Vec<Datagram>) {
        let packets = match &mut self.middlebox {
            Some(middlebox) => middlebox(direction, packets),
            None => packets.into_iter().map(|packet| (direction, packet)).collect(),
        };
        let count = u32::try_from(packets.len()).unwrap_or(u32::MAX).max(1);
        let step = round.end.since(round.start) / count;
        let mut at = round.start;
        for (direction, packet) in packets {
            at += step;
            let _counted = self.side(direction).push(at, packet.len(), packet);
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Link<Datagram> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    fn next_event(&self) -> Option<Instant> {
        self.up.next_event().into_iter().chain(self.down.next_event()).min()
    }
}

/// What the thread shares with its owner.
#[derive(Debug)]
struct Control {
    wake: EventFd,
    stop: AtomicBool,
    /// The most that rounds are apart, in nanoseconds.
    grain: AtomicU64,
    stats: Mutex<EmulatorStats>,
}

impl Control {
    fn wake(&self) {
        // It fails only when the counter is full, and then the thread is awake.
        self.wake.write(1).ok();
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is behind a lock of this file is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Links that run. Dropping it ends them.
#[derive(Debug)]
pub struct Emulator {
    control: Arc<Control>,
    links: Vec<LinkHandle>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts the links. Chance follows `seed`.
    ///
    /// # Errors
    /// When the thread or its wake-up descriptor cannot be made.
    pub fn start(links: Vec<EmulatedLink>, seed: u64, tap: Option<Tap>) -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let (stop, stats) = (AtomicBool::new(false), Mutex::default());
        let grain = AtomicU64::new(nanos(MAX_GRAIN));
        let control = Arc::new(Control { wake, stop, grain, stats });
        let mut rng = Rng::seeded(seed);
        let (mut handles, mut running) = (Vec::new(), Vec::new());
        for EmulatedLink { name, a, b, up, down, joins } in links {
            let (up, down) = (Link::new(up, rng.fork()), Link::new(down, rng.fork()));
            let pair = Arc::new(Mutex::new(Pair { up, down, middlebox: None }));
            let (a, b) = (End::new(a), End::new(b));
            let looked_at = clock::now();
            running.push(Running { pair: Arc::clone(&pair), a, b, joins, looked_at });
            handles.push(LinkHandle { name, pair, control: Arc::clone(&control) });
        }
        let worker = Worker { control: Arc::clone(&control), links: running, tap };
        let thread = thread::Builder::new().name("emulator".into()).spawn(move || worker.run())?;
        Ok(Self { control, links: handles, thread: Some(thread) })
    }

    /// The links, in the order of [`Emulator::start`].
    #[must_use]
    pub fn links(&self) -> &[LinkHandle] {
        &self.links
    }

    /// Has rounds at most this far apart; 1 ms if not set.
    ///
    /// What the kernel answers to a packet that is delivered stands in the same round, before what
    /// processes answer. Where flows of both compete for a full queue, rounds have to be short beside
    /// the time that a packet takes, or the process is always the one that loses.
    pub fn set_grain(&self, most: Duration) {
        self.control.grain.store(nanos(most), Ordering::Release);
    }

    /// How well times were kept so far.
    #[must_use]
    pub fn stats(&self) -> EmulatorStats {
        *lock(&self.control.stats)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Release);
        self.control.wake();
        // A panic of the thread was printed by the thread.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Watches and changes one link while it runs.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    name: String,
    pair: Arc<Mutex<Pair>>,
    control: Arc<Control>,
}

impl LinkHandle {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Cuts both directions: a silent black hole, and what is under way vanishes.
    pub fn cut(&self) {
        let mut pair = lock(&self.pair);
        pair.up.cut();
        pair.down.cut();
    }

    /// Mends both directions.
    pub fn restore(&self) {
        let mut pair = lock(&self.pair);
        pair.up.restore();
        pair.down.restore();
    }

    /// Whether the link is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        lock(&self.pair).up.is_cut()
    }

    /// The configuration of one direction.
    #[must_use]
    pub fn config(&self, direction: Direction) -> LinkConfig {
        lock(&self.pair).side(direction).config().clone()
    }

    /// Changes one direction, see [`Link::set_config`].
    pub fn set(&self, direction: Direction, config: LinkConfig) {
        lock(&self.pair).side(direction).set_config(clock::now(), config);
        self.control.wake();
    }

    /// Puts a box in front of the link, at both ends the same one, or takes it away: what hosts
    /// send goes through it before rate, queue and loss.
    pub fn set_middlebox(&self, middlebox: Option<Middlebox>) {
        lock(&self.pair).middlebox = middlebox;
    }

    /// The counters of one direction.
    #[must_use]
    pub fn stats(&self, direction: Direction) -> LinkStats {
        lock(&self.pair).side(direction).stats(clock::now())
    }
}

/// One end of a link. A device that fails is not asked again.
struct End {
    device: Box<dyn Device>,
    gone: bool,
}

impl End {
    fn new(device: Box<dyn Device>) -> Self {
        Self { device, gone: false }
    }
}

struct Running {
    pair: Arc<Mutex<Pair>>,
    a: End,
    b: End,
    joins: bool,
    /// When the last round ended.
    looked_at: Instant,
}

/// What the thread owns.
struct Worker {
    control: Arc<Control>,
    links: Vec<Running>,
    tap: Option<Tap>,
}

impl Worker {
    fn run(mut self) {
        // The kernel's default lets a timer be 50 us late.
        prctl::set_timerslack(1).ok();
        let mut batch = Vec::with_capacity(BATCH);
        let grain = self.grain();
        while !self.control.stop.load(Ordering::Acquire) {
            thread::sleep(grain);
            let ready = self.wait();
            for (index, link) in self.links.iter_mut().enumerate() {
                for direction in Direction::BOTH {
                    if ready.contains(&(index, direction)) {
                        link.take_in(index, direction, &mut batch, &mut self.tap);
                    }
                }
            }
            let mut stats = lock(&self.control.stats);
            for (index, link) in self.links.iter_mut().enumerate() {
                for direction in Direction::BOTH {
                    link.deliver(index, direction, &mut self.tap, &mut stats);
                }
                link.looked_at = clock::now();
            }
        }
    }

    /// How long to rest between two rounds. Packets come by so much late at most.
    fn grain(&self) -> Duration {
        let delays = self.links.iter().map(|link| {
            let pair = lock(&link.pair);
            pair.up.config().delay.min(pair.down.config().delay)
        });
        let most = Duration::from_nanos(self.control.grain.load(Ordering::Acquire));
        delays.min().map_or(Duration::ZERO, |delay| (delay / GRAIN_DIVISOR).min(most))
    }

    /// Sleeps until a device has packets, a packet is due or a command came. Gives the devices
    /// that have packets, by link and by the direction that their packets go.
    fn wait(&self) -> Vec<(usize, Direction)> {
        let due = self.links.iter().filter_map(|link| lock(&link.pair).next_event()).min();
        let sleep = due.map(|due| TimeSpec::from_duration(due.since(clock::now())));
        let poll_in = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let ends = self.links.iter().enumerate().flat_map(|(index, link)| {
            [(index, Direction::Up, &link.a), (index, Direction::Down, &link.b)]
        });
        let ends: Vec<_> = ends.filter(|(.., end)| !end.gone).collect();
        let devices = ends.iter().map(|(.., end)| poll_in(end.device.as_fd()));
        let mut fds: Vec<_> = devices.chain([poll_in(self.control.wake.as_fd())]).collect();
        // Interrupted is as good as woken.
        ppoll(&mut fds, sleep, None).ok();
        if fds.pop().is_some_and(|fd| fd.any() == Some(true)) {
            self.control.wake.read().ok();
        }
        let ready = ends.iter().zip(&fds).filter(|(_, fd)| fd.any() == Some(true));
        ready.map(|((index, direction, _), _)| (*index, *direction)).collect()
    }
}

impl Running {
    /// Moves what waits in the sending device to the link, packet by packet.
    fn take_in(
        &mut self,
        index: usize,
        direction: Direction,
        batch: &mut Vec<Datagram>,
        tap: &mut Option<Tap>,
    ) {
        let end = match direction {
            Direction::Up => &mut self.a,
            Direction::Down => &mut self.b,
        };
        end.gone = end.device.recv(batch, BATCH).is_err();
        let at = clock::now();
        let cut = if self.joins { segment_offloaded } else { segment };
        let packets: Vec<_> = batch.drain(..).flat_map(cut).collect();
        if let Some(tap) = tap {
            let point = TapPoint::Sent;
            let see = |packet| tap(&Tapped { link: index, direction, point, at, packet });
            packets.iter().for_each(see);
        }
        lock(&self.pair).push(self.looked_at.min(at)..at, direction, packets);
    }

    /// Hands what is due to the receiving device.
    fn deliver(
        &mut self,
        index: usize,
        direction: Direction,
        tap: &mut Option<Tap>,
        stats: &mut EmulatorStats,
    ) {
        let end = match direction {
            Direction::Up => &mut self.b,
            Direction::Down => &mut self.a,
        };
        let (mut joined, mut held) = (Coalescer::default(), 0);
        let (mut delivered, mut refused) = (0, 0);
        let mut hand = |packet: &Datagram, count: u64| match end.device.send(packet) {
            Ok(()) => delivered += count,
            Err(_) => refused += count,
        };
        loop {
            let mut pair = lock(&self.pair);
            let link = pair.side(direction);
            let (at, due) = (clock::now(), link.next_event());
            let Some(packet) = link.pop(at) else { break };
            drop(pair);
            if let Some(tap) = tap {
                let point = TapPoint::Delivered;
                tap(&Tapped { link: index, direction, point, at, packet: &packet });
            }
            let late = due.map_or(Duration::ZERO, |due| at.since(due));
            stats.late_total += late;
            stats.late_max = stats.late_max.max(late);
            if !self.joins {
                hand(&packet, 1);
                continue;
            }
            if let Some(whole) = joined.push(packet) {
                hand(&whole, std::mem::take(&mut held));
            }
            held += 1;
        }
        joined.flush().iter().for_each(|whole| hand(whole, held));
        stats.delivered += delivered;
        stats.refused += refused;
    }
}
