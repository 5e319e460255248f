//! Loss episodes of one path: what they may send (PRR, RFC 6937) and when they end.

use manypath_base::{SubflowOffset, len64};

/// Proportional rate reduction: how much recovery may send for what is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prr {
    /// Bytes in flight when recovery began: RecoverFS.
    flight: u64,
    delivered: u64,
    out: u64,
    /// What may be sent now.
    allowance: u64,
}

impl Prr {
    pub(crate) fn new(flight: u32, mss: u32) -> Self {
        // The first retransmission is always sent (RFC 6937 §3).
        Self { flight: u64::from(flight).max(1), delivered: 0, out: 0, allowance: mss.into() }
    }

    /// RFC 6937 §3 with the slow-start reduction bound.
    pub(crate) fn on_delivered(&mut self, bytes: u32, in_flight: u32, ssthresh: u32, mss: u32) {
        let (pipe, ssthresh) = (u64::from(in_flight), u64::from(ssthresh));
        self.delivered += u64::from(bytes);
        self.allowance = if pipe > ssthresh {
            (self.delivered * ssthresh).div_ceil(self.flight).saturating_sub(self.out)
        } else {
            let limit = self.delivered.saturating_sub(self.out).max(bytes.into()) + u64::from(mss);
            (ssthresh - pipe).min(limit)
        };
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

/// One loss episode: congestion is signalled once for it (RFC 5681 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Episode {
    /// It ends when everything sent before it began is acknowledged (RFC 6582 §3.2, RFC 6675).
    pub(crate) point: SubflowOffset,
    pub(crate) cause: Cause,
    /// TSval of the first retransmission, to find it spurious (RFC 4015 §3.1).
    pub(crate) first_retransmission: Option<u32>,
    /// Bytes retransmitted whose D-SACK has not come: at zero, all of them were spurious.
    pub(crate) unproven: u64,
    pub(crate) any_retransmitted: bool,
}

impl Episode {
    pub(crate) const fn new(point: SubflowOffset, cause: Cause) -> Self {
        Self { point, cause, first_retransmission: None, unproven: 0, any_retransmitted: false }
    }

    pub(crate) fn on_retransmitted(&mut self, bytes: usize, tsval: Option<u32>) {
        self.unproven += len64(bytes);
        self.any_retransmitted = true;
        self.first_retransmission = self.first_retransmission.or(tsval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
