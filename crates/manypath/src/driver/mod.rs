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

/// Rounds in a row in which deadlines wait for what a device still holds: 512 datagrams, as many
/// as a device commonly queues.
const PATIENCE: u32 = 32;

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
    /// Rounds in a row after which a device had more.
    behind: u32,
    /// When the last round began in which there was something to do.
    active_at: Instant,
}

impl Rounds {
    /// One round: reads what the devices that are ready have, takes it in, acts on deadlines. Until
    /// when to wait afterwards; `None` is without end.
    fn round(&mut self, core: &Core) -> Result<(Round, Option<Instant>), Stopped> {
        let read_at = self.fetch(core);
        core.drive(|state, now| self.serve(state, now, read_at), Round::sleep)
    }

    /// One round of a driver that is a task: where somebody was woken, the others of the runtime have
    /// their turn before it sends, so that what they say takes acknowledgments along.
    async fn round_by_turns(&mut self, core: &Core) -> Result<(Round, Option<Instant>), Stopped> {
        let read_at = self.fetch(core);
        let (round, woke) = core.take_in(|state, now| self.serve(state, now, read_at))?;
        if woke {
            task::yield_now().await;
        }
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

    /// Takes in what was read, from `read_at` on, and acts on the deadlines that had passed by then.
    fn serve(&mut self, state: &mut State, now: Instant, read_at: Instant) -> Round {
        self.sources.iter_mut().for_each(|source| source.receive(state));
        // Before the packets: what another shard said before it sent is known when the answer is here.
        let (mut active, mut more) = (state.take_mail(now), false);
        for source in &mut self.sources {
            let got = source.hand_over(state, now);
            active |= got > 0;
            more |= source.may_have_more();
        }
        if !self.is_behind(more) && is_due(state, read_at) {
            state.endpoint.handle_timeout(now);
            active = true;
        }
        self.follow(state);
        if active {
            self.active_at = now;
        }
        Round { now, active, over: state.is_over() }
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

    /// Whether deadlines wait, a device having `more`: a host that was held up finds the answers
    /// that it waits for in the device, behind others.
    fn is_behind(&mut self, more: bool) -> bool {
        self.behind = if more && self.behind < PATIENCE { self.behind + 1 } else { 0 };
        self.behind > 0
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
        let mut rounds = Rounds::default();
        assert!(!rounds.is_behind(false));
        assert!((0..PATIENCE).all(|_| rounds.is_behind(true)));
        assert!(!rounds.is_behind(true), "deadlines have their turn");
        assert!(rounds.is_behind(true));
        assert!(!rounds.is_behind(false), "everything is read");
    }
}
