//! The thread that waits: for packets, for the next deadline, or to be told.
//!
//! **Invariants**: between two sleeps it takes a bounded number of datagrams from every device
//! before it takes the lock, takes them in under one hold of it, and then hands it to whoever waits
//! for it; what came before a deadline is read before the deadline is acted upon. **Leaves out** how
//! a device is read (`source`), and what applications do in their own threads: see [`Core::with`].
//!
//! **Choice:** a thread of its own and `ppoll`, not a task: it works under any runtime, is not
//! delayed by a busy one, and sleeps with nanoseconds where timers of runtimes have milliseconds.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use manypath_base::Instant;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;

use crate::error::Stopped;
use crate::shared::{Core, State};
use crate::source::{BATCH, Source};

/// Rounds in a row in which deadlines wait for what a device still holds: 512 datagrams, as many
/// as a device commonly queues.
const PATIENCE: u32 = 32;

/// After something happened the driver looks again this early. Otherwise every request would wake
/// it for the retransmission timer that it sets and that the response deletes.
const LULL: Duration = Duration::from_millis(10);

/// Starts the thread.
pub(crate) fn start(core: Arc<Core>) -> io::Result<()> {
    std::thread::Builder::new().name("manypath".to_owned()).spawn(move || {
        let _stop = StopAtEnd(&core);
        // Without it the kernel may wake the thread up to 50 us late.
        let _default_slack = prctl::set_timerslack(1);
        // Ends with the last connection, or because someone panicked: the guard tells.
        let _stopped = run(&core);
    })?;
    Ok(())
}

/// Wakes all who wait when the driver ends, however that comes.
struct StopAtEnd<'a>(&'a Core);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn run(core: &Core) -> Result<(), Stopped> {
    let mut waiter = Waiter::default();
    loop {
        core.note_driver_awake();
        let read_at = core.clock().now();
        waiter.sources.iter_mut().for_each(Source::fetch);
        let serve = |state: &mut State, now| serve(state, now, read_at, &mut waiter);
        let sleep = |round: &Round, deadline: Option<Instant>| round.sleep(deadline);
        let (round, until) = core.drive(serve, sleep)?;
        if round.over {
            return Ok(());
        }
        waiter.wait(core, until);
    }
}

/// What one round did.
struct Round {
    /// When it began.
    now: Instant,
    /// Whether anything was there to do.
    active: bool,
    /// Nobody holds the endpoint, and no connection is left.
    over: bool,
}

impl Round {
    /// How long to sleep after it.
    fn sleep(&self, deadline: Option<Instant>) -> Option<Instant> {
        let lull = self.active.then(|| self.now + LULL);
        deadline.into_iter().chain(lull).min()
    }
}

/// Takes in what was read, from `read_at` on, and acts on the deadlines that had passed by then.
fn serve(state: &mut State, now: Instant, read_at: Instant, waiter: &mut Waiter) -> Round {
    let (mut active, mut more) = (false, false);
    for source in &mut waiter.sources {
        let got = source.hand_over(state, now);
        active |= got > 0;
        more |= got == BATCH;
    }
    if !waiter.is_behind(more) && is_due(state, read_at) {
        state.endpoint.handle_timeout(now);
        active = true;
    }
    waiter.follow(state);
    Round { now, active, over: state.orphaned && state.endpoint.is_empty() }
}

fn is_due(state: &State, now: Instant) -> bool {
    state.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now)
}

/// The devices that the driver waits for.
#[derive(Default)]
struct Waiter {
    sources: Vec<Source>,
    generation: u64,
    /// Rounds in a row after which a device had more.
    behind: u32,
}

impl Waiter {
    /// Follows devices that came and went.
    fn follow(&mut self, state: &State) {
        if self.generation != state.devices.generation() {
            // Fails only where the process has no descriptors left; then the next round tries
            // again, and meanwhile the old ones serve.
            if let Ok(sources) = state.devices.sources() {
                self.sources = sources;
                self.generation = state.devices.generation();
            }
        }
    }

    /// Whether deadlines wait, a device having `more`: a host that was held up finds the answers
    /// that it waits for in the device, behind others.
    fn is_behind(&mut self, more: bool) -> bool {
        self.behind = if more && self.behind < PATIENCE { self.behind + 1 } else { 0 };
        self.behind > 0
    }

    /// Sleeps until a packet waits, the time has come, or the alarm rings.
    fn wait(&mut self, core: &Core, until: Option<Instant>) {
        let timeout = until.map(|until| TimeSpec::from(until.since(core.clock().now())));
        let alarm = PollFd::new(core.alarm().as_fd(), PollFlags::POLLIN);
        let devices = self.sources.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN));
        let mut fds: smallvec::SmallVec<[PollFd<'_>; 8]> =
            std::iter::once(alarm).chain(devices).collect();
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => panic!("ppoll refuses valid descriptors: {error}"),
        }
        if fds[0].any() == Some(true) {
            // The counter was read by nobody else, so there is something to read.
            let _count = core.alarm().read();
        }
        let hits: smallvec::SmallVec<[bool; 8]> =
            fds[1..].iter().map(|fd| fd.any() == Some(true)).collect();
        drop(fds);
        for (source, hit) in self.sources.iter_mut().zip(hits) {
            source.ready = hit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_something_happened_the_driver_looks_again_soon() {
        let at = Instant::from_millis;
        let round = |active| Round { now: at(100), active, over: false };
        assert_eq!(round(true).sleep(None), Some(at(110)));
        assert_eq!(round(true).sleep(Some(at(105))), Some(at(105)));
        assert_eq!(round(false).sleep(Some(at(300))), Some(at(300)));
        assert_eq!(round(false).sleep(None), None, "an idle endpoint costs nothing");
    }

    #[test]
    fn deadlines_wait_for_what_came_before_them_but_not_forever() {
        let mut waiter = Waiter::default();
        assert!(!waiter.is_behind(false));
        assert!((0..PATIENCE).all(|_| waiter.is_behind(true)));
        assert!(!waiter.is_behind(true), "deadlines have their turn");
        assert!(waiter.is_behind(true));
        assert!(!waiter.is_behind(false), "everything is read");
    }
}
