//! Do no harm: where the window holds all paths together below what the best of them would carry
//! alone, that one is used alone.
//!
//! **Owns** the comparison. Goodput is measured over epochs of some round trips, against what each
//! path could carry alone by its rate, its losses and the window. A verdict is tried before it
//! stands: for a while only the best path is used, and if that is no better, the paths are used
//! together again, and the next trial comes later. **Leaves out** epochs in which the window was
//! never closed: then no path holds up another.

use core::time::Duration;

use manypath_base::{Instant, PathId, Rate, SubflowOffset};
use smallvec::SmallVec;

use super::Barred;
use crate::Flow;
use crate::path::{Path, Standing};

/// Round trips of the slowest path in an epoch, and its least length.
const ROUNDS: u32 = 8;
const LEAST: Duration = Duration::from_millis(250);
/// Epochs in a row that must be worse than this part of what the best could carry, in per cent.
const BAD: u8 = 2;
const PART: u64 = 95;
/// Epochs that a verdict is tried for. The first of them still has what was sent before it.
const TRIAL: u8 = 5;
/// After a trial that found nothing the next may come in so many epochs, then in twice as many.
const PAUSE: u32 = 16;
const LONGEST_PAUSE: u32 = 1_024;

/// What has been measured.
#[derive(Clone, Debug)]
pub(crate) struct Harm {
    since: Instant,
    una: SubflowOffset,
    /// The sender ran out of data in this epoch, or it began before there were several paths.
    moot: bool,
    /// The window was closed in this epoch.
    blocked: bool,
    bad: u8,
    /// Goodput of the bad epochs, added up.
    sum: u64,
    trial: Option<Trial>,
    /// Epochs until a trial may begin, and how many there are after the next one that finds nothing.
    rest: u32,
    pause: u32,
}

/// Only one path is used for some epochs.
#[derive(Clone, Debug)]
struct Trial {
    left: u8,
    /// Goodput of all paths before it, in bytes a second.
    together: u64,
    /// That of its epochs but the first, added up.
    alone: u64,
    held: SmallVec<[PathId; 2]>,
}

impl Harm {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            una: SubflowOffset::ZERO,
            moot: true,
            blocked: false,
            bad: 0,
            sum: 0,
            trial: None,
            rest: 0,
            pause: PAUSE,
        }
    }

    /// The sender has nothing to send, or the peer does not read: how much arrives says nothing of the
    /// paths.
    pub(crate) fn on_nothing_to_send(&mut self) {
        self.moot = true;
    }

    /// The window is closed.
    pub(crate) fn on_blocked(&mut self) {
        self.blocked = true;
    }
}

/// What an epoch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Nothing,
    /// Use the best path alone, to see; goodput of all was so much, in bytes a second.
    Try(u64),
    /// The trial is over: whether the best path alone was better.
    Tried(bool),
}

impl Flow {
    /// Something was acknowledged: perhaps an epoch is over.
    pub(crate) fn watch_harm(&mut self, now: Instant) {
        let Some(several) = self.several.as_ref() else { return };
        let (since, start) = (several.harm.since, several.harm.una);
        let slowest =
            self.paths.iter().filter(|p| p.may_carry()).filter_map(|p| p.rtt.srtt()).max();
        let epoch = (slowest.unwrap_or(LEAST) * ROUNDS).max(LEAST);
        let span = now.since(since);
        if span < epoch {
            return;
        }
        let una = self.send.una;
        let goodput = Rate::from_transfer(una.saturating_sub(start), span).bytes_per_sec();
        let best = self.best_alone();
        let could = best.filter(|_| self.is_spread()).map_or(0, |(rate, _)| rate);
        let Some(several) = self.several.as_mut() else { return };
        let harm = &mut several.harm;
        let finding = if harm.moot { Finding::Nothing } else { harm.judge(goodput, could) };
        (harm.since, harm.una) = (now, una);
        let moot = core::mem::take(&mut harm.moot);
        harm.blocked = false;
        self.paths.iter_mut().filter(|_| !moot).for_each(|p| p.note_use(span));
        self.paths.iter_mut().for_each(Path::begin_use);
        match (finding, best) {
            (Finding::Try(together), Some((_, path))) => self.try_alone(now, path, together),
            (Finding::Try(_), None) | (Finding::Nothing, _) => {}
            (Finding::Tried(better), _) => self.end_trial(now, better),
        }
    }

    /// The path that could carry the most alone, in bytes a second.
    fn best_alone(&self) -> Option<(u64, PathId)> {
        let window = self.send.window.into();
        let well = self.paths.iter().filter(|p| p.is_well());
        well.map(|p| (p.rate_alone(window).bytes_per_sec(), p.id)).max_by_key(|(rate, _)| *rate)
    }

    /// All paths but the best wait.
    fn try_alone(&mut self, now: Instant, best: PathId, together: u64) {
        let others: SmallVec<[PathId; 2]> =
            self.paths.iter().filter(|p| p.may_carry() && p.id != best).map(|p| p.id).collect();
        for i in 0..self.paths.len() {
            if others.contains(&self.paths[i].id) {
                self.paths[i].standing = Standing::Unproven;
                self.hand_over(i, now);
            }
        }
        if let Some(several) = self.several.as_mut() {
            let trial = Trial { left: TRIAL, together, alone: 0, held: others };
            several.harm.trial = Some(trial);
        }
    }

    fn end_trial(&mut self, now: Instant, better: bool) {
        let Some(several) = self.several.as_mut() else { return };
        let Some(trial) = several.harm.trial.take() else { return };
        for i in 0..self.paths.len() {
            let path = &mut self.paths[i];
            if !trial.held.contains(&path.id) || path.standing == Standing::Barred {
                continue;
            }
            if better {
                self.bar(now, i, Barred::Harm);
            } else {
                path.ping.ask();
            }
        }
    }
}

impl Harm {
    /// Takes in an epoch: what arrived, and what the best path could carry alone, or 0 where there is
    /// one path only; in bytes a second.
    fn judge(&mut self, goodput: u64, could: u64) -> Finding {
        if self.trial.is_some() {
            return self.go_on_trying(goodput);
        }
        if self.rest > 0 {
            self.rest -= 1;
            return Finding::Nothing;
        }
        if !self.blocked || goodput * 100 >= could * PART {
            (self.bad, self.sum) = (0, 0);
            return Finding::Nothing;
        }
        self.bad += 1;
        self.sum += goodput;
        if self.bad < BAD {
            return Finding::Nothing;
        }
        let together = self.sum / u64::from(self.bad);
        (self.bad, self.sum) = (0, 0);
        Finding::Try(together)
    }

    fn go_on_trying(&mut self, goodput: u64) -> Finding {
        let Some(trial) = &mut self.trial else { return Finding::Nothing };
        if trial.left < TRIAL {
            trial.alone += goodput;
        }
        trial.left -= 1;
        let counted = u64::from(TRIAL - 1 - trial.left.min(TRIAL - 1));
        let hopeless = counted > 0 && trial.alone * 2 < trial.together * counted;
        if trial.left > 0 && !hopeless {
            return Finding::Nothing;
        }
        let better = trial.alone * PART > trial.together * counted * 100;
        (self.rest, self.pause) = (self.pause, (self.pause * 2).min(LONGEST_PAUSE));
        Finding::Tried(better)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// What each epoch of such goodput says, where the best could carry 100.
    fn findings(harm: &mut Harm, goodputs: &[u64], blocked: bool) -> Vec<Finding> {
        let epoch = |&goodput| {
            harm.blocked = blocked;
            let finding = harm.judge(goodput, 100);
            if let Finding::Try(together) = finding {
                let held = SmallVec::new();
                harm.trial = Some(Trial { left: TRIAL, together, alone: 0, held });
            } else if let Finding::Tried(_) = finding {
                harm.trial = None;
            }
            finding
        };
        goodputs.iter().map(epoch).collect()
    }

    #[test]
    fn a_trial_follows_on_bad_epochs_with_a_closed_window_and_counts_means() {
        use Finding::{Nothing, Tried, Try};
        let mut harm = Harm::new(Instant::ZERO);
        assert_eq!(findings(&mut harm, &[50; 9], false), [Nothing; 9]);
        assert_eq!(findings(&mut harm, &[94, 95, 94], true), [Nothing; 3]);
        assert_eq!(findings(&mut harm, &[86], true), [Try(90)]);
        // The first epoch does not count, and no single one decides.
        let trial = findings(&mut harm, &[0, 200, 50, 50, 50], true);
        assert_eq!(trial, [Nothing, Nothing, Nothing, Nothing, Tried(false)]);
        assert_eq!(findings(&mut harm, &[10; 17], true), [Nothing; 17], "it rests");
        assert_eq!(findings(&mut harm, &[10], true), [Try(10)]);
        let trial = findings(&mut harm, &[0, 11, 11, 11, 11], true);
        assert_eq!(trial[4], Tried(true));
        assert_eq!(findings(&mut harm, &[10; 34], true)[33], Try(10), "it rests for longer");
        assert_eq!(findings(&mut harm, &[0, 4], true), [Nothing, Tried(false)], "in vain");
    }
}
