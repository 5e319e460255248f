//! The end of what there is to send, repeated on another path while it was under way on its own: whether
//! it had been lost. No later delivery of its path would show that, and bursts with pauses between them
//! would lose their ends for ever without a smaller window.
//!
//! Where both copies arrive the peer says so (D-SACK, RFC 2883 §4). Where it has not, once both must have
//! arrived, the copy has repaired a loss, as a tail loss probe does (RFC 8985 §7.4.2).

use core::ops::Range;

use manypath_base::{Instant, PathId, SubflowOffset};
use smallvec::SmallVec;

use crate::input::OwnViews;
use crate::scoreboard::Status;
use crate::{Extension, Flow};

/// What is looked after at once.
const MOST: usize = 16;

/// What went out again elsewhere.
#[derive(Clone, Debug)]
struct Repeat {
    range: Range<SubflowOffset>,
    /// The path that it was under way on.
    path: PathId,
    /// Its place in the order of sending there.
    index: u64,
    /// What is acknowledged by then is the original.
    own_until: Instant,
    /// By when the peer would have said that it has it twice.
    judged_at: Instant,
}

/// What went out again and was not judged yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats(SmallVec<[Repeat; 2]>);

impl Repeats {
    fn push(&mut self, repeat: Repeat) {
        if self.0.len() < MOST {
            self.0.push(repeat);
        }
    }

    /// The peer has something twice.
    fn on_duplicate(&mut self, duplicate: &Range<SubflowOffset>) {
        let apart = |r: &Repeat| duplicate.end <= r.range.start || r.range.end <= duplicate.start;
        self.0.retain(|repeat| apart(repeat));
    }

    /// Of what was acknowledged by now some was so early that nothing was lost.
    fn on_acknowledged(
        &mut self,
        now: Instant,
        is_delivered: impl Fn(&Range<SubflowOffset>) -> bool,
    ) {
        self.0.retain(|repeat| now > repeat.own_until || !is_delivered(&repeat.range));
    }

    /// Takes one out that the peer has once, though it would have said that it has it twice.
    fn pop_repaired(&mut self, now: Instant, una: SubflowOffset) -> Option<Repeat> {
        let due = |r: &Repeat| r.range.end <= una && r.judged_at <= now;
        let found = self.0.iter().position(due)?;
        Some(self.0.swap_remove(found))
    }

    fn forget(&mut self, path: PathId) {
        self.0.retain(|repeat| repeat.path != path);
    }
}

impl Flow {
    /// A piece that is under way is about to be sent on path `to` as well. If it is acknowledged by
    /// `own_until`, the original has arrived.
    pub(super) fn watch_repeat(
        &mut self,
        now: Instant,
        piece: usize,
        to: usize,
        own_until: Instant,
    ) {
        let piece = self.board.get(piece);
        let Some(from) = self.paths.iter().find(|p| p.id == piece.path) else { return };
        // Of several copies nothing tells which of them came twice.
        if piece.transmissions > 1 {
            return;
        }
        let judged_at = (piece.sent_at + from.silence()).max(now + self.paths[to].silence());
        let (range, path, index) = (piece.range.clone(), from.id, piece.index);
        if let Some(several) = self.several.as_mut() {
            several.repeats.push(Repeat { range, path, index, own_until, judged_at });
        }
    }

    /// An acknowledgment came, perhaps with a D-SACK: each path that lost the end of a burst has a
    /// smaller window, once for all that it had sent by now.
    pub(crate) fn judge_repeats(
        &mut self,
        now: Instant,
        duplicate: Option<&Range<SubflowOffset>>,
        ext: &dyn Extension,
    ) {
        let una = self.send.una;
        let Self { board, several, .. } = self;
        let Some(repeats) = several.as_mut().map(|several| &mut several.repeats) else { return };
        duplicate.into_iter().for_each(|range| repeats.on_duplicate(range));
        repeats.on_acknowledged(now, |range| {
            let sacked = || board.at(range.start).is_some_and(|s| s.status == Status::Sacked);
            range.end <= una || sacked()
        });
        while let Some(Repeat { path: id, index, .. }) =
            self.several.as_mut().and_then(|several| several.repeats.pop_repaired(now, una))
        {
            let mut own = OwnViews::new();
            let views = self.views_of(ext, &mut own);
            let Some(path) = self.paths.iter_mut().find(|path| path.id == id) else { continue };
            if path.has_answered(index) {
                continue;
            }
            path.on_repaired_loss(now, views);
            if let Some(several) = self.several.as_mut() {
                several.repeats.forget(id);
            }
        }
    }
}
