//! Quantities that a script may compare: `check name value`.

use alloc::format;
use core::time::Duration;

use manypath_wire::IcmpKind;

use super::run::Run;

impl Run {
    /// Compares the quantity named first in `rest` with the number behind it.
    pub(super) fn check(&mut self, rest: &str) {
        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let value: u64 = self.parse(value.trim());
        let flow = self.flow();
        let path = flow.paths().next().expect("a flow has a path");
        let counters = flow.counters();
        let millis = |d: Duration| u64::try_from(d.as_millis()).expect("a time that fits");
        let seen = match name {
            "cwnd" => path.cwnd.into(),
            "ssthresh" => path.ssthresh.into(),
            "in_flight" => path.in_flight.into(),
            "mss" => path.mss.0.into(),
            "srtt" => millis(path.srtt),
            "rto" => millis(path.rto),
            "suspect" => path.suspect.into(),
            "failed" => path.failed.into(),
            "timeouts" => counters.timeouts,
            "probes" => counters.tail_probes,
            "spurious" => counters.spurious_recoveries,
            "paws" => counters.paws_dropped,
            "marks" => counters.ce_received,
            "reductions" => counters.ecn_reductions,
            "challenges" => counters.challenge_acks,
            "outside" => counters.out_of_window,
            "resent" => counters.bytes_retransmitted,
            "since_loss" => flow.paths[0].view().since_loss,
            "between_losses" => flow.paths[0].view().between_losses,
            "unreachable" => u64::from(flow.last_error() == Some(IcmpKind::Unreachable)),
            "user-timeout" => flow.user_timeout().as_secs(),
            "unacknowledged" => flow.unacknowledged(),
            "unsent" => flow.unsent(),
            "readable" => flow.readable(),
            "held" => flow.held(),
            name => self.fail(&format!("no quantity {name:?}")),
        };
        if seen != value {
            self.fail(&format!("it is {seen}"));
        }
    }
}
