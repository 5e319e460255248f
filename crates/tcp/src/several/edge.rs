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

/// At the end so many pieces are looked at, the oldest first.
const LOOKED_AT: usize = 64;

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
        let (to, due) = self.held_up()?;
        let several = self.several.as_mut()?;
        if due > now {
            several.hurry_at = Some(due);
            return None;
        }
        several.scheduler.on_blocked();
        Some(self.repeat(now, 0, to, ext))
    }

    /// There is nothing more to send. A path with room repeats what a slower one would deliver later
    /// than it, or should have delivered.
    pub(crate) fn hurry_tail(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        self.hurry_late(now, ext).or_else(|| self.insure(now, ext))
    }

    fn hurry_late(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let mut first = true;
        let mut next: Option<Instant> = None;
        let found = self.board.iter().take(LOOKED_AT).enumerate().find_map(|(n, sent)| {
            let (to, expected, late_at) = self.rescue(sent)?;
            let is_first = core::mem::take(&mut first);
            let sooner = || now + self.paths[to].time_for(sent.len().into()) < expected;
            if late_at <= now || is_first && sooner() {
                return Some((n, to, late_at));
            }
            next = Some(next.map_or(late_at, |other| other.min(late_at)));
            None
        });
        if let Some(several) = self.several.as_mut() {
            several.hurry_at = next.filter(|_| found.is_none());
        }
        let (piece, to, late_at) = found?;
        self.watch_repeat(now, piece, to, late_at);
        Some(self.repeat(now, piece, to, ext))
    }

    /// The path that could repeat what is under way on a slower one; when it is expected to arrive on
    /// its own, and when it is late.
    fn rescue(&self, sent: &Sent) -> Option<(usize, Instant, Instant)> {
        let hurried = self.several.as_ref()?.hurried;
        if sent.status != Status::InFlight || sent.range.start < hurried {
            return None;
        }
        let slow = self.paths.iter().find(|p| p.id == sent.path)?;
        let rtt = slow.rtt.srtt()?;
        let (_, to) = self.fastest_beside(slow).filter(|&(fast_rtt, _)| fast_rtt < rtt)?;
        let expected = sent.sent_at + rtt;
        // As long beyond the mean as RFC 6298 §2 would wait.
        Some((to, expected, expected + slow.rtt.var() * 4))
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
        self.watch_repeat(now, piece, to, now + self.paths[to].rtt.min());
        let limit = self.burst(to).min(self.paths[to].room());
        let transmit = self.resend(now, piece, to, limit, ext);
        if let Some(several) = self.several.as_mut() {
            several.insured += u64::from(transmit.segment.seq_len());
        }
        Some(transmit)
    }

    /// The faster path that could repeat the first piece, if that was not repeated before, and when.
    fn held_up(&self) -> Option<(usize, Instant)> {
        let first = self.board.iter().next()?;
        if first.status != Status::InFlight || first.range.start < self.several.as_ref()?.hurried {
            return None;
        }
        let slow = self.paths.iter().find(|p| p.id == first.path)?;
        let slow_rtt = slow.rtt.srtt()?;
        let (fast_rtt, to) = self.fastest_beside(slow).filter(|&(rtt, _)| rtt < slow_rtt)?;
        Some((to, first.sent_at + fast_rtt))
    }

    /// The fastest other path with room: its round-trip time and its place.
    fn fastest_beside(&self, path: &Path) -> Option<(Duration, usize)> {
        let usable = |p: &Path| p.id != path.id && p.is_well() && p.room() > 0;
        let rtts = self.paths.iter().enumerate().filter(|(_, p)| usable(p));
        rtts.filter_map(|(i, p)| Some((p.rtt.srtt()?, i))).min()
    }

    fn repeat(
        &mut self,
        now: Instant,
        piece: usize,
        to: usize,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let limit = self.burst(to).min(self.paths[to].room());
        let transmit = self.resend(now, piece, to, limit, ext);
        let end = self.board.get(piece).range.end;
        if let Some(several) = self.several.as_mut() {
            several.hurried = end;
        }
        transmit
    }
}
