//! What the driver and the application's calls share, behind one lock: a shard of the endpoint.
//!
//! **Owns** the only way to touch the endpoint: [`Core::with`] locks, reads the clock, lets one
//! thing be done, drains packets and events dry in the caller's own thread, and wakes the driver
//! only where a deadline moved before the moment it wakes by itself. Where the driver is awake and
//! waits for the lock, draining is left to it: two that send by turns would wait for each other. Where
//! it lets the application go first ([`Core::take_in`]), what is to be sent waits for what that says. **Invariants**: wakers run
//! after the lock is released; a panic under the lock stops the endpoint for good, because its
//! state may be half changed. **Leaves out** waiting (`driver`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use manypath_base::{Instant, usize32};
use manypath_mptcp::{self as mptcp, ConnId, ConnectionError, Event, Handover, ListenerId};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::clock::Clock;
use crate::devices::Devices;
use crate::error::Stopped;
use crate::events::{Events, Subscribers};
use crate::post::Post;

/// Wakers of one round; mostly one or two.
type Wakes = SmallVec<[Waker; 4]>;

/// A shard as its driver has it.
pub(crate) struct Core {
    state: Mutex<State>,
    /// The driver is awake and has yet to take the lock: it will send what is to be sent, so that
    /// nobody else needs to hold the lock that long. Cleared under the lock.
    driver_comes: AtomicBool,
    clock: Clock,
    shard: usize,
    post: Arc<Post>,
}

/// What the lock protects.
pub(crate) struct State {
    pub(crate) endpoint: mptcp::Endpoint,
    pub(crate) devices: Devices,
    pub(crate) conns: HashMap<ConnId, Conn>,
    pub(crate) listeners: HashMap<ListenerId, Vec<Waker>>,
    subscribers: Arc<Mutex<Subscribers>>,
    /// Those who wait until the endpoint is at rest.
    pub(crate) resting: Vec<Waker>,
    post: Arc<Post>,
    /// What others handed over; empty between calls.
    mail: Vec<Handover>,
    wakes: Wakes,
    driver: Driver,
    /// Tasks were woken that may have something to say; the driver sends after their turn.
    awaits_application: bool,
    /// No application holds the endpoint or anything of it: the driver ends with the last
    /// connection.
    orphaned: bool,
    /// It was told that there is nothing left to do.
    done: bool,
    /// Set while someone works under the lock; found set, it means that this one panicked.
    broken: bool,
}

/// When the driver looks next without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    /// It is about to look.
    Runs,
    /// It sleeps; `None` is without end.
    SleepsUntil(Option<Instant>),
}

/// What the application's side of a connection waits for.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Waits for the handshake, or for the end.
    pub(crate) watcher: Option<Waker>,
    pub(crate) established: bool,
    /// The send buffer was full, and no [`Event::Writable`] has come since.
    pub(crate) full: bool,
    pub(crate) end: Option<End>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Failed(ConnectionError),
}

/// Keeps a waker, without cloning it where it is the one that is kept.
pub(crate) fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) => kept.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

impl Core {
    pub(crate) fn new(
        endpoint: mptcp::Endpoint,
        devices: Devices,
        clock: Clock,
        post: Arc<Post>,
        subscribers: Arc<Mutex<Subscribers>>,
    ) -> Self {
        let shard = usize32(endpoint.shard().index());
        let state = State {
            endpoint,
            devices,
            conns: HashMap::new(),
            listeners: HashMap::new(),
            subscribers,
            resting: Vec::new(),
            post: Arc::clone(&post),
            mail: Vec::new(),
            wakes: Wakes::new(),
            driver: Driver::Runs,
            awaits_application: false,
            orphaned: false,
            done: false,
            broken: false,
        };
        let driver_comes = AtomicBool::new(false);
        Self { state: Mutex::new(state), driver_comes, clock, shard, post }
    }

    /// Does one thing to the endpoint, and what follows from it: packets leave in this thread, as
    /// a system call would send them, unless the driver is about to send them.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State, Instant) -> R) -> Result<R, Stopped> {
        let state = self.enter()?;
        self.finish(state, f)
    }

    fn finish<R>(
        &self,
        mut state: MutexGuard<'_, State>,
        f: impl FnOnce(&mut State, Instant) -> R,
    ) -> Result<R, Stopped> {
        let now = self.clock.now();
        let result = f(&mut state, now);
        let driver_comes = self.driver_comes.load(Ordering::Relaxed);
        if !driver_comes {
            state.drain(now);
        }
        let ring = !driver_comes && state.must_wake_driver();
        self.leave(state, false);
        if ring {
            self.ring();
        }
        Ok(result)
    }

    /// As [`Core::with`], by one who reads: acknowledgments of what it reads wait for what the
    /// application says next, where the driver gave it a turn for that.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&mut State, Instant) -> R) -> Result<R, Stopped> {
        let mut state = self.enter()?;
        if state.awaits_application {
            let result = f(&mut state, self.clock.now());
            self.leave(state, false);
            return Ok(result);
        }
        self.finish(state, f)
    }

    /// No application holds the endpoint any more.
    pub(crate) fn orphan(&self) {
        let orphan = |state: &mut State| {
            state.orphaned = true;
            // Nobody is left who could be told.
            let _error = state.devices.flush_capture();
        };
        // A stopped endpoint has no driver to tell.
        let _stopped = self.peek(orphan);
        self.ring();
    }

    /// Looks at the state, or changes what no packet follows from.
    pub(crate) fn peek<R>(&self, f: impl FnOnce(&mut State) -> R) -> Result<R, Stopped> {
        let mut state = self.enter()?;
        let result = f(&mut state);
        self.leave(state, false);
        Ok(result)
    }

    /// The first half of [`Core::drive`], for a driver that can let the application have its turn
    /// before it sends. Returns how many were woken, for whom that is worth while.
    pub(crate) fn take_in<R>(
        &self,
        f: impl FnOnce(&mut State, Instant) -> R,
    ) -> Result<(R, usize), Stopped> {
        let mut state = self.enter()?;
        self.driver_comes.store(false, Ordering::Relaxed);
        state.driver = Driver::Runs;
        let result = f(&mut state, self.clock.now());
        state.tell();
        state.awaits_application = !state.wakes.is_empty();
        let woken = state.wakes.len();
        self.leave(state, true);
        Ok((result, woken))
    }

    /// As [`Core::with`], by the driver: it says how long it will sleep now.
    pub(crate) fn drive<R>(
        &self,
        f: impl FnOnce(&mut State, Instant) -> R,
        sleep: impl FnOnce(&R, Option<Instant>) -> Option<Instant>,
    ) -> Result<(R, Option<Instant>), Stopped> {
        let mut state = self.enter()?;
        self.driver_comes.store(false, Ordering::Relaxed);
        let now = self.clock.now();
        state.driver = Driver::Runs;
        state.awaits_application = false;
        let result = f(&mut state, now);
        state.drain(now);
        let until = sleep(&result, state.endpoint.poll_timeout());
        state.driver = Driver::SleepsUntil(until);
        self.leave(state, true);
        Ok((result, until))
    }

    /// The driver is awake: [`Core::drive`] follows.
    pub(crate) fn note_driver_awake(&self) {
        self.driver_comes.store(true, Ordering::Relaxed);
    }

    /// Makes the driver look.
    pub(crate) fn ring(&self) {
        self.post.ring(self.shard);
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Ends everything: whoever waits is woken, and finds the endpoint stopped; so do the drivers of
    /// the other shards.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.broken = true;
        let State { conns, listeners, subscribers, resting, .. } = &mut *state;
        let mut wakes: Vec<_> = listeners.drain().flat_map(|(_, wakers)| wakers).collect();
        for conn in conns.values_mut() {
            wakes.extend(
                [&mut conn.reader, &mut conn.writer, &mut conn.watcher]
                    .map(Option::take)
                    .into_iter()
                    .flatten(),
            );
        }
        wakes.append(resting);
        subscribers.lock().close();
        drop(state);
        self.post.stop();
        wakes.into_iter().for_each(Waker::wake);
    }

    fn enter(&self) -> Result<MutexGuard<'_, State>, Stopped> {
        let mut state = self.state.lock();
        if state.broken || self.post.is_stopped() {
            // The one who panicked could not say so.
            drop(state);
            self.ring();
            return Err(Stopped);
        }
        state.broken = true;
        Ok(state)
    }

    /// `fair` hands the lock to one who waits for it, if there is one.
    fn leave(&self, mut state: MutexGuard<'_, State>, fair: bool) {
        state.broken = false;
        let wakes = std::mem::take(&mut state.wakes);
        if fair {
            MutexGuard::unlock_fair(state);
        } else {
            drop(state);
        }
        wakes.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// What happens from now on, in all shards.
    pub(crate) fn subscribe(&self) -> Events {
        self.subscribers.lock().subscribe()
    }

    /// Sends what is to be sent and tells what is to be told.
    fn drain(&mut self, now: Instant) {
        self.hand_over();
        while let Some(mptcp::Transmit { iface, datagram }) = self.endpoint.poll_transmit(now) {
            self.devices.send(iface, datagram, now);
        }
        self.devices.flush();
        self.hand_over();
        self.tell();
    }

    /// Hands over what is for other shards.
    fn hand_over(&mut self) {
        while let Some((to, handover)) = self.endpoint.poll_handover() {
            self.post.hand_over(usize32(to), handover);
        }
    }

    /// Takes in what other shards handed over; whether there was something.
    pub(crate) fn take_mail(&mut self, now: Instant) -> bool {
        self.post.take(self.shard(), &mut self.mail);
        let any = !self.mail.is_empty();
        for handover in self.mail.drain(..) {
            self.endpoint.handle_handover(now, handover);
        }
        any
    }

    /// Packets for this shard that others could not hand over.
    pub(crate) fn lost(&self) -> u64 {
        self.post.lost(self.shard())
    }

    fn shard(&self) -> usize {
        usize32(self.endpoint.shard().index())
    }

    /// Whether nothing is left to do, here and in the other shards.
    pub(crate) fn is_over(&mut self) -> bool {
        let done = self.orphaned && self.endpoint.is_empty();
        if done != std::mem::replace(&mut self.done, done) {
            self.post.note_done(done);
        }
        self.post.is_over()
    }

    /// Tells what is to be told.
    fn tell(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.on_event(event);
        }
        if !self.resting.is_empty() && self.endpoint.is_at_rest() {
            self.wakes.extend(self.resting.drain(..));
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Readable(id) => return self.wake(id, |conn| conn.reader.take()),
            Event::Writable(id) => return self.wake(id, Conn::writable),
            Event::Established(id) => self.wake(id, Conn::established),
            Event::Closed(id, error) => self.on_closed(id, error),
            Event::Incoming(listener) => {
                let wakers = self.listeners.get_mut(&listener).map(std::mem::take);
                self.wakes.extend(wakers.into_iter().flatten());
            }
            _ => {}
        }
        self.subscribers.lock().tell(event);
    }

    fn on_closed(&mut self, id: ConnId, error: Option<ConnectionError>) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.end = Some(error.map_or(End::Closed, End::Failed));
        }
        self.wake(id, |conn| conn.reader.take());
        self.wake(id, Conn::writable);
        self.wake(id, |conn| conn.watcher.take());
    }

    fn wake(&mut self, id: ConnId, which: impl FnOnce(&mut Conn) -> Option<Waker>) {
        self.wakes.extend(self.conns.get_mut(&id).and_then(which));
    }

    /// Whether the driver would wake too late. If so it is taken as woken.
    fn must_wake_driver(&mut self) -> bool {
        let Driver::SleepsUntil(until) = self.driver else { return false };
        let deadline = self.endpoint.poll_timeout();
        let late = deadline.is_some_and(|d| until.is_none_or(|u| d < u));
        if late {
            self.driver = Driver::Runs;
        }
        late
    }
}

impl Conn {
    /// As it is after the handshake.
    pub(crate) fn accepted() -> Self {
        Self { established: true, ..Self::default() }
    }

    fn writable(&mut self) -> Option<Waker> {
        self.full = false;
        self.writer.take()
    }

    fn established(&mut self) -> Option<Waker> {
        self.established = true;
        self.watcher.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Alarm;
    use crate::{ConnectOptions, Path, builder::add_device};
    use manypath_base::Rng;
    use manypath_device::{Device, Offload, memory};

    /// An endpoint with a path, and what stands at the other end of its device.
    fn core() -> (Arc<Core>, memory::MemoryPort) {
        let (near, far) = memory::pair(1400, Offload::FULL).expect("descriptors are left");
        let endpoint = mptcp::Endpoint::new(mptcp::EndpointConfig::default(), Rng::seeded(1));
        let (_, alarm) = Alarm::of_task();
        let post = Arc::new(Post::new([alarm]));
        let clock = Clock::start();
        let devices = Devices::new(None, clock.clone(), false);
        let core = Core::new(endpoint, devices, clock, post, Arc::default());
        let paths = [Path::new("0", [10, 0, 0, 1].into())];
        let core = Arc::new(core);
        add_device(&[Arc::clone(&core)], Box::new(near), &paths).expect("there is a path");
        (core, far)
    }

    fn connect(state: &mut State, now: Instant) {
        let to = ([10, 0, 0, 2], 80).into();
        state.endpoint.connect(now, to, &ConnectOptions::default()).expect("begins");
    }

    #[test]
    fn packets_are_left_to_a_driver_that_is_awake() {
        let (core, mut far) = core();
        let mut sent = || far.recv(&mut Vec::new(), 9).expect("works");

        core.with(connect).expect("nobody panicked");
        assert_eq!(sent(), 1, "the driver sleeps");
        core.note_driver_awake();
        core.with(connect).expect("nobody panicked");
        assert_eq!(sent(), 0);
        core.drive(|_, _| (), |(), until| until).expect("nobody panicked");
        assert_eq!(sent(), 1, "by the driver");
        core.with(connect).expect("nobody panicked");
        assert_eq!(sent(), 1, "the driver sleeps again");
    }

    #[test]
    fn what_is_to_be_sent_waits_for_those_who_were_woken() {
        let (core, mut far) = core();
        let mut sent = || far.recv(&mut Vec::new(), 9).expect("works");
        let wake = |state: &mut State, now| {
            state.wakes.push(Waker::noop().clone());
            connect(state, now);
        };

        assert_eq!(core.take_in(wake).expect("nobody panicked"), ((), 1));
        core.read(|_, _| ()).expect("nobody panicked");
        assert_eq!(sent(), 0, "a reader may have something to say");
        core.drive(|_, _| (), |(), until| until).expect("nobody panicked");
        assert_eq!(sent(), 1);
        core.read(connect).expect("nobody panicked");
        assert_eq!(sent(), 1, "the turn is over");
        core.take_in(wake).expect("nobody panicked");
        core.with(|_, _| ()).expect("nobody panicked");
        assert_eq!(sent(), 1, "somebody has spoken");
        assert_eq!(core.take_in(|_, _| ()).expect("nobody panicked"), ((), 0));
    }
}
