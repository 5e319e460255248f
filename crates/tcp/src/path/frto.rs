//! F-RTO with SACK (RFC 5682 §3.1): after a timeout, new data instead of old shows whether what
//! was sent before the timeout arrives after all. For flows without timestamps; with them the
//! Eifel algorithm needs no probe.

use manypath_base::SubflowOffset;

use super::Path;

/// Where the algorithm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frto {
    /// Step 2: the first segment was sent again, and nothing else.
    Repeated,
    /// Step 3: so many bytes of new data may be sent, and whether some was.
    Probing { left: u32, sent: bool },
}

/// What an acknowledgment says of a timeout.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgment {
    /// Nothing yet.
    Open,
    /// Something arrived that was sent before the timeout and not again.
    Spurious,
}

impl Path {
    /// Takes an acknowledgment in, once the scoreboard has (steps 2 and 3).
    pub(crate) fn judge_timeout(&mut self, advanced: bool, una: SubflowOffset) -> Judgment {
        let point = self.episode.as_ref().map(|e| e.point);
        match self.work.frto {
            Some(Frto::Repeated) if advanced && point.is_some_and(|p| una < p) => {
                self.work.frto = Some(Frto::Probing { left: 2 * self.packet, sent: false });
            }
            Some(Frto::Probing { sent: true, .. }) => {
                self.work.frto = None;
                if self.work.tally.original {
                    return Judgment::Spurious;
                }
            }
            Some(Frto::Repeated | Frto::Probing { sent: false, .. }) | None => {}
        }
        Judgment::Open
    }

    /// Whether new data goes before what was lost.
    pub(crate) fn probes_timeout(&self) -> bool {
        matches!(self.work.frto, Some(Frto::Probing { .. }))
    }

    /// New data went out.
    pub(crate) fn on_new_data(&mut self, bytes: u32) {
        if let Some(Frto::Probing { left, sent }) = &mut self.work.frto {
            *left = left.saturating_sub(bytes);
            *sent = true;
        }
    }

    /// There was no new data to send: conventional recovery (step 2 b). Returns whether that
    /// changes what may be sent.
    pub(crate) fn give_up_probing(&mut self) -> bool {
        let idle = matches!(self.work.frto, Some(Frto::Probing { sent: false, .. }));
        if idle {
            self.work.frto = None;
        }
        idle
    }
}
