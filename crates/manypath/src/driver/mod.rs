//! Who waits: for packets, for the next deadline, or to be told. A thread of its own (`thread`), or a
//! task of the application's runtime (`task`); one for each shard.
//!
//! **Invariants**: between two sleeps it takes a bounded number of datagrams from every device
//! before it takes the lock, takes them in under one hold of it, and then hands it to whoever waits
//! for it; what came before a deadline is read before the deadline is acted upon. **Leaves out** how
//! a device is read (`source`), and what applications do in their own threads: see [`Core::with`].

mod task;
mod thread;

use std::sync::Arc;
use std::time::Duration;

use manypath_base::Instant;

use crate::error::Stopped;
use crate::shared::{Core, State};
use crate::source::Source;

pub(crate) use task::start as start_task;
pub(crate) use thread::start as start_thread;

/// Datagrams that a thread takes from one device in one round: with super-segments 1 MiB, which still
/// fits a cache. Longer batches were not faster.
const BATCH: usize = 16;

/// And a task, whose applications read what it took before it takes more: half of a second-level
/// cache holds that, into which the next is written then.
const PART: usize = 8;

/// Datagrams of one connection that a task answers together, as long as more wait.
const TOGETHER: usize = 16;

/// And of all: what a few peers send meanwhile fills the device.
const HELD_BACK: usize = 64;

/// Datagrams for which deadlines wait while a device holds more: as many as one commonly queues.
const PATIENCE: usize = 512;

/// After something happened the driver looks again this early. Otherwise every request would wake
/// it for the retransmission timer that it sets and that the response deletes.
const LULL: Duration = Duration::from_millis(10);

/// Wakes all who wait when the driver ends, however that comes.
struct StopAtEnd(Arc<Core>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What one round did.
struct Round {
    /// When it began.
    now: Instant,
    /// Datagrams that came.
    got: usize,
    /// Whether anything was there to do.
    active: bool,
    /// Nobody holds the endpoint, and no shard has a connection left.
    over: bool,
}

impl Round {
    /// How long to sleep after it.
    fn sleep(&self, deadline: Option<Instant>) -> Option<Instant> {
        let lull = self.active.then(|| self.now + LULL);
        deadline.into_iter().chain(lull).min()
    }
}

fn is_due(state: &State, now: Instant) -> bool {
    state.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now)
}

/// The devices that packets come from, and the rounds in which they are read.
#[derive(Default)]
struct Rounds {
    sources: Vec<Source>,
    generation: u64,
    /// Datagrams that came in rounds in a row after which a device had more.
    behind: usize,
    /// When the last round began in which there was something to do.
    active_at: Instant,
}

impl Rounds {
    /// One round: reads what the devices that are ready have, takes it in, acts on deadlines. Until
    /// when to wait afterwards; `None` is without end.
    fn round(&mut self, core: &Core) -> Result<(Round, Option<Instant>), Stopped> {
        let read_at = self.fetch(core);
        core.drive(|state, now| self.serve(state, now, read_at, BATCH), Round::sleep)
    }

    /// One round of a driver that is a task: where somebody was woken, the others of the runtime have
    /// their turn before it sends, so that what they say takes acknowledgments along; and while more
    /// waits, so have what is taken in next and those whom that wakes.
    async fn round_by_turns(&mut self, core: &Core) -> Result<(Round, Option<Instant>), Stopped> {
        let (mut got, mut woken) = (0, 0);
        let round = loop {
            let read_at = self.fetch(core);
            let serve = |state: &mut State, now| self.serve(state, now, read_at, PART);
            let (round, woke) = core.take_in(serve)?;
            if woke > 0 {
                task::yield_now().await;
            }
            (got, woken) = (got + round.got, woken + woke);
            let held_back = got < (woken * TOGETHER).min(HELD_BACK);
            if woke == 0 || round.got < PART || !held_back || !task::stay_ready(&mut self.sources) {
                break Round { active: round.active || got > 0, ..round };
            }
        };
        core.drive(|_, _| round, Round::sleep)
    }

    /// Reads what the devices that are ready have; from when on.
    fn fetch(&mut self, core: &Core) -> Instant {
        core.note_driver_awake();
        let read_at = core.clock().now();
        for source in &mut self.sources {
            source.fetch();
        }
        read_at
    }

    /// Takes in what was read, from `read_at` on, and acts on the deadlines that had passed by then;
    /// the next time `most` are read of each device.
    fn serve(&mut self, state: &mut State, now: Instant, read_at: Instant, most: usize) -> Round {
        self.sources.iter_mut().for_each(|source| source.receive(state));
        // Before the packets: what another shard said before it sent is known when the answer is here.
        let (mut active, mut more, mut got) = (state.take_mail(now), false, 0);
        for source in &mut self.sources {
            got += source.hand_over(state, now, most);
            more |= source.may_have_more();
        }
        active |= got > 0;
        if !self.is_behind(got, more) && is_due(state, read_at) {
            state.endpoint.handle_timeout(now);
            active = true;
        }
        self.follow(state);
        if active {
            self.active_at = now;
        }
        Round { now, got, active, over: state.is_over() }
    }

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

    /// Whether deadlines wait, a device having `more` than it gave: a host that was held up finds the
    /// answers that it waits for in the device, behind others.
    fn is_behind(&mut self, got: usize, more: bool) -> bool {
        self.behind = if more && self.behind < PATIENCE { self.behind + got } else { 0 };
        self.behind > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_something_happened_the_driver_looks_again_soon() {
        let at = Instant::from_millis;
        let round = |active| Round { now: at(100), got: 0, active, over: false };
        assert_eq!(round(true).sleep(None), Some(at(110)));
        assert_eq!(round(true).sleep(Some(at(105))), Some(at(105)));
        assert_eq!(round(false).sleep(Some(at(300))), Some(at(300)));
        assert_eq!(round(false).sleep(None), None, "an idle endpoint costs nothing");
    }

    #[test]
    fn deadlines_wait_for_what_came_before_them_but_not_forever() {
        let mut rounds = Rounds::default();
        assert!(!rounds.is_behind(3, false));
        assert!((0..PATIENCE / 8).all(|_| rounds.is_behind(8, true)));
        assert!(!rounds.is_behind(8, true), "deadlines have their turn");
        assert!(rounds.is_behind(8, true));
        assert!(!rounds.is_behind(8, false), "everything is read");
    }
}
