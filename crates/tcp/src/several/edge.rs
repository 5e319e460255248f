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
        several.window.on_closed(now, outstanding, self.send.max_window);
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
            next = Instant::sooner(next, Some(late_at));
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
        let (slow, to, _) = self.faster_for(sent)?;
        let expected = sent.sent_at + slow.rtt.srtt()?;
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

    /// The faster path that could repeat the first piece, and when.
    fn held_up(&self) -> Option<(usize, Instant)> {
        let first = self.board.iter().next()?;
        let (_, to, rtt) = self.faster_for(first)?;
        Some((to, first.sent_at + rtt))
    }

    /// The path of a piece that is under way and was not repeated before, the fastest other path with
    /// room, if that is faster, and its round-trip time.
    fn faster_for(&self, sent: &Sent) -> Option<(&Path, usize, Duration)> {
        let hurried = self.several.as_ref()?.hurried;
        if sent.status != Status::InFlight || sent.range.start < hurried {
            return None;
        }
        let slow = self.paths.iter().find(|p| p.id == sent.path)?;
        let slow_rtt = slow.rtt.srtt()?;
        let usable = |p: &Path| p.id != slow.id && p.is_well() && p.room() > 0;
        let others = self.paths.iter().enumerate().filter(|(_, p)| usable(p));
        let (rtt, to) = others.filter_map(|(i, p)| Some((p.rtt.srtt()?, i))).min()?;
        (rtt < slow_rtt).then_some((slow, to, rtt))
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
