//! Retransmissions that were not needed, and taking back what they cost: Eifel detection
//! (RFC 3522, as RFC 4015 responds to) and D-SACK (RFC 3708).

use core::ops::Range;

use manypath_base::SubflowOffset;

use crate::Flow;
use crate::path::Path;
use crate::scoreboard::Scoreboard;
use crate::timestamps::tick_before;

impl Flow {
    /// Looks for proof that an episode was spurious, on each path.
    pub(super) fn detect_spurious(
        &mut self,
        advanced: bool,
        echo: Option<u32>,
        duplicate: Option<&Range<SubflowOffset>>,
    ) {
        let Self { board, paths, counters, agreed, .. } = self;
        for path in paths.iter_mut() {
            if let Some(range) = duplicate {
                path.rack.on_dsack();
                if let Some(episode) = &mut path.episode {
                    episode.unproven = episode.unproven.saturating_sub(range.end - range.start);
                }
            }
            let Some(episode) = path.episode else { continue };
            // The acknowledgment is of a segment sent before the first retransmission.
            let eifel = advanced
                && agreed.timestamps
                && episode
                    .first_retransmission
                    .zip(echo)
                    .is_some_and(|(first, e)| tick_before(e, first));
            let all_duplicate =
                duplicate.is_some() && episode.any_retransmitted && episode.unproven == 0;
            if eifel || all_duplicate {
                counters.spurious_recoveries += 1;
                undo(path, board);
            }
        }
    }
}

fn undo(path: &mut Path, board: &mut Scoreboard) {
    path.episode = None;
    path.controller.on_spurious();
    let id = path.id;
    board.unmark_lost(id, |piece| {
        path.lost -= piece.len();
        path.in_flight += piece.len();
    });
}
