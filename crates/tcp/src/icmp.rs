//! ICMP errors (RFC 9293 §3.9.2.2, RFC 1191, RFC 8201).
//!
//! An error is believed only if the sequence number that it quotes is in flight (RFC 5927 §4.1), and
//! one that says a packet was too big only if the path does not show otherwise (§7.2).

use manypath_base::{Instant, Mss, SubflowOffset};
use manypath_wire::{IcmpError, IcmpKind};

use crate::path::{TooBig, min_mss};
use crate::scoreboard::{Sent, Status};
use crate::{CloseReason, Flow, State};

impl Flow {
    /// Takes in an ICMP error about a packet of this flow. Of several paths it is about the one that
    /// the packet went out on.
    pub fn handle_icmp(&mut self, now: Instant, error: &IcmpError) {
        let Some(at) = SubflowOffset::from_seq(error.seq, self.send.isn, self.send.una) else {
            return;
        };
        if at < self.send.una || at >= self.send.nxt {
            return;
        }
        self.stir();
        self.last_error = Some(error.kind);
        match error.kind {
            IcmpKind::PacketTooBig { mtu } => self.lower_mtu(now, at, mtu),
            // A hard error ends only an attempt to connect (RFC 9293 §3.9.2.2, RFC 5461 §4).
            IcmpKind::Refused if self.state == State::SynSent => {
                self.end(CloseReason::Unreachable);
            }
            IcmpKind::Refused | IcmpKind::Unreachable => {}
        }
    }

    fn lower_mtu(&mut self, now: Instant, at: SubflowOffset, mtu: u32) {
        let v6 = self.ends.remote().is_ipv6();
        let (headers, floor) = (if v6 { 60 } else { 40 }, min_mss(v6));
        let mss = Mss(u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX).max(floor));
        let (path, left) = match (self.copy_at(at), self.board.at(at)) {
            (Some(copy), _) => copy,
            (None, Some(piece)) if piece.status == Status::Sacked => return,
            (None, Some(piece)) => (piece.path, piece.range.end - at),
            (None, None) => return,
        };
        let Some(p) = self.paths.iter_mut().find(|p| p.id == path) else { return };
        p.settle_claim(&self.board);
        match p.on_too_big(at, left, mss) {
            TooBig::Doubted => return,
            TooBig::Believed => p.lower_mss(mss, now),
        }
        // What was sent in larger packets is gone, but that is no sign of congestion.
        let large = |s: &Sent| s.path == path && s.range.end > at && s.len() > mss.bytes();
        self.board.mark_lost(large, |s| p.on_lost(s));
        p.rearm(now);
    }
}
