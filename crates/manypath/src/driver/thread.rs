//! The driver as a thread: it works under any runtime, is not delayed by a busy one, and its sleep
//! has nanoseconds where timers of runtimes have milliseconds.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::prctl;
use nix::sys::time::TimeSpec;

use super::{Rounds, StopAtEnd};
use crate::error::Stopped;
use crate::shared::Core;
use crate::source::Source;

/// Starts the thread, which `alarm` wakes.
pub(crate) fn start(core: Arc<Core>, alarm: Arc<EventFd>) -> io::Result<()> {
    std::thread::Builder::new().name("manypath".to_owned()).spawn(move || {
        let stop = StopAtEnd(core);
        // Without it the kernel may wake the thread up to 50 us late.
        let _default_slack = prctl::set_timerslack(1);
        // Ends with the last connection, or because someone panicked: the guard tells.
        let _stopped = run(&stop.0, &alarm);
    })?;
    Ok(())
}

fn run(core: &Core, alarm: &EventFd) -> Result<(), Stopped> {
    let mut rounds = Rounds::default();
    loop {
        let (round, until) = rounds.round(core)?;
        if round.over {
            return Ok(());
        }
        let patience = until.map(|until| TimeSpec::from(until.since(core.clock().now())));
        wait(&mut rounds.sources, alarm, patience);
    }
}

/// Sleeps until a packet waits, the time has come, or the alarm rings.
fn wait(sources: &mut [Source], alarm: &EventFd, patience: Option<TimeSpec>) {
    let bell = PollFd::new(alarm.as_fd(), PollFlags::POLLIN);
    let devices = sources.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN));
    let mut fds: smallvec::SmallVec<[PollFd<'_>; 8]> =
        std::iter::once(bell).chain(devices).collect();
    match ppoll(&mut fds, patience, None) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => panic!("ppoll refuses valid descriptors: {error}"),
    }
    if fds[0].any() == Some(true) {
        // The counter was read by nobody else, so there is something to read.
        let _count = alarm.read();
    }
    let hits: smallvec::SmallVec<[bool; 8]> =
        fds[1..].iter().map(|fd| fd.any() == Some(true)).collect();
    drop(fds);
    for (source, hit) in sources.iter_mut().zip(hits) {
        source.ready = hit;
    }
}
