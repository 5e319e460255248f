//! What an acknowledgment means for each path: loss detection (RFC 8985), recovery (RFC 6675,
//! RFC 6937), congestion control and timers.

use manypath_base::{Instant, SubflowOffset};
use manypath_cc::{FlowView, Signal};
use smallvec::SmallVec;

use crate::path::{Cause, Episode, Path};
use crate::scoreboard::{Scoreboard, Status};
use crate::{Extension, Flow};

/// Segments passed over that make a loss certain without waiting (RFC 8985 §6.2, DupThresh).
const DUP_THRESH: u32 = 3;

impl Flow {
    /// Every path takes in what the acknowledgment said of it.
    pub(super) fn react(&mut self, now: Instant, duplicate: bool, ext: &dyn Extension) {
        let own = self.own_views();
        let views = ext.flow_views().unwrap_or(&own);
        let Self { board, paths, send, events, .. } = self;
        for path in paths.iter_mut() {
            if path.tally.delivered == 0 && !(duplicate && path.is_outstanding()) {
                continue;
            }
            let (rtt, round_start) = path.finish_ack(now);
            if path.tally.delivered > 0 {
                path.rtt.end_back_off();
                Self::restore_health(path, events);
                path.rto_base = now;
            }
            leave_recovery(path, send.una, board);
            end_tail_probe(path, now, send.una, duplicate, views);
            let reorder = detect_losses(path, board, now, send.nxt, views);
            grow(path, now, rtt, round_start, views);
            path.rearm(now, reorder);
        }
    }

    pub(crate) fn own_views(&self) -> SmallVec<[FlowView; 1]> {
        self.paths.iter().map(Path::view).collect()
    }
}

/// Ends the episode when everything sent before it began is acknowledged.
fn leave_recovery(path: &mut Path, una: SubflowOffset, board: &Scoreboard) {
    if path.episode.is_some_and(|e| una >= e.point || board.is_empty()) {
        path.episode = None;
        path.rack.on_recovered();
    }
}

/// RFC 8985 §7.4: a probe that was needed means that the tail was lost, and that is congestion.
fn end_tail_probe(
    path: &mut Path,
    now: Instant,
    una: SubflowOffset,
    duplicate: bool,
    views: &[FlowView],
) {
    let Some(probe) = path.tail_probe.filter(|p| una >= p.end) else { return };
    path.tail_probe = None;
    if probe.retransmission && !duplicate && path.episode.is_none() {
        let flight = path.tally.prior_in_flight;
        path.controller.on_signal(now, Signal::Loss, flight, views);
    }
}

/// RACK_detect_loss (RFC 8985 §6.2 step 5). Returns when the next piece will count as lost.
pub(super) fn detect_losses(
    path: &mut Path,
    board: &mut Scoreboard,
    now: Instant,
    nxt: SubflowOffset,
    views: &[FlowView],
) -> Option<Instant> {
    let passed = |s: &crate::scoreboard::Sent| {
        s.path == path.id && s.status == Status::InFlight && path.rack.passed_over(s)
    };
    if !board.iter().take_while(|s| s.status != Status::InFlight || passed(s)).any(passed) {
        return None; // Nothing was overtaken: the common case looks at one piece.
    }
    let certain = path.episode.is_some() || path.sacked >= DUP_THRESH * path.mss.bytes();
    let srtt = path.rtt.srtt().unwrap_or_default();
    let window = path.rack.window(certain, path.rtt.min(), srtt);
    let (rack, id, flight) = (path.rack, path.id, path.in_flight);
    let mut next: Option<Instant> = None;
    let mut any_lost = false;
    board.mark_lost(
        |s| {
            if s.path != id || !rack.passed_over(s) {
                return false;
            }
            let at = rack.lost_at(s, window);
            if at > now {
                next = Some(next.map_or(at, |n| n.min(at)));
            }
            at <= now
        },
        |s| {
            any_lost = true;
            path.on_lost(s.len());
        },
    );
    if any_lost && path.episode.is_none() {
        path.begin_episode(now, nxt, Signal::Loss, flight.max(path.tally.prior_in_flight), views);
    }
    next
}

/// Congestion control: growth outside of fast recovery, PRR within it.
fn grow(
    path: &mut Path,
    now: Instant,
    rtt: Option<core::time::Duration>,
    round_start: bool,
    views: &[FlowView],
) {
    let (delivered, in_flight) = (path.tally.delivered, path.in_flight);
    let (ssthresh, mss) = (path.controller.ssthresh(), path.mss.bytes());
    match &mut path.episode {
        Some(Episode { cause: Cause::Loss(prr), .. }) => {
            prr.on_delivered(delivered, in_flight, ssthresh, mss);
        }
        Some(Episode { cause: Cause::Timeout, .. }) | None => {
            if delivered > 0 {
                let sample = path.ack_sample(now, rtt, round_start);
                path.controller.on_ack(&sample, views);
            }
        }
    }
}
