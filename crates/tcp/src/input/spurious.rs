//! Retransmissions that were not needed, and taking back what they cost: Eifel detection
//! (RFC 3522; RFC 4015 is the response), F-RTO (RFC 5682) and D-SACK (RFC 3708).

use manypath_base::SubflowOffset;

use super::ack::AckNews;
use crate::Flow;
use crate::path::{Cause, Episode, Judgment, Path};
use crate::scoreboard::Scoreboard;

impl Flow {
    /// Looks for proof that an episode was spurious, on each path.
    pub(super) fn detect_spurious(&mut self, news: &AckNews) {
        let (una, nxt, timestamps) = (self.send.una, self.send.nxt, self.agreed.timestamps);
        let Self { board, paths, counts, several, .. } = self;
        for path in paths.iter_mut() {
            let concerned = |range| several.is_none() || path.concerns(range);
            if news.duplicate.as_ref().is_some_and(concerned) {
                path.work.rack.on_dsack(una, nxt);
            }
            let eifel = news.advanced && timestamps && path.episode.is_some();
            let judgment = path.judge_timeout(news.advanced, una);
            let latest = path.episode.as_deref_mut().or(path.recovered.as_deref_mut());
            let Some(Episode { evidence, .. }) = latest else { continue };
            let duplicate = news.duplicate.clone();
            let all_duplicate = duplicate.is_some_and(|range| evidence.on_duplicate(range));
            let echoed = eifel && evidence.is_answer_to_original(una, news.echo);
            if all_duplicate || echoed || judgment == Judgment::Spurious {
                counts.seldom().spurious_recoveries += 1;
                undo(path, board, news.marked.then_some(nxt));
            }
        }
    }
}

/// Takes an episode back, but not its reduction of the window where the acknowledgment echoes a
/// mark of congestion (RFC 4015 §3.4): `marked` is SND.NXT then.
fn undo(path: &mut Path, board: &mut Scoreboard, marked: Option<SubflowOffset>) {
    let episode = path.episode.take().or(path.recovered.take());
    if let Some(Episode { cause: Cause::Loss(_), .. }) = episode.as_deref() {
        path.work.rack.on_spurious();
    }
    path.work.frto = None;
    match marked {
        Some(nxt) => path.keep_reduction(nxt),
        None => {
            path.controller.on_spurious();
            path.runs.on_spurious();
        }
    }
    let id = path.id;
    board.unmark_lost(id, |piece| {
        path.lost -= piece.len();
        path.in_flight += piece.len();
    });
    path.work.order.rebuild(id, board);
}
