//! What goes out although the window does not ask for it: tail loss probes (RFC 8985 §7.3), probes
//! of a closed window (RFC 9293 §3.8.6.1) and of an idle peer (§3.8.4), and acknowledgments.

use manypath_base::{Instant, SubflowOffset};
use manypath_wire::Flags;

use super::segment::Draft;
use crate::extension::Phase;
use crate::flow::Transmit;
use crate::path::{Path, TailProbe};
use crate::{Extension, Flow, Plain};

impl Flow {
    /// A probe that the window does not limit: tail loss (RFC 8985 §7.3) or closed window.
    pub(super) fn probe(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if let Some(path) = self.paths.iter().position(|p| p.probe_due) {
            self.paths[path].probe_due = false;
            return self.probe_tail(now, path, ext);
        }
        if core::mem::take(&mut self.persist.due) {
            return self.probe_window(now, ext);
        }
        None
    }

    /// New data if there is any, else the last packet again.
    fn probe_tail(
        &mut self,
        now: Instant,
        path: usize,
        ext: &mut dyn Extension,
    ) -> Option<Transmit> {
        let packet = self.paths[path].packet;
        let new = self.sendable(ext).filter(|r| !r.is_empty());
        let retransmission = new.is_none();
        let sent = match new {
            Some(range) => {
                let end = range.end.min(range.start + u64::from(packet));
                self.send_range(now, path, range.start..end, ext)
            }
            None => {
                let piece = self.last_packet(path)?;
                self.resend(now, piece, path, packet, ext)
            }
        };
        let probe = TailProbe { end: self.send.nxt, retransmission };
        self.paths[path].on_tail_probe(now, probe);
        Some(sent)
    }

    /// The last packet's worth of what may be missing on a path, as a piece of its own.
    fn last_packet(&mut self, path: usize) -> Option<usize> {
        let Path { id, packet, .. } = self.paths[path];
        let piece = self.board.last_missing(id)?;
        let range = self.board.get(piece).range.clone();
        let packet = u64::from(packet);
        if range.end - range.start <= packet {
            return Some(piece);
        }
        self.board.split(piece, SubflowOffset(range.end.0 - packet));
        Some(piece + 1)
    }

    /// The persist timer expired: what a small window admits goes out after all (RFC 9293
    /// §3.8.6.2.1), a closed one is probed (§3.8.6.1).
    ///
    /// **Differs** from "at least one octet of new data": the probe carries none and stands
    /// before the window, so that it must be acknowledged but takes no part in loss recovery.
    /// Common systems probe so.
    fn probe_window(&mut self, now: Instant, ext: &mut dyn Extension) -> Option<Transmit> {
        if !self.board.is_empty() {
            return None;
        }
        let range = self.sendable(ext)?;
        if !range.is_empty() {
            let packet = u64::from(self.paths[0].packet);
            let end = range.end.min(range.start + packet);
            let draft = self.draft_data(0, range.start..end, 0);
            return Some(self.send_draft(now, &draft, ext));
        }
        self.start_persist(now);
        Some(self.empty_segment(now, SubflowOffset(self.send.una.0 - 1), ext))
    }

    /// An acknowledgment alone, where one is due; several, until every SACK block was reported.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        ext: &mut dyn Extension,
    ) -> Option<Transmit> {
        let wanted = self.state.is_synchronized() && ext.wants_ack();
        if core::mem::take(&mut self.silence.due) {
            return Some(self.keep_alive(now));
        }
        let owed = self.agreed.sack && self.recv.sack.is_owed();
        if !self.recv.acks.is_due() && !owed && !wanted {
            return None;
        }
        Some(self.empty_segment(now, self.send.nxt, ext))
    }

    /// A segment before the window, which must be acknowledged, without data (RFC 9293 §3.8.4,
    /// SHLD-12). It is no acknowledgment that the peer reads, and no extension says anything on it.
    fn keep_alive(&mut self, now: Instant) -> Transmit {
        let acks = self.recv.acks;
        let before = SubflowOffset(self.send.una.0.saturating_sub(1));
        let transmit = self.empty_segment(now, before, &mut Plain);
        self.recv.acks = acks;
        transmit
    }

    /// A segment without data.
    fn empty_segment(
        &mut self,
        now: Instant,
        at: SubflowOffset,
        ext: &mut dyn Extension,
    ) -> Transmit {
        let path = self.main_path();
        let draft = Draft { path, range: at..at, ..Draft::new(Phase::Open, Flags::ACK, 0) };
        self.finish(now, &draft, ext)
    }
}
