//! Which paths a scheduler may choose from at all: the rule of backups, in one place.

use crate::PathView;

/// The living paths that may carry data: the regular ones, or the backups where no regular path is
/// alive. A regular path without room still counts as alive, so backups wait (RFC 8684 §3.3.8).
pub fn candidates(paths: &[PathView]) -> impl Iterator<Item = &PathView> {
    let regular_alive = paths.iter().any(|p| p.alive && !p.backup);
    paths.iter().filter(move |p| p.alive && p.backup != regular_alive)
}

/// Of `paths` with room the one of the lowest smoothed round-trip time; the first of equals.
///
/// **Choice:** a path without a sample has time zero and comes first, which is how it gets one.
pub fn lowest_rtt<'a>(paths: impl Iterator<Item = &'a PathView>) -> Option<&'a PathView> {
    paths.filter(|p| p.room > 0).min_by_key(|p| p.srtt)
}

/// Of the paths that may carry data the fastest full one, if it is faster than `slow` and its
/// acknowledgments will make room: the one that a scheduler may wait for. A path without bytes in
/// flight would never end the wait.
pub fn worth_waiting<'a>(slow: &PathView, paths: &'a [PathView]) -> Option<&'a PathView> {
    let awaited = candidates(paths).filter(|p| p.room == 0 && p.in_flight > 0);
    awaited.min_by_key(|p| p.srtt).filter(|fast| fast.srtt < slow.srtt)
}
