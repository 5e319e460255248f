//! Which of several paths a new connection to the same peer had best begin on.

use manypath_base::PathId;

use crate::Flow;

impl Flow {
    /// The path on which a transfer of some packets would be done first, by what is known of their
    /// round trips and rates: another than the first only where that is better by a quarter.
    /// `None` where too little is known, or while there is more to send, so that it is not asked for
    /// each packet.
    #[must_use]
    pub fn best_to_begin(&self) -> Option<PathId> {
        if self.unsent() > 0 || !self.is_spread() {
            return None;
        }
        let first = self.paths.first()?;
        let further = self.paths.iter().skip(1).filter(|p| p.is_well());
        let times = further.filter_map(|p| Some((p.short_time()?, p.id)));
        let (time, best) = times.min_by_key(|(time, _)| *time)?;
        let stays = first.is_well() && first.short_time().is_none_or(|own| own * 3 <= time * 4);
        Some(if stays { first.id } else { best })
    }
}
