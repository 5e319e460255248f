//! What must hold of a document beyond its form, so that a run of it ends and means something.

use std::time::Duration;

use super::error::Wrong;
use super::schema::{Aqm, Document, Flow, Topology, Way, Workload};
use super::units::Time;

/// Hosts of a network by its kind, flows of a group, and subflows, at most: beyond that a slip of
/// the pen is likelier than a wish.
const MANY: u64 = 65_536;

impl Document {
    /// What makes no sense, if anything.
    pub(super) fn check_sense(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, message: &str| Err(Wrong::new(key, message));
        if self.seeds.is_empty() {
            return wrong("seeds", "expected at least one seed");
        }
        if self.sample.is_some_and(|t| t.0.is_zero()) {
            return wrong("sample", "expected a time above 0");
        }
        if let Some(topology) = &self.topology {
            topology.check_sense()?;
        }
        for (name, link) in &self.link {
            link.check_sense(&format!("link.{name}"))?;
        }
        for (name, flow) in &self.flow {
            let key = format!("flow.{name}");
            flow.check_sense(&key)?;
            let ipv6 = |end: &Option<String>| end.as_ref().map(|name| self.has_ipv6(name));
            if ipv6(&flow.from).zip(ipv6(&flow.to)).is_some_and(|(from, to)| from != to) {
                return wrong(&format!("{key}.to"), "expected `ipv6` at both hosts, or at none");
            }
        }
        Ok(())
    }

    fn has_ipv6(&self, host: &str) -> bool {
        self.host.get(host).is_some_and(|host| host.ipv6)
    }
}

impl Topology {
    fn check_sense(&self) -> Result<(), Wrong> {
        let (key, hosts) = match self {
            Self::Dumbbell { pairs, .. } => ("pairs", u64::from(*pairs) * 2),
            Self::Torus { links, .. } => ("links", u64::from(*links) * 2),
            Self::FatTree { k, .. } => ("k", u64::from(*k).saturating_pow(3) / 4),
            Self::Bcube { ports, levels, .. } => {
                ("levels", u64::from(*ports).saturating_pow(*levels))
            }
            Self::DualHomed { clients, .. } => ("clients", (*clients).into()),
        };
        let kind = self.kind();
        if hosts == 0 || hosts > MANY {
            let said = format!("expected 1 to {MANY} hosts, and this makes {hosts}");
            return Err(Wrong::new(format!("topology.{kind}.{key}"), said));
        }
        self.parts().0.check_sense(&format!("topology.{kind}.link"))
    }
}

impl Way {
    fn check_sense(&self, key: &str) -> Result<(), Wrong> {
        let wrong = |part: &str, message: &str| Err(Wrong::new(format!("{key}.{part}"), message));
        if self.ends.as_ref().is_some_and(|[a, b]| a == b) {
            return wrong("ends", "expected two different nodes");
        }
        if self.rate.is_some() && self.trace.is_some() {
            return wrong("trace", "expected either `rate` or `trace`");
        }
        if self.loss.is_some() && self.burst_loss.is_some() {
            return wrong("burst-loss", "expected either `loss` or `burst-loss`");
        }
        if let Some(Aqm::Red { min, max, .. }) = &self.aqm
            && min.0 >= max.0
        {
            return wrong("aqm.red.min", "expected less than `max`");
        }
        match &self.back {
            Some(back) if back.ends.is_some() || back.back.is_some() => {
                wrong("back", "expected what differs on the way back, without `ends` and `back`")
            }
            Some(back) => back.check_sense(&format!("{key}.back")),
            None => Ok(()),
        }
    }
}

impl Flow {
    fn check_sense(&self, key: &str) -> Result<(), Wrong> {
        if self.from.is_some() && self.from == self.to {
            return Err(Wrong::new(format!("{key}.to"), "expected another node than `from`"));
        }
        if self.count.is_some_and(|count| count == 0 || u64::from(count) > MANY) {
            return Err(Wrong::new(format!("{key}.count"), format!("expected 1 to {MANY}")));
        }
        let Some((part, said)) = self.workload.as_ref().and_then(Workload::nonsense) else {
            return Ok(());
        };
        Err(Wrong::new(format!("{key}.workload.{part}"), said))
    }
}

impl Workload {
    /// Which part makes no sense, and what was expected.
    fn nonsense(&self) -> Option<(&'static str, &'static str)> {
        const TIME: &str = "expected a time above 0";
        const COUNT: &str = "expected at least 1";
        let zero = |time: &Time| time.0 == Duration::ZERO;
        match self {
            Self::OnOff { on, .. } if zero(on) => Some(("on-off.on", TIME)),
            Self::OnOff { off, .. } if zero(off) => Some(("on-off.off", TIME)),
            Self::Cbr { rate, .. } if rate.0.is_none() => {
                Some(("cbr.rate", "expected a rate such as \"12Mbps\": there is no end to `none`"))
            }
            Self::Page { objects: 0, .. } => Some(("page.objects", COUNT)),
            Self::Page { bytes, .. } if bytes.0.is_empty() => Some(("page.bytes", COUNT)),
            Self::Page { connections: 0, .. } => Some(("page.connections", COUNT)),
            Self::Arrivals { gap, .. } if zero(gap) => Some(("arrivals.gap", TIME)),
            Self::Bulk { .. }
            | Self::OnOff { .. }
            | Self::Requests { .. }
            | Self::Cbr { .. }
            | Self::Page { .. }
            | Self::Arrivals { .. } => None,
        }
    }
}
