//! RSTs while there are several paths: a middlebox on one of them may have sent it.

use manypath_base::{Instant, PathId};

use crate::Flow;

use super::Barred;

impl Flow {
    /// Whether a RST that the rules of TCP would believe is put down to a path. One that came on
    /// a further path ends that path only. One on the first path makes the flow keep to that path
    /// and ask: a peer that has no such connection answers with another RST.
    pub(crate) fn doubts_reset(&mut self, now: Instant, path: PathId) -> bool {
        let first = self.paths[0].id;
        let spread = self.is_spread();
        let came_on = self.paths.iter().position(|p| p.id == path && p.id != first);
        let Some(several) = self.several.as_mut() else { return false };
        if let Some(i) = came_on.filter(|&i| self.paths[i].may_carry()) {
            self.bar(now, i, Barred::Reset);
            return true;
        }
        if !spread || several.doubted_reset {
            return false;
        }
        several.doubted_reset = true;
        for i in 1..self.paths.len() {
            if self.paths[i].may_carry() {
                self.bar(now, i, Barred::Reset);
            }
        }
        self.recv.acks.at_once();
        true
    }
}
