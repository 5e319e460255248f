//! Do no harm: where all paths together carry less than the best of them would alone, that one is
//! used alone.
//!
//! **Owns** the comparison. Goodput is measured over epochs of some round trips, against the best
//! rate that any single path delivered in an epoch. A verdict is tried before it stands: for a while
//! only the best path is used, and if that is no better, the paths are used together again.

use core::time::Duration;

use manypath_base::{Instant, PathId, Rate, SubflowOffset};
use smallvec::SmallVec;

use super::Barred;
use crate::Flow;
use crate::path::Standing;

/// Round trips of the slowest path in an epoch, and its least length.
const ROUNDS: u32 = 8;
const LEAST: Duration = Duration::from_millis(500);
/// Epochs in a row that must be worse than this part of the best, in per cent.
const BAD: u8 = 4;
const PART: u64 = 90;
/// Epochs that a verdict is tried for.
const TRIAL: u8 = 4;

/// What has been measured.
#[derive(Clone, Debug)]
pub(crate) struct Harm {
    since: Instant,
    una: SubflowOffset,
    /// Bytes that each path had delivered then.
    delivered: SmallVec<[(PathId, u64); 2]>,
    /// The sender ran out of data in this epoch, or paths changed.
    moot: bool,
    /// Bytes a second: the best that one path delivered; it wears off.
    best: u64,
    bad: u8,
    trial: Option<Trial>,
}

/// Only one path is used for some epochs.
#[derive(Clone, Debug)]
struct Trial {
    left: u8,
    /// Goodput of all paths before it, in bytes a second.
    together: u64,
    most: u64,
    held: SmallVec<[PathId; 2]>,
}

impl Harm {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            una: SubflowOffset::ZERO,
            delivered: SmallVec::new(),
            moot: true,
            best: 0,
            bad: 0,
            trial: None,
        }
    }

    /// The sender has nothing to send: how much arrives says nothing of the paths.
    pub(crate) fn on_nothing_to_send(&mut self) {
        self.moot = true;
    }
}

/// What an epoch says.
enum Finding {
    Nothing,
    /// Use the best path alone, to see.
    Try,
    /// The trial is over: whether the best path alone was better.
    Tried(bool),
}

impl Flow {
    /// Something was acknowledged: perhaps an epoch is over.
    pub(crate) fn watch_harm(&mut self, now: Instant) {
        if self.several.is_none() {
            return;
        }
        let slowest =
            self.paths.iter().filter(|p| p.may_carry()).filter_map(|p| p.rtt.srtt()).max();
        let epoch = (slowest.unwrap_or(LEAST) * ROUNDS).max(LEAST);
        let spread = self.is_spread();
        let una = self.send.una;
        let Some(several) = self.several.as_mut() else { return };
        let harm = &mut several.harm;
        let span = now.since(harm.since);
        if span < epoch {
            return;
        }
        let rate = |bytes: u64| Rate::from_transfer(bytes, span).bytes_per_sec();
        let goodput = rate(una.saturating_sub(harm.una));
        let of = |id| harm.delivered.iter().find(|(p, _)| *p == id).map_or(0, |(_, n)| *n);
        let rates: SmallVec<[(PathId, u64); 2]> = self
            .paths
            .iter()
            .map(|p| (p.id, rate(p.delivered_mark().0.saturating_sub(of(p.id)))))
            .collect();
        let finding =
            if harm.moot { Finding::Nothing } else { harm.judge(goodput, &rates, spread) };
        harm.since = now;
        harm.una = una;
        harm.delivered = self.paths.iter().map(|p| (p.id, p.delivered_mark().0)).collect();
        harm.moot = false;
        match finding {
            Finding::Nothing => {}
            Finding::Try => self.try_alone(now, goodput, &rates),
            Finding::Tried(better) => self.end_trial(now, better),
        }
    }

    /// All paths but the best wait.
    fn try_alone(&mut self, now: Instant, together: u64, rates: &[(PathId, u64)]) {
        let well =
            rates.iter().filter(|(id, _)| self.paths.iter().any(|p| p.id == *id && p.is_well()));
        let Some(&(best, _)) = well.max_by_key(|(_, rate)| *rate) else { return };
        let others: SmallVec<[PathId; 2]> =
            self.paths.iter().filter(|p| p.may_carry() && p.id != best).map(|p| p.id).collect();
        for i in 0..self.paths.len() {
            if others.contains(&self.paths[i].id) {
                self.paths[i].standing = Standing::Unproven;
                self.hand_over(i, now);
            }
        }
        if let Some(several) = self.several.as_mut() {
            several.harm.trial = Some(Trial { left: TRIAL, together, most: 0, held: others });
        }
    }

    fn end_trial(&mut self, now: Instant, better: bool) {
        let Some(several) = self.several.as_mut() else { return };
        let Some(trial) = several.harm.trial.take() else { return };
        (several.harm.bad, several.harm.best) = (0, 0);
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
    fn judge(&mut self, goodput: u64, rates: &[(PathId, u64)], spread: bool) -> Finding {
        if let Some(trial) = &mut self.trial {
            trial.left -= 1;
            trial.most = trial.most.max(goodput);
            return match trial.left {
                0 => Finding::Tried(trial.most * PART > trial.together * 100),
                _ => Finding::Nothing,
            };
        }
        let most = rates.iter().map(|(_, rate)| *rate).max().unwrap_or(0);
        self.best = most.max(self.best - self.best / 16);
        let bad = spread && goodput * 100 < self.best * PART;
        self.bad = if bad { self.bad + 1 } else { 0 };
        if self.bad >= BAD { Finding::Try } else { Finding::Nothing }
    }
}
