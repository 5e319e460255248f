//! D-SACK pings: a few bytes that were acknowledged long ago are sent again on a path, and the peer
//! answers at once with a D-SACK that names them (RFC 2883 §4.1). That proves that the path leads to
//! the peer, that it lives, and how long its round trip is, at no risk to the data. Before anything
//! was acknowledged the bytes are of what is under way on another path: where they overtake it a SACK
//! names them, which is not taken for a delivery of that path.
//!
//! **Invariants**: where the bytes lie and how many they are is drawn at random, 17 bits in all, so
//! that one who does not see the ping cannot answer it, and after many wrong answers none counts; the
//! TSval of a ping is that of the bytes it repeats, or of the first byte outstanding, so that no
//! TS.Recent moves beyond what is still under way (RFC 7323 §4.3, §5.3).

use alloc::collections::VecDeque;
use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, Payload, Rng, SubflowOffset, len64, usize64};
use manypath_wire::Flags;
use smallvec::SmallVec;

use crate::extension::Phase;
use crate::flow::Transmit;
use crate::output::Draft;
use crate::path::{Health, Path, Standing};
use crate::{Event, Extension, Flow};

use super::MAX_PATHS;

/// Bytes kept to draw from.
pub(crate) const KEPT: u64 = 2_048;
/// Most bytes of a ping.
const LONGEST: u64 = 64;
/// So many answers that name other bytes, and a ping is void: one who tries them all would have to
/// be lucky once in a hundred.
const MAX_GUESSES: u16 = 1_024;
/// Pings of a path that failed are this far apart: nothing else would show that it is back.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest pause between pings of a path that was never proven.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// A path that has no round-trip time is asked again after this.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The last bytes that were acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    end: SubflowOffset,
}

impl Tail {
    /// Everything before `end` is acknowledged; `payload` is the last of it, or all.
    pub(crate) fn push(&mut self, payload: &Payload, end: SubflowOffset) {
        for chunk in payload.chunks() {
            self.bytes.extend(chunk.iter());
        }
        self.bytes.drain(..self.bytes.len().saturating_sub(usize64(KEPT)));
        self.end = end;
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn draw(&self, rng: &mut Rng) -> Option<(SubflowOffset, Bytes)> {
        let kept = len64(self.bytes.len());
        let len = 1 + rng.below(LONGEST.min(kept.max(1)));
        let first = rng.below((kept + 1).saturating_sub(len));
        let bytes: Bytes =
            self.bytes.iter().skip(usize64(first)).take(usize64(len)).copied().collect();
        (!bytes.is_empty()).then_some((SubflowOffset(self.end.0 - kept + first), bytes))
    }
}

/// Pings of one path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ping {
    /// The bytes that were repeated last: where they begin, how many, and when.
    asked: Option<(SubflowOffset, u64, Instant)>,
    /// When the next one is due.
    at: Option<Instant>,
    /// It is, and waits to be sent.
    due: bool,
    /// Unanswered ones in a row.
    tries: u32,
    /// Answers that named other bytes.
    guesses: u16,
}

impl Ping {
    /// One is due now.
    pub(crate) fn ask(&mut self) {
        *self = Self { asked: self.asked, due: true, ..Self::default() };
    }

    /// None was sent yet.
    pub(super) fn is_first(&self) -> bool {
        self.tries == 0
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.at
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.at.is_some_and(|at| at <= now) {
            (self.at, self.due) = (None, true);
        }
    }

    /// An answer came that does not fit.
    fn on_guess(&mut self) {
        self.guesses = self.guesses.saturating_add(1);
        if self.guesses >= MAX_GUESSES {
            self.asked = None;
        }
    }

    fn is_answer(&self, range: &Range<SubflowOffset>) -> bool {
        self.asked.is_some_and(|(at, len, _)| *range == (at..at + len))
    }
}

impl Path {
    /// When an unanswered ping is followed by another.
    fn ping_wait(&self) -> Duration {
        match self.standing {
            Standing::Unproven => (FIRST_WAIT * (1 << self.ping.tries.min(6))).min(MAX_PAUSE),
            Standing::Proven | Standing::Barred => match self.health {
                Health::Alive | Health::Suspect => self.rtt.rto().min(INTERVAL),
                Health::Failed => INTERVAL,
            },
        }
    }
}

impl Flow {
    /// When something of several paths is due.
    pub(crate) fn several_at(&self) -> Option<Instant> {
        let several = self.several.as_ref()?;
        let pings = self.paths.iter().filter_map(|p| p.ping.timeout());
        pings.chain(several.hurry_at).min()
    }

    pub(crate) fn several_timeout(&mut self, now: Instant) {
        let Some(several) = self.several.as_mut() else { return };
        several.hurry_at = several.hurry_at.filter(|&at| at > now);
        self.paths.iter_mut().for_each(|p| p.ping.handle_timeout(now));
    }

    /// A ping that is due, on its path.
    pub(crate) fn ping(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let i = self.paths.iter().position(|p| p.ping.due)?;
        let early = self.several.as_ref()?.tail.is_empty();
        if early && self.flight_grows() {
            return None;
        }
        if early && let Some(copy) = self.copy(now, i, ext) {
            return Some(copy);
        }
        let (at, bytes) = self.draw()?;
        let repeated = self.board.at(at).or_else(|| self.board.iter().next());
        let tsval = repeated.map(|sent| sent.tsval);
        self.note_unanswered(i);
        let path = &mut self.paths[i];
        path.ping.due = false;
        (path.ping.asked, path.ping.guesses) = (Some((at, len64(bytes.len()), now)), 0);
        path.ping.tries += 1;
        path.ping.at = Some(now + path.ping_wait());
        let draft =
            Draft { path: i, range: at..at, tsval, ..Draft::new(Phase::Open, Flags::ACK, 0) };
        let mut transmit = self.finish(now, &draft, ext);
        transmit.segment.payload = Payload::from(bytes);
        self.counts.seldom().pings_sent += 1;
        Some(transmit)
    }

    /// Bytes to repeat: of the last that were acknowledged, or, where none were yet, of those under way
    /// but for the one that the peer waits for, if they are so many that none will guess them.
    fn draw(&mut self) -> Option<(SubflowOffset, Bytes)> {
        let several = self.several.as_mut()?;
        if !several.tail.is_empty() {
            return several.tail.draw(&mut several.rng);
        }
        let start = self.send.una + 1;
        let end = start + KEPT;
        if end > self.send.nxt.min(self.send.buffer.end()) || several.early.len() >= MAX_PATHS {
            return None;
        }
        let mut under_way = Tail::default();
        under_way.push(&self.send.buffer.slice(start, end), end);
        let (at, bytes) = under_way.draw(&mut several.rng)?;
        several.early.push(at..at + len64(bytes.len()));
        Some((at, bytes))
    }

    /// Takes SACK blocks that answer a ping of bytes under way, and leaves those that tell of other
    /// deliveries.
    pub(crate) fn take_early_pongs(
        &mut self,
        now: Instant,
        blocks: &mut SmallVec<[Range<SubflowOffset>; 4]>,
    ) {
        let several = self.several.as_ref().filter(|several| !several.early.is_empty());
        let Some(early) = several.map(|several| several.early.clone()) else { return };
        for block in blocks.iter().filter(|b| b.end - b.start <= LONGEST) {
            self.take_pong(now, block);
        }
        blocks.retain(|block| !early.contains(block));
    }

    /// Another ping is due because the last was not answered: a path that was only suspected has
    /// failed.
    fn note_unanswered(&mut self, i: usize) {
        let path = &mut self.paths[i];
        if path.ping.tries > 0 && path.health == Health::Suspect {
            path.health = Health::Failed;
            self.events.push_back(Event::PathFailed(path.id));
        }
    }

    /// Takes a D-SACK that answers a ping; returns whether it was one.
    pub(crate) fn take_pong(&mut self, now: Instant, range: &Range<SubflowOffset>) -> bool {
        let Some(i) = self.paths.iter().position(|p| p.ping.is_answer(range)) else {
            if range.end - range.start <= LONGEST {
                self.paths.iter_mut().for_each(|p| p.ping.on_guess());
            }
            return false;
        };
        let path = &mut self.paths[i];
        if let Some((_, _, sent)) = path.ping.asked {
            path.rtt.sample(now.since(sent), now);
        }
        let Ping { tries, .. } = core::mem::take(&mut path.ping);
        path.last_heard = now;
        if path.standing == Standing::Unproven {
            path.standing = Standing::Proven;
            self.events.push_back(Event::PathProven(path.id));
            if tries == 1 {
                self.credit_copies(now, i);
            }
        }
        self.recover_path(now, i);
        true
    }
}
