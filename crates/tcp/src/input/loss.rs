//! What an acknowledgment means for each path: loss detection (RFC 8985, or RFC 6582 without
//! SACK), recovery (RFC 6675, RFC 6937), congestion control and timers.

use core::time::Duration;

use manypath_base::{Instant, SubflowOffset};
use manypath_cc::{FlowView, Signal};
use smallvec::SmallVec;

use super::ack::AckNews;
use crate::path::{Cause, Episode, Path};
use crate::scoreboard::Scoreboard;
use crate::{Extension, Flow};

/// Duplicate acknowledgments, or segments passed over, that make a loss certain (RFC 5681 §3.2,
/// RFC 8985 §6.2, DupThresh).
const DUP_THRESH: u32 = 3;

/// How a flow's paths look to coupled controllers; nearly always it has one.
pub(crate) type OwnViews = SmallVec<[FlowView; 1]>;

impl Flow {
    /// Every path takes in what the acknowledgment said of it.
    pub(super) fn react(&mut self, now: Instant, news: &AckNews, ext: &dyn Extension) {
        let mut own = OwnViews::new();
        let views = self.views_of(ext, &mut own);
        let (sack, nxt, una) = (self.agreed.sack, self.send.nxt, self.send.una);
        let dup_acks = self.send.dup_acks;
        let Self { board, paths, events, counts, .. } = self;
        for path in paths.iter_mut() {
            path.end_marked_round(una);
            end_tail_probe(path, now, una, news, views);
            // One that was sent on any of several paths.
            let duplicate = news.duplicate.is_some() && path.is_outstanding() && !path.shares;
            if path.work.tally.delivered == 0 && !news.repeated && !duplicate {
                continue;
            }
            let (rtt, round_start) = path.finish_ack(now);
            if path.work.tally.delivered > 0 {
                path.rtt.end_back_off();
                Self::restore_health(path, events);
                path.restart_timer(now, una, sack);
            }
            leave_recovery(path, una, board);
            path.work.tally.repeated = if news.repeated { path.packet } else { 0 };
            let must_resend = if sack {
                detect_losses(path, board, now, nxt, views);
                false
            } else {
                count_duplicates(path, board, now, (nxt, dup_acks), views)
            };
            if news.marked && path.on_mark(now, nxt, views) {
                counts.seldom().ecn_reductions += 1;
            }
            // An echo does not open the window (RFC 3168 §6.1.2).
            if !news.marked || path.is_recovering() {
                if path.shares {
                    let views = path.coupled_to(views);
                    grow(path, now, rtt, round_start, &views);
                } else {
                    grow(path, now, rtt, round_start, views);
                }
            }
            if must_resend {
                path.grant_one();
            }
            path.rearm(now);
        }
    }

    /// The paths that are coupled: those of the whole connection, else this flow's, put into `own`.
    pub(crate) fn views_of<'a>(
        &self,
        ext: &'a dyn Extension,
        own: &'a mut OwnViews,
    ) -> &'a [FlowView] {
        ext.flow_views().unwrap_or_else(|| {
            own.extend(self.views());
            own
        })
    }
}

/// Ends the episode when everything sent before it began is acknowledged; of several paths, when it
/// was delivered or went out again, since another path may hold up the acknowledgment.
fn leave_recovery(path: &mut Path, una: SubflowOffset, board: &Scoreboard) {
    let Some(&Episode { point, last_index, .. }) = path.episode.as_deref() else { return };
    let settled = path.shares
        && path.lost == 0
        && path.work.order.oldest(path.id, board).is_none_or(|sent| sent.index > last_index);
    if settled || una >= point || board.is_empty() {
        path.recovered = path.episode.take();
        path.work.frto = None;
        path.work.rack.on_recovered();
    }
}

/// TLP_process_ack (RFC 8985 §7.4.2): a probe whose original is not known to have arrived has
/// repaired a loss, and that is congestion. It is known only once something behind it is
/// acknowledged.
fn end_tail_probe(
    path: &mut Path,
    now: Instant,
    una: SubflowOffset,
    news: &AckNews,
    views: &[FlowView],
) {
    let Some(probe) = path.work.tail_probe.filter(|p| una >= p.end) else { return };
    let both_came = news.duplicate.as_ref().is_some_and(|d| d.end >= probe.end)
        || una == probe.end && news.is_bare_repeat;
    if !probe.retransmission || both_came {
        path.work.tail_probe = None;
    } else if una > probe.end {
        path.work.tail_probe = None;
        if path.episode.is_none() {
            path.on_repaired_loss(now, views);
        }
    }
}

/// RACK_detect_loss (RFC 8985 §6.2 step 5), oldest send first: without losses it looks at one
/// piece. Notes when the next piece will count as lost.
pub(super) fn detect_losses(
    path: &mut Path,
    board: &mut Scoreboard,
    now: Instant,
    nxt: SubflowOffset,
    views: &[FlowView],
) {
    let (rack, id, packet) = (path.work.rack, path.id, path.packet);
    // What is acknowledged selectively of one of several paths may wait for another.
    let certain = path.episode.is_some()
        || if path.shares {
            path.work.order.oldest(id, board).is_some_and(|s| rack.is_far_past(s, packet))
        } else {
            path.sacked > (DUP_THRESH - 1) * path.mss.bytes()
        };
    let window =
        path.work.rack.window(certain, path.rtt.min(), path.rtt.srtt().unwrap_or_default());
    let lost_before = path.lost;
    path.work.reorder_at = None;
    while let Some(oldest) = path.work.order.oldest(id, board).filter(|s| rack.passed_over(s)) {
        let at = rack.lost_at(oldest, window);
        if at > now {
            path.work.reorder_at = Some(at);
            break;
        }
        let Some((index, range)) = path.work.order.front() else { break };
        board.lose((id, index), &range, |s| rack.passed_over(s), |s| path.on_lost(s));
    }
    if path.lost > lost_before && path.episode.is_none() {
        path.begin_episode(now, nxt, Signal::Loss, path.work.tally.prior_outstanding, views);
    }
}

/// Without SACK (RFC 6582 §3.2): the third duplicate acknowledgment, and in recovery every
/// partial one, mean that the first segment is lost. Returns whether it is, and so must go out
/// again at once.
fn count_duplicates(
    path: &mut Path,
    board: &mut Scoreboard,
    now: Instant,
    (nxt, dup_acks): (SubflowOffset, u32),
    views: &[FlowView],
) -> bool {
    let first_is_ours = board.iter().next().is_some_and(|s| s.path == path.id);
    let repeated = path.work.tally.repeated > 0;
    let third = repeated && dup_acks == DUP_THRESH && path.episode.is_none();
    let partial = path.is_recovering() && path.work.tally.delivered > 0;
    if !first_is_ours || !(third || partial) {
        return false;
    }
    let packet = u64::from(path.packet);
    board.lose_first(packet, |s| path.on_lost(s));
    if third {
        path.begin_episode(now, nxt, Signal::Loss, path.work.tally.prior_outstanding, views);
    }
    true
}

/// Congestion control: growth outside of fast recovery; PRR within it, unless the controller governs
/// that as well.
fn grow(
    path: &mut Path,
    now: Instant,
    rtt: Option<Duration>,
    round_start: bool,
    views: &[FlowView],
) {
    let repeated = path.work.tally.repeated;
    let (delivered, in_flight) = (path.work.tally.delivered, path.in_flight);
    let governs = path.controller.governs_recovery();
    let (ssthresh, mss) = (path.controller.ssthresh(), path.mss.bytes());
    match path.episode.as_deref_mut() {
        Some(Episode { cause: Cause::Loss(prr), .. }) if !governs => {
            prr.on_delivered(delivered + repeated, in_flight, ssthresh, mss);
        }
        _ => {
            if delivered > 0 {
                let sample = path.ack_sample(now, rtt, round_start);
                path.controller.on_ack(&sample, views);
            }
        }
    }
}
