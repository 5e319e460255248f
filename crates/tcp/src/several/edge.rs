//! The left edge of a closed window, and the tail of what there is to send: what holds them up on a
//! slow path goes out again on a faster one, once.

use core::time::Duration;

use manypath_base::Instant;

use crate::flow::Transmit;
use crate::path::Path;
use crate::scoreboard::{Sent, Status};
use crate::{Extension, Flow};

/// At the end of a transfer no more than this part of all that was sent goes out again in case it is
/// lost, beside an initial window.
const INSURED: u64 = 16;

/// A piece on a slow path that a faster one could repeat.
struct Held {
    /// Its place in the scoreboard.
    piece: usize,
    sent_at: Instant,
    slow_rtt: Duration,
    /// By how much the slow path's round trips differ: RFC 6298 §2 waits as long beyond their mean.
    spread: Duration,
    /// The faster path, by its place, and its round-trip time.
    fast: (usize, Duration),
}

impl Flow {
    /// The window is closed. If the first piece has been under way on a slow path for longer than
    /// a faster one needs there and back, the faster one repeats it.
    pub(crate) fn hurry(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let outstanding = self.send.nxt - self.send.una;
        let several = self.several.as_mut()?;
        several.hurry_at = None;
        if outstanding == 0 {
            several.window.on_unread();
            several.harm.on_nothing_to_send();
            return None;
        }
        several.window.on_closed(now, outstanding);
        several.harm.on_blocked();
        let held = self.held_up(0)?;
        let due = held.sent_at + held.fast.1;
        let several = self.several.as_mut()?;
        if due > now {
            several.hurry_at = Some(due);
            return None;
        }
        several.scheduler.on_blocked();
        Some(self.repeat(now, &held, ext))
    }

    /// There is nothing more to send. A path with room repeats what a slower one would deliver later
    /// than it, or should have delivered.
    pub(crate) fn hurry_tail(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        self.hurry_late(now, ext).or_else(|| self.insure(now, ext))
    }

    fn hurry_late(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let hurried = self.several.as_ref()?.hurried;
        let untried = |s: &Sent| s.status == Status::InFlight && s.range.start >= hurried;
        let slow = |s: &Sent| self.paths.iter().any(|p| p.id == s.path && self.is_slow(p));
        let piece = self.board.iter().position(|s| untried(s) && slow(s))?;
        let held = self.held_up(piece)?;
        let expected = held.sent_at + held.slow_rtt;
        if now <= expected + held.spread && expected <= now + held.fast.1 {
            return None;
        }
        Some(self.repeat(now, &held, ext))
    }

    /// What is under way on a path that loses goes out again on one that does not and is about as fast:
    /// a loss at the end shows only after a round trip, or by a timeout. No more than a part of all that
    /// was sent.
    fn insure(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let budget = self.send.nxt.0 / INSURED + u64::from(self.paths[0].mss.bytes()) * 10;
        if self.several.as_ref()?.insured >= budget {
            return None;
        }
        let (piece, to) = self.board.iter().enumerate().find_map(|(n, sent)| {
            if sent.status != Status::InFlight {
                return None;
            }
            let path = self.paths.iter().find(|p| p.id == sent.path)?;
            let no_slower = |p: &Path| p.expected_rtt() * 4 <= path.expected_rtt() * 5;
            let usable = |p: &Path| p.is_well() && p.room() > 0 && no_slower(p);
            let safer = |p: &Path| usable(p) && p.is_safer_than(path);
            let others = self.paths.iter().enumerate().filter(|(_, p)| safer(p));
            let (to, _) = others.min_by_key(|(_, p)| p.rtt.srtt())?;
            Some((n, to))
        })?;
        let limit = self.burst(to).min(self.paths[to].room());
        let transmit = self.resend(now, piece, to, limit, ext);
        if let Some(several) = self.several.as_mut() {
            several.insured += u64::from(transmit.segment.seq_len());
        }
        Some(transmit)
    }

    /// Whether another path that has room is faster.
    fn is_slow(&self, path: &Path) -> bool {
        let faster = |p: &Path| p.id != path.id && p.is_well() && p.rtt.srtt() < path.rtt.srtt();
        self.paths.iter().any(|p| faster(p) && p.rtt.srtt().is_some() && p.room() > 0)
    }

    /// A piece that was not repeated before, where a faster path has room for it.
    fn held_up(&self, piece: usize) -> Option<Held> {
        let first = self.board.iter().nth(piece)?;
        if first.status != Status::InFlight || first.range.start < self.several.as_ref()?.hurried {
            return None;
        }
        let slow = self.paths.iter().find(|p| p.id == first.path)?;
        let slow_rtt = slow.rtt.srtt()?;
        let usable = |p: &Path| p.id != slow.id && p.is_well() && p.room() > 0;
        let rtts = self.paths.iter().enumerate().filter(|(_, p)| usable(p));
        let fastest = rtts.filter_map(|(i, p)| Some((p.rtt.srtt()?, i))).min();
        let (fast_rtt, i) = fastest.filter(|&(rtt, _)| rtt < slow_rtt)?;
        let spread = slow.rtt.var() * 4;
        Some(Held { piece, sent_at: first.sent_at, slow_rtt, spread, fast: (i, fast_rtt) })
    }

    fn repeat(&mut self, now: Instant, held: &Held, ext: &mut dyn Extension) -> Transmit {
        let (i, _) = held.fast;
        let limit = self.burst(i).min(self.paths[i].room());
        let transmit = self.resend(now, held.piece, i, limit, ext);
        let end = self.board.get(held.piece).range.end;
        if let Some(several) = self.several.as_mut() {
            several.hurried = end;
        }
        transmit
    }
}
