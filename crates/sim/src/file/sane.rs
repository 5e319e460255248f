//! What must hold of a document beyond its form, so that a run of it ends and means something.

use std::time::Duration;

use super::error::Wrong;
use super::schema::{Aqm, Document, Flow, Stack, Topology, Way, Workload};
use super::units::{PACKET, Size, Speed, Time};
use crate::{FlowConfig, Graph};

/// Flows of a group and connections of a page, at most: beyond that a slip of the pen is likelier
/// than a wish.
const MANY: u64 = 65_536;
/// Hosts of a network by its kind, at most: ways to each are looked for before anything runs.
const MANY_HOSTS: u64 = 16_384;
/// Subflows between two addresses, at most.
const MANY_SUBFLOWS: u32 = 1_024;
/// The longest run.
const LONG: Duration = Duration::from_secs(1_000_000);
/// The shortest mean time between connections, or of a period of an on/off source.
const SHORT: Duration = Duration::from_micros(10);
/// The shortest time between two packets of a constant rate.
const SHORT_GAP: Duration = Duration::from_nanos(100);

/// Numbers taken down in a series, at most.
const MANY_NUMBERS: u128 = 10_000_000;

/// Bytes of a packet of a constant rate, where the file says `bytes`.
pub(super) fn cbr_packet(bytes: Option<Size>) -> u64 {
    bytes.map_or(PACKET, |size| size.0.clamp(1, PACKET))
}

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
        self.stack.check_sense("stack")?;
        for (name, host) in &self.host {
            host.stack.check_sense(&format!("host.{name}.stack"))?;
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

    /// Whether the run, its warm-up and its phases end one after the other, and soon enough.
    pub(super) fn check_times(&self) -> Result<(), Wrong> {
        if self.duration.0 > LONG {
            let said = format!("expected at most {}s", LONG.as_secs());
            return Err(Wrong::new("duration", said));
        }
        if self.warmup.is_some_and(|warmup| warmup.0 >= self.duration.0) {
            let said = "expected a time before the end, which is `duration`";
            return Err(Wrong::new("warmup", said));
        }
        for (name, phase) in &self.phase {
            if phase.from.0 >= phase.to.0 || phase.to.0 > self.duration.0 {
                let said = "expected `from` before `to`, and `to` not after `duration`";
                return Err(Wrong::new(format!("phase.{name}"), said));
            }
        }
        Ok(())
    }

    /// Whether what is taken down on the way has room in memory.
    pub(super) fn check_series(&self, graph: &Graph, flows: &[FlowConfig]) -> Result<(), Wrong> {
        let Some(Time(step)) = self.sample else { return Ok(()) };
        let moments = self.duration.0.as_nanos() / step.as_nanos().max(1);
        let each = flows.len() + 2 * graph.edges.len();
        let numbers = moments.saturating_mul(u128::try_from(each).unwrap_or(u128::MAX));
        if numbers > MANY_NUMBERS {
            let said =
                format!("expected a longer time: {moments} moments of {each} flows and links");
            return Err(Wrong::new("sample", said));
        }
        Ok(())
    }

    fn has_ipv6(&self, host: &str) -> bool {
        self.host.get(host).is_some_and(|host| host.ipv6)
    }
}

impl Stack {
    fn check_sense(&self, key: &str) -> Result<(), Wrong> {
        if self.subflows_per_pair.is_some_and(|n| n == 0 || n > MANY_SUBFLOWS) {
            let said = format!("expected 1 to {MANY_SUBFLOWS}");
            return Err(Wrong::new(format!("{key}.subflows-per-pair"), said));
        }
        Ok(())
    }
}

impl Topology {
    fn check_sense(&self) -> Result<(), Wrong> {
        let (key, hosts) = match self {
            Self::Dumbbell { pairs, .. } => ("pairs", u64::from(*pairs) * 2),
            Self::Torus { links, .. } => ("links", u64::from(*links) * 2),
            Self::FatTree { k, .. } => ("k", u64::from(*k).saturating_pow(3) / 4),
            Self::Bcube { levels: 0, .. } => ("levels", 0),
            Self::Bcube { ports, levels, .. } => {
                ("levels", u64::from(*ports).saturating_pow(*levels))
            }
            Self::DualHomed { clients, .. } => ("clients", (*clients).into()),
        };
        let kind = self.kind();
        if hosts == 0 || hosts > MANY_HOSTS {
            let said = format!("expected 1 to {MANY_HOSTS} hosts, and this makes {hosts}");
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
        const TIME: &str = "expected at least 10us";
        const COUNT: &str = "expected at least 1";
        let short = |time: &Time| time.0 < SHORT;
        match self {
            Self::OnOff { on, .. } if short(on) => Some(("on-off.on", TIME)),
            Self::OnOff { off, .. } if short(off) => Some(("on-off.off", TIME)),
            Self::Cbr { rate, .. } if rate.0.is_none() => {
                Some(("cbr.rate", "expected a rate such as \"12Mbps\": there is no end to `none`"))
            }
            Self::Cbr { rate: Speed(Some(rate)), bytes }
                if rate.time_for(cbr_packet(*bytes)) < SHORT_GAP =>
            {
                Some(("cbr.rate", "expected no more than a packet in 100 ns"))
            }
            Self::Page { objects: 0, .. } => Some(("page.objects", COUNT)),
            Self::Page { bytes, .. } if bytes.0.is_empty() => Some(("page.bytes", COUNT)),
            Self::Page { connections, .. } if *connections == 0 || *connections > MANY => {
                Some(("page.connections", "expected 1 to 65536"))
            }
            Self::Arrivals { gap, .. } if short(gap) => Some(("arrivals.gap", TIME)),
            Self::Bulk { .. }
            | Self::OnOff { .. }
            | Self::Requests { .. }
            | Self::Cbr { .. }
            | Self::Page { .. }
            | Self::Arrivals { .. } => None,
        }
    }
}
