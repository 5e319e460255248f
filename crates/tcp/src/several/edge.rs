//! The left edge of a closed window: what holds it up on a slow path goes out again on a faster
//! one, once.

use manypath_base::Instant;

use crate::flow::Transmit;
use crate::path::Path;
use crate::scoreboard::Status;
use crate::{Extension, Flow};

impl Flow {
    /// The window is closed. If the first piece has been under way on a slow path for longer than
    /// a faster one needs there and back, the faster one repeats it.
    pub(crate) fn hurry(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        let outstanding = self.send.nxt - self.send.una;
        let several = self.several.as_mut()?;
        several.hurry_at = None;
        several.window.on_closed(now, outstanding);
        let first = self.board.iter().next()?;
        let (start, slow, sent_at) = (first.range.start, first.path, first.sent_at);
        let hurried = self.several.as_ref()?.hurried;
        if first.status != Status::InFlight || start < hurried {
            return None;
        }
        let slow_rtt = self.paths.iter().find(|p| p.id == slow)?.rtt.srtt()?;
        let usable = |p: &Path| p.id != slow && p.is_well() && p.room() > 0;
        let rtts = self.paths.iter().enumerate().filter(|(_, p)| usable(p));
        let fastest = rtts.filter_map(|(i, p)| Some((p.rtt.srtt()?, i))).min();
        let (fast_rtt, i) = fastest.filter(|&(rtt, _)| rtt < slow_rtt)?;
        let due = sent_at + fast_rtt;
        let limit = self.burst(i).min(self.paths[i].room());
        let several = self.several.as_mut()?;
        if due > now {
            several.hurry_at = Some(due);
            return None;
        }
        several.scheduler.on_blocked();
        let transmit = self.resend(now, 0, i, limit, ext);
        if let (Some(several), Some(first)) = (self.several.as_mut(), self.board.iter().next()) {
            several.hurried = first.range.end;
        }
        Some(transmit)
    }
}
