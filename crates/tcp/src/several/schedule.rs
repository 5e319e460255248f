//! Which path the next bytes take.

use manypath_base::{Instant, PathId};
use manypath_sched::{Demand, PathView};
use smallvec::SmallVec;

use crate::path::{Health, Path};
use crate::{Extension, Flow};

/// As long as all that there was to send is no longer than this it goes over one path, unless another
/// is known to be better: a loss on a second, of which nothing is known yet, would cost more than it can
/// gain.
pub(super) const SHORT: u64 = 80 << 10;

impl Flow {
    /// The path for new data; `None` where none has room, all wait for their pace, or the
    /// scheduler rather waits for a better one.
    pub(crate) fn schedule(&mut self, now: Instant, ext: &dyn Extension) -> Option<usize> {
        let sacked: u64 = self.paths.iter().map(|p| u64::from(p.sacked)).sum();
        let edge = self.send_edge(ext).saturating_sub(self.send.nxt);
        let outstanding = self.send.nxt - self.send.una;
        let round = self.paths.iter().filter_map(|p| p.rtt.srtt()).max().unwrap_or_default();
        let mut unsent = self.unsent();
        let any_well = self.paths.iter().any(Path::is_well);
        let main = &self.paths[self.main_path()];
        let short = self.send.buffer.end().0 <= SHORT;
        let best = !self.paths.iter().any(|p| p.is_well() && p.surpasses(main));
        let only = (short && best && main.may_carry()).then_some(main.id);
        let usable = |p: &&Path| p.may_carry() && only.is_none_or(|id| id == p.id);
        let mut views: SmallVec<[PathView; 4]> =
            self.paths.iter().filter(usable).map(|p| view(p, any_well)).collect();
        let several = self.several.as_mut()?;
        let usable = several.window.bytes(now, round, self.send.max_window);
        let usable = usable.saturating_sub(outstanding);
        let window = edge.min(usable) + sacked;
        for _ in 0..views.len() {
            let picked = several.scheduler.pick(&Demand { unsent, window }, &views)?;
            let i = self.paths.iter().position(|p| p.id == picked)?;
            if is_sooner_done(&views, picked, unsent) {
                return None;
            }
            let Some(at) = self.paths[i].paced_until(now) else { return Some(i) };
            self.pace_at = Some(self.pace_at.map_or(at, |other| other.min(at)));
            // What it will take soon is not for the others.
            let view = views.iter_mut().find(|v| v.id == picked)?;
            unsent = unsent.saturating_sub(view.room.into());
            view.room = 0;
            if unsent == 0 {
                return None;
            }
        }
        None
    }
}

impl Path {
    /// Whether this path, once it is proven, is better than another as far as anybody knows: it is
    /// faster by a quarter, or it has lost nothing and the other has.
    fn surpasses(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (self.rtt.srtt(), other.rtt.srtt()) else { return false };
        own * 4 <= others * 3 || self.losses().0 == 0 && other.losses().0 > 0
    }
}

/// Whether a faster path would be done with all that waits before the picked one delivers the first
/// of it (ECF, Lim et al., CoNEXT 2017).
fn is_sooner_done(views: &[PathView], picked: PathId, unsent: u64) -> bool {
    let busy = views.iter().filter(|v| v.alive && v.in_flight > 0);
    let (Some(fast), Some(slow)) =
        (busy.min_by_key(|v| v.srtt), views.iter().find(|v| v.id == picked))
    else {
        return false;
    };
    let cwnd = u128::from(fast.cwnd);
    (u128::from(unsent) + cwnd) * fast.srtt.as_nanos() < cwnd * slow.srtt.as_nanos()
}

/// What a path takes now, if that is a pair of packets: with single packets, given to the paths in
/// turn as acknowledgments come, they would meet a full queue less often than the pairs with which an
/// ordinary sender answers a delayed acknowledgment, and take more than their share.
fn room(path: &Path) -> u32 {
    let (room, cwnd) = (path.room(), path.controller.cwnd());
    let least = (2 * path.packet).min(cwnd / 4);
    if room >= least || path.in_flight == 0 { room } else { 0 }
}

/// Where no path answers, one that does not is as good as another.
fn view(path: &Path, any_well: bool) -> PathView {
    PathView {
        alive: path.health == Health::Alive || !any_well,
        srtt: path.time_for((2 * path.packet).into()),
        room: room(path),
        ..path.scheduler_view()
    }
}
