//! ICMP errors (RFC 9293 §3.9.2.2, RFC 1191, RFC 8201).
//!
//! An error is believed only if the sequence number that it quotes is in flight (RFC 5927 §4.1).

use manypath_base::{Instant, Mss, PathId, SubflowOffset};
use manypath_wire::{IcmpError, IcmpKind};

use crate::path::min_mss;
use crate::scoreboard::Sent;
use crate::{CloseReason, Flow, State};

impl Flow {
    /// Takes in an ICMP error about a packet of this flow that was sent on `path`.
    pub fn handle_icmp(&mut self, now: Instant, path: PathId, error: &IcmpError) {
        let Some(at) = SubflowOffset::from_seq(error.seq, self.send.isn, self.send.una) else {
            return;
        };
        if at < self.send.una || at >= self.send.nxt {
            return;
        }
        self.stir();
        self.last_error = Some(error.kind);
        match error.kind {
            IcmpKind::PacketTooBig { mtu } => self.lower_mtu(now, path, at, mtu),
            // A hard error ends only an attempt to connect (RFC 9293 §3.9.2.2, RFC 5461 §4).
            IcmpKind::Refused if self.state == State::SynSent => {
                self.end(CloseReason::Unreachable);
            }
            IcmpKind::Refused | IcmpKind::Unreachable => {}
        }
    }

    fn lower_mtu(&mut self, now: Instant, path: PathId, at: SubflowOffset, mtu: u32) {
        let v6 = self.remote.is_ipv6();
        let (headers, floor) = (if v6 { 60 } else { 40 }, min_mss(v6));
        let mss = u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX).max(floor);
        // Of several paths it is the one that the quoted packet went out on.
        let path = self.board.at(at).map_or(path, |piece| piece.path);
        let Some(p) = self.paths.iter_mut().find(|p| p.id == path) else { return };
        if mss >= p.mss.0 {
            return;
        }
        p.lower_mss(Mss(mss), now);
        // What was sent in larger packets is gone, but that is no sign of congestion.
        let large = |s: &Sent| s.path == path && s.range.end > at && s.len() > u32::from(mss);
        self.board.mark_lost(large, |s| p.on_lost(s.len()));
        p.rearm(now);
    }
}
