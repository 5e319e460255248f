//! A flow over several paths of which the peer knows nothing: one-ended multipath TCP
//! (draft-van-beijnum-1e-mp-tcp-00).
//!
//! **Owns** what a flow needs beyond a list of paths: which path takes what, proof that a path
//! leads to the peer, what becomes of the flight of one that does not answer, and the rule to do no
//! harm. **Invariants**: a path carries new data only after the peer has answered a ping on it;
//! TSval never falls as the sequence number rises (RFC 7323 §5.3 would have the peer drop data); a
//! peer that has no SACK gets one path. **Leaves out** where paths come from, and what is
//! remembered of a destination: the owner's.

mod best;
mod copy;
mod edge;
mod harm;
mod health;
mod ping;
mod repaired;
mod reset;
mod schedule;
mod window;

use alloc::boxed::Box;
use core::ops::Range;

use manypath_base::{Instant, PathId, Rng, SubflowOffset};
use manypath_sched::Scheduler;
use smallvec::SmallVec;

use crate::path::{Path, Standing};
use crate::{Event, Flow, PathConfig};
use copy::Copies;
use harm::Harm;
pub(crate) use ping::Ping;
use ping::{KEPT, Tail};
use repaired::Repeats;
use window::UsableWindow;

/// Most paths of one flow.
const MAX_PATHS: usize = 16;

/// Why a flow keeps to the path that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinglePath {
    /// The peer did not agree to SACK (RFC 2018): without, nothing tells which path lost what.
    NoSack,
    /// The handshake is not complete, or the flow ends.
    NotOpen,
    /// There is a path of that name, or there are too many.
    NoRoom,
}

/// Why a path of several is used no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// A RST came that only this path explains.
    Reset,
    /// It takes pings but data vanishes on it.
    Swallows,
    /// Together the paths carried less than the best of them alone.
    Harm,
}

/// What a flow over several paths has beside them.
#[derive(Debug)]
pub(crate) struct Several {
    scheduler: Box<dyn Scheduler>,
    rng: Rng,
    tail: Tail,
    /// What pings repeated of what was under way, until it is acknowledged.
    early: SmallVec<[Range<SubflowOffset>; 2]>,
    /// The first flight, as it went out again on paths that were not proven.
    pub(crate) copies: SmallVec<[Copies; 1]>,
    /// What lies before was repeated on a faster path, or need not be.
    hurried: SubflowOffset,
    /// Bytes under way on a path that loses, repeated on one that does not.
    insured: u64,
    /// What was repeated elsewhere while it was under way.
    repeats: Repeats,
    /// When to look again for what holds up a closed window, or the end.
    hurry_at: Option<Instant>,
    harm: Harm,
    window: UsableWindow,
    /// When a RST came on the first path; it is believed if another comes later.
    doubted_first: Option<Instant>,
    /// When the last one came on a further path that carried data.
    doubted_further: Option<Instant>,
}

impl Flow {
    /// Readies the flow for more than one path. `rng` chooses what pings repeat, so that nobody
    /// who does not see them can answer them.
    ///
    /// # Errors
    /// Where the flow can have no more than one.
    pub fn use_several_paths(
        &mut self,
        now: Instant,
        scheduler: Box<dyn Scheduler>,
        rng: Rng,
    ) -> Result<(), SinglePath> {
        if !self.agreed.sack {
            return Err(SinglePath::NoSack);
        }
        if !self.state.is_synchronized() || !self.state.may_send() {
            return Err(SinglePath::NotOpen);
        }
        self.stir();
        self.paths.iter_mut().for_each(|path| path.shares = true);
        self.several.get_or_insert_with(|| {
            Box::new(Several {
                scheduler,
                rng,
                tail: Tail::default(),
                early: SmallVec::new(),
                copies: SmallVec::new(),
                hurried: SubflowOffset::ZERO,
                insured: 0,
                repeats: Repeats::default(),
                hurry_at: None,
                harm: Harm::new(now),
                window: UsableWindow::default(),
                doubted_first: None,
                doubted_further: None,
            })
        });
        Ok(())
    }

    /// Adds a path. It carries data once the peer has answered on it, which
    /// [`Event::PathProven`] says.
    ///
    /// # Errors
    /// Where the flow can have no more paths.
    pub fn add_path(&mut self, now: Instant, config: PathConfig) -> Result<(), SinglePath> {
        if self.several.is_none() {
            return Err(SinglePath::NotOpen);
        }
        if self.paths.len() >= MAX_PATHS || self.paths.iter().any(|p| p.id == config.id) {
            return Err(SinglePath::NoRoom);
        }
        self.stir();
        let mut path = Path::new(config, &self.config, self.ends.remote().is_ipv6(), now);
        // What the peer takes is known by what the first path agreed on.
        let mss = path.mss.min(self.paths[0].agreed_mss());
        path.agree_on_mss(mss);
        path.standing = Standing::Unproven;
        path.shares = true;
        path.ping.ask();
        self.paths.push(path);
        Ok(())
    }

    /// Takes a path away; what it carries goes over the others. The last path stays.
    pub fn remove_path(&mut self, now: Instant, id: PathId) {
        let Some(i) = self.paths.iter().position(|p| p.id == id) else { return };
        if self.paths.len() == 1 {
            return;
        }
        self.stir();
        self.hand_over(i, now);
        let gone = self.paths.remove(i);
        let heir = &mut self.paths[0];
        self.board.inherit(gone.id, heir.id, heir.delivered_mark());
        heir.lost += gone.lost;
        heir.sacked += gone.sacked;
        heir.rearm(now);
        self.keep_one(now);
    }

    /// A flow has a path as long as it lives: where none may carry data any more, the one that the
    /// handshake has proven does.
    fn keep_one(&mut self, now: Instant) {
        if !self.paths.iter().any(Path::may_carry) {
            let path = &mut self.paths[0];
            path.standing = Standing::Proven;
            path.ping = Ping::default();
            path.rearm(now);
        }
    }

    /// Keeps what is about to be acknowledged up to `ack`, for pings.
    pub(crate) fn keep_tail(&mut self, ack: SubflowOffset) {
        let Some(several) = self.several.as_mut() else { return };
        let buffer = &self.send.buffer;
        let end = ack.min(buffer.end());
        let start = buffer.start().max(SubflowOffset(end.0.saturating_sub(KEPT)));
        if start < end {
            several.tail.push(&buffer.slice(start, end), end);
        }
        several.early.retain(|range| range.end > ack);
    }

    /// The sender has nothing to send.
    pub(crate) fn note_nothing_to_send(&mut self) {
        if let Some(several) = self.several.as_mut() {
            several.harm.on_nothing_to_send();
        }
    }

    /// Uses a path no longer, whatever becomes of it.
    pub(crate) fn bar(&mut self, now: Instant, i: usize, why: Barred) {
        let path = &mut self.paths[i];
        if path.standing == Standing::Barred {
            return;
        }
        path.standing = Standing::Barred;
        path.ping = Ping::default();
        self.events.push_back(Event::PathBarred(path.id, why));
        self.hand_over(i, now);
        self.keep_one(now);
    }

    /// Whether the flow has more paths than one that may carry data.
    pub(crate) fn is_spread(&self) -> bool {
        self.several.is_some() && self.paths.iter().filter(|p| p.may_carry()).count() > 1
    }

    /// The path of what belongs to none: the first that answers.
    pub(crate) fn main_path(&self) -> usize {
        self.paths.iter().position(Path::is_well).unwrap_or(0)
    }
}
