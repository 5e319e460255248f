//! RSTs while there are several paths: a middlebox on one of them may have sent it.

use manypath_base::{Instant, PathId};

use crate::Flow;

use super::Barred;

impl Flow {
    /// Whether a RST that the rules of TCP would believe is put down to a path. One that came on
    /// a further path ends that path only. One on the first path makes the flow keep to that path
    /// and ask: a peer that has no such connection answers with another RST. For a timeout after
    /// either, more of them may be for the rest of what was under way.
    pub(crate) fn doubts_reset(&mut self, now: Instant, path: PathId) -> bool {
        let spread = self.is_spread();
        let wait = self.paths.iter().map(|p| p.rtt.rto()).max().unwrap_or_default();
        let further = self.paths.iter().skip(1).position(|p| p.id == path).map(|i| i + 1);
        let carries = further.filter(|&i| self.paths[i].may_carry());
        let Some(several) = self.several.as_mut() else { return false };
        let doubt = match further {
            Some(_) => &mut several.doubted_further,
            None => &mut several.doubted_first,
        };
        if carries.is_none() && doubt.is_some_and(|at| now.since(at) < wait) {
            return true;
        }
        if let Some(i) = carries {
            *doubt = Some(now);
            self.bar(now, i, Barred::Reset);
            return true;
        }
        if !spread || doubt.is_some() {
            return false;
        }
        *doubt = Some(now);
        for i in 1..self.paths.len() {
            if self.paths[i].may_carry() {
                self.bar(now, i, Barred::Reset);
            }
        }
        self.recv.acks.at_once();
        true
    }
}
