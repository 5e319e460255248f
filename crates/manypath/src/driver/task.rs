//! The driver as a task of the tokio runtime that the application runs on.
//!
//! Where that has one thread, packets are read, taken in, read by the application, and answered
//! without a switch of threads: what a request costs most of its time, and a bulk transfer a half.
//! **Leaves out** protection from tasks that keep the thread to themselves.
//!
//! **Choice:** a `timerfd` for deadlines, since the runtime's timers have milliseconds.

use std::future::{self, Future as _};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use manypath_base::Instant;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Rounds, StopAtEnd};
use crate::error::Stopped;
use crate::shared::Core;
use crate::source::Source;

/// Starts the task, which `alarm` wakes, in a runtime.
///
/// `busy_poll` is how long it goes on asking the devices after something happened.
pub(crate) fn start(
    runtime: &Handle,
    core: Arc<Core>,
    alarm: Arc<Notify>,
    busy_poll: Duration,
) -> io::Result<()> {
    let _inside = runtime.enter();
    let timer = Timer::new()?;
    // Also where the runtime ends before the task begins.
    let stop = StopAtEnd(core);
    runtime.spawn(async move {
        // Ends with the last connection, or because someone panicked: the guard tells.
        let _stopped = run(&stop.0, &alarm, timer, busy_poll).await;
    });
    Ok(())
}

async fn run(
    core: &Core,
    alarm: &Notify,
    mut timer: Timer,
    busy_poll: Duration,
) -> Result<(), Stopped> {
    let (mut rounds, mut readiness) = (Rounds::default(), Readiness::default());
    loop {
        let (round, until) = rounds.round_by_turns(core).await?;
        if round.over {
            return Ok(());
        }
        readiness.follow(&rounds);
        if stay_ready(&mut rounds.sources) {
            yield_now().await;
            continue;
        }
        timer.set(until, core.clock().now());
        let busy_until = rounds.active_at + busy_poll;
        let mut rung = pin!(alarm.notified());
        future::poll_fn(|cx| {
            let rung = rung.as_mut().poll(cx).is_ready();
            let fired = timer.poll(cx).is_ready();
            if readiness.poll(cx, &mut rounds.sources) || rung || fired {
                return Poll::Ready(());
            }
            let busy = !busy_poll.is_zero() && core.clock().now() < busy_until;
            if busy && fetch(&mut rounds.sources) {
                return Poll::Ready(());
            }
            if busy {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

/// Marks the sources that may have more than came as ready; whether one is.
pub(super) fn stay_ready(sources: &mut [Source]) -> bool {
    let mut any = false;
    for source in sources {
        source.ready |= source.may_have_more();
        any |= source.ready;
    }
    any
}

/// Takes what has come, without having been told of it; whether there was something.
fn fetch(sources: &mut [Source]) -> bool {
    let mut any = false;
    for source in sources {
        source.ready = true;
        any |= source.fetch();
        source.ready = false;
    }
    any
}

/// Lets the tasks that were woken run; the runtime's own would ask the system for events first.
pub(super) async fn yield_now() {
    let mut yielded = false;
    future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[allow(deprecated, reason = "what took its place is unsafe, for types that are not an OwnedFd")]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// Whether devices have packets, as the runtime sees it: one descriptor for each source.
#[derive(Default)]
struct Readiness {
    fds: Vec<AsyncFd<OwnedFd>>,
    generation: u64,
}

impl Readiness {
    /// Follows devices that came and went.
    fn follow(&mut self, rounds: &Rounds) {
        if self.generation != rounds.generation {
            let fds = rounds.sources.iter().map(|source| watched(source.try_clone_fd()?));
            // Fails only where the process has no descriptors left, as above it.
            if let Ok(fds) = fds.collect::<io::Result<_>>() {
                self.fds = fds;
                self.generation = rounds.generation;
            }
        }
    }

    /// Marks the sources that have packets; whether one has.
    ///
    /// Readiness is told once and taken back here, before the packets are read until there is none
    /// or a batch is full; the latter [`Source::may_have_more`] knows.
    fn poll(&self, cx: &mut Context<'_>, sources: &mut [Source]) -> bool {
        let mut any = false;
        for (fd, source) in self.fds.iter().zip(sources) {
            while let Poll::Ready(Ok(mut guard)) = fd.poll_read_ready(cx) {
                guard.clear_ready();
                source.ready = true;
                any = true;
            }
        }
        any
    }
}

/// The next deadline, as a descriptor.
struct Timer {
    timer: TimerFd,
    /// Another descriptor of it, to wait with.
    fd: AsyncFd<OwnedFd>,
    /// When it fires; `None` if it does not.
    at: Option<Instant>,
}

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let fd = watched(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, fd, at: None })
    }

    /// Fires at `until` at the latest. Where it would fire before, that is left: nothing is lost by
    /// looking once more, and setting it is a call.
    fn set(&mut self, until: Option<Instant>, now: Instant) {
        let Some(until) = until else { return };
        if self.at.is_some_and(|at| at <= until) {
            return;
        }
        // A timer of zero would be none.
        let patience = until.since(now).max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from(patience));
        let set = self.timer.set(expiration, TimerSetTimeFlags::empty());
        set.expect("a positive time, and a timer of our own");
        self.at = Some(until);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut fired = Poll::Pending;
        while let Poll::Ready(Ok(mut guard)) = self.fd.poll_read_ready(cx) {
            guard.clear_ready();
            // It has expired, so that there is something to read; else it was set again since.
            if self.timer.wait().is_ok() {
                self.at = None;
            }
            fired = Poll::Ready(());
        }
        fired
    }
}
