//! Loss episodes of one path: what they may send (PRR, RFC 6937), when they end, and whether
//! they turn out to have been needless.

use core::ops::Range;

use manypath_base::{RangeSet, SubflowOffset};

/// Proportional rate reduction: how much recovery may send for what is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prr {
    /// Bytes not delivered when recovery began: RecoverFS. **Choice:** RFC 6937 §3 has FlightSize,
    /// but what is acknowledged selectively by then is not delivered in this recovery; where one
    /// follows on another that is most of a flight, and less would be sent than asked for.
    flight: u64,
    delivered: u64,
    out: u64,
    /// What may be sent now.
    allowance: u64,
}

impl Prr {
    pub(crate) fn new(flight: u32, mss: u32) -> Self {
        Self { flight: u64::from(flight).max(1), delivered: 0, out: 0, allowance: mss.into() }
    }

    /// RFC 6937 §3.1 with the slow-start reduction bound. Until something was sent, one segment
    /// always may: the fast retransmit of RFC 5681 §3.2 step 3.
    pub(crate) fn on_delivered(&mut self, bytes: u32, in_flight: u32, ssthresh: u32, mss: u32) {
        let (pipe, ssthresh) = (u64::from(in_flight), u64::from(ssthresh));
        self.delivered += u64::from(bytes);
        self.allowance = if pipe > ssthresh {
            (self.delivered * ssthresh).div_ceil(self.flight).saturating_sub(self.out)
        } else {
            let limit = self.delivered.saturating_sub(self.out).max(bytes.into()) + u64::from(mss);
            (ssthresh - pipe).min(limit)
        };
        if self.out == 0 {
            self.grant(mss);
        }
    }

    /// At least `bytes` may be sent.
    pub(crate) fn grant(&mut self, bytes: u32) {
        self.allowance = self.allowance.max(bytes.into());
    }

    pub(crate) fn on_sent(&mut self, bytes: u32) {
        self.out += u64::from(bytes);
        self.allowance = self.allowance.saturating_sub(bytes.into());
    }

    pub(crate) fn allowance(&self) -> u32 {
        u32::try_from(self.allowance).unwrap_or(u32::MAX)
    }
}

/// How an episode began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Acknowledgments showed a loss: fast recovery.
    Loss(Prr),
    /// The retransmission timer expired.
    Timeout,
}

/// Ranges of reported duplicates that an episode keeps.
const MAX_REPORTS: usize = 1_024;

/// One loss episode: congestion is signalled once for it (RFC 5681 §3.2).
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    /// It ends when everything sent before it began is acknowledged (RFC 6582 §3.2, RFC 6675).
    pub(crate) point: SubflowOffset,
    /// Place in the path's send order of the last piece sent before.
    pub(crate) last_index: u64,
    pub(crate) cause: Cause,
    pub(crate) evidence: Evidence,
    /// Whether a part of what was sent before it began has been acknowledged since.
    pub(crate) partial: bool,
}

impl Episode {
    /// `follows` is whether another episode was not over.
    pub(crate) fn new(
        (point, last_index): (SubflowOffset, u64),
        cause: Cause,
        follows: bool,
    ) -> Self {
        let evidence = Evidence { moot: follows, ..Evidence::default() };
        Self { point, last_index, cause, evidence, partial: false }
    }
}

/// What speaks for an episode having been spurious.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// First byte of the first retransmission, and its TSval.
    first: Option<(SubflowOffset, Option<u32>)>,
    /// What was sent again, and which of it the receiver reported to have had already.
    retransmitted: RangeSet<SubflowOffset>,
    duplicate: RangeSet<SubflowOffset>,
    /// Something was sent again twice: then a duplicate proves nothing.
    ambiguous: bool,
    /// The episode followed on another, whose retransmissions are on their way: then an answer to
    /// something older than this episode proves nothing.
    moot: bool,
}

impl Evidence {
    pub(crate) fn on_retransmitted(&mut self, range: Range<SubflowOffset>, tsval: Option<u32>) {
        self.first.get_or_insert((range.start, tsval));
        self.ambiguous |=
            self.retransmitted.gaps(range.clone()).map(|g| g.end - g.start).sum::<u64>()
                < range.end - range.start;
        self.retransmitted.insert(range);
    }

    /// A D-SACK: whether now every retransmission is known to have been needless (RFC 3708 §3).
    /// A duplicate of something that was never sent again is the network's doing.
    pub(crate) fn on_duplicate(&mut self, range: Range<SubflowOffset>) -> bool {
        if self.ambiguous || self.moot || !self.concerns(&range) {
            return false;
        }
        if self.duplicate.as_slice().len() >= MAX_REPORTS {
            // A receiver that saw whole packets needs no more ranges than there were packets.
            self.ambiguous = true;
            self.duplicate.clear();
            return false;
        }
        self.duplicate.insert(range);
        let all = self.retransmitted.as_slice().iter().all(|r| self.duplicate.contains(r));
        all && !self.retransmitted.is_empty()
    }

    /// Whether any of `range` was sent again in the episode.
    pub(crate) fn concerns(&self, range: &Range<SubflowOffset>) -> bool {
        let outside: u64 = self.retransmitted.gaps(range.clone()).map(|g| g.end - g.start).sum();
        outside < range.end - range.start
    }

    /// Eifel detection (RFC 3522 §3.2): whether the acknowledgment that first covers the first
    /// retransmission, and echoes `echo`, was caused by the original.
    pub(crate) fn is_answer_to_original(&self, una: SubflowOffset, echo: Option<u32>) -> bool {
        let Some((start, Some(tsval))) = self.first else { return false };
        !self.moot && una > start && echo.is_some_and(|e| crate::timestamps::tick_before(e, tsval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> Range<SubflowOffset> {
        SubflowOffset(start)..SubflowOffset(end)
    }

    /// Whatever a peer reports, what is kept of it stays bounded.
    #[test]
    fn reports_of_single_bytes_pile_up_no_further_than_the_limit() {
        let mut evidence = Evidence::default();
        evidence.on_retransmitted(range(1_000_000, 2_000_000), None);
        for n in 0..200_000 {
            let _ = evidence.on_duplicate(range(2 * n, 2 * n + 1));
            let _ = evidence.on_duplicate(range(1_000_000 + 2 * n, 1_000_001 + 2 * n));
        }
        assert!(evidence.duplicate.as_slice().len() <= MAX_REPORTS);
        assert!(!evidence.on_duplicate(range(1_000_000, 2_000_000)), "too much to be believed");
    }

    /// The worked example of RFC 6937 §4: reduction from 20 to 10 segments after 4 losses spreads
    /// one segment for two delivered.
    #[test]
    fn sends_half_of_what_is_delivered_until_the_target() {
        let mut prr = Prr::new(20_000, 1_000);
        let (mut in_flight, mut sent) = (16_000u32, 0);
        for _ in 0..16 {
            in_flight -= 1_000;
            prr.on_delivered(1_000, in_flight, 10_000, 1_000);
            while prr.allowance() >= 1_000 {
                prr.on_sent(1_000);
                in_flight += 1_000;
                sent += 1;
            }
        }
        assert_eq!((in_flight, sent), (10_000, 10));
    }

    #[test]
    fn a_duplicate_of_what_was_never_sent_again_proves_nothing() {
        let mut evidence = Evidence::default();
        assert!(!evidence.on_duplicate(range(1, 101)));
        evidence.on_retransmitted(range(201, 301), None);
        assert!(!evidence.on_duplicate(range(101, 201)));
        assert!(evidence.on_duplicate(range(201, 301)));
        evidence.on_retransmitted(range(201, 301), None);
        assert!(!evidence.on_duplicate(range(201, 301)), "which of the two was needless?");
    }
}
