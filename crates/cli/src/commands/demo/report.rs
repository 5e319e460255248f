//! What the demo measured, for people and programs.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use manypath_base::Rate;
use manypath_lab::{Half, LinkHandle};
use serde::Serialize;

use super::Direction;
use super::plan::Plan;
use super::schedule::{Moments, delivered};
use crate::figures::{mbps, millis};
// Three digits behind the point are more than is measured.
use crate::watch::thousandths as round;

/// From this lateness of the links on, people are told: the round trip of the quickest link.
const LATE_MS: f64 = 20.0;

/// One transfer, measured at its receiving application.
#[derive(Debug)]
pub(super) struct Run {
    bytes: u64,
    intact: bool,
    /// Mean rate while all links were up: from the start to the cut.
    goodput: Rate,
    longest_stall_ms: f64,
    recovered_ms: Option<f64>,
    link_bytes: Vec<u64>,
}

impl Run {
    pub(super) fn new(
        links: &[LinkHandle],
        direction: Direction,
        moments: Moments,
        sent: &Half,
        received: Half,
    ) -> Self {
        let Moments { start, cut, restored, carried } = moments;
        let line = received.timeline;
        Self {
            bytes: received.bytes,
            intact: sent.bytes == received.bytes && sent.sha256 == received.sha256,
            goodput: line.rate_between(start, cut),
            longest_stall_ms: millis(line.longest_stall(cut)),
            recovered_ms: carried.map(|at| millis(at.since(restored))),
            link_bytes: bytes_by_link(links, direction),
        }
    }

    /// Less what the links had carried before.
    pub(super) fn without(mut self, before: &[u64]) -> Self {
        for (bytes, before) in self.link_bytes.iter_mut().zip(before) {
            *bytes -= before;
        }
        self
    }

    fn efficiency(&self, plan: &Plan) -> f64 {
        mbps(self.goodput) / mbps(plan.ceiling())
    }
}

/// IP bytes that each link delivered in the direction of the data.
pub(super) fn bytes_by_link(links: &[LinkHandle], direction: Direction) -> Vec<u64> {
    links.iter().map(|link| delivered(link, direction)).collect()
}

/// One path of the demo.
#[derive(Debug, Serialize)]
pub(super) struct PathSummary {
    name: &'static str,
    rate_mbps: u64,
    delay_ms: u128,
    /// IP bytes that it delivered in the direction of the data.
    bytes: u64,
}

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    peer: String,
    pub(super) intact: bool,
    bytes: u64,
    goodput_mbps: f64,
    ceiling_mbps: f64,
    efficiency: f64,
    longest_stall_ms: f64,
    recovered_ms: Option<f64>,
    paths: Vec<PathSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linux_efficiency: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linux_longest_stall_ms: Option<f64>,
    /// How much too late the emulated links delivered, at most: this machine's pauses.
    links_late_ms: f64,
}

impl Summary {
    pub(super) fn new(
        peer: String,
        plan: &Plan,
        run: &Run,
        linux: Option<&Run>,
        links_late: Duration,
    ) -> Self {
        let paths = plan.links.iter().zip(&run.link_bytes).map(|(link, &bytes)| PathSummary {
            name: link.name,
            rate_mbps: link.mbps,
            delay_ms: link.delay.as_millis(),
            bytes,
        });
        Self {
            peer,
            intact: run.intact && linux.is_none_or(|linux| linux.intact),
            bytes: run.bytes,
            goodput_mbps: round(mbps(run.goodput)),
            ceiling_mbps: round(mbps(plan.ceiling())),
            efficiency: round(run.efficiency(plan)),
            longest_stall_ms: round(run.longest_stall_ms),
            recovered_ms: run.recovered_ms.map(round),
            paths: paths.collect(),
            linux_efficiency: linux.map(|linux| round(linux.efficiency(plan))),
            linux_longest_stall_ms: linux.map(|linux| round(linux.longest_stall_ms)),
            links_late_ms: round(millis(links_late)),
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let intact = if self.intact { "intact (SHA-256 equal)" } else { "NOT intact" };
        writeln!(f, "peer           {}", self.peer)?;
        writeln!(f, "transferred    {} bytes, {intact}", self.bytes)?;
        writeln!(
            f,
            "goodput        {:.2} of {:.2} Mb/s that all links can carry: {:.1} %",
            self.goodput_mbps,
            self.ceiling_mbps,
            self.efficiency * 100.0
        )?;
        writeln!(f, "link cut       longest stall {:.0} ms", self.longest_stall_ms)?;
        match self.recovered_ms {
            Some(ms) => writeln!(f, "link restored  carried data again after {ms:.0} ms")?,
            None => writeln!(f, "link restored  did not carry data again")?,
        }
        for path in &self.paths {
            let PathSummary { name, rate_mbps, delay_ms, bytes } = path;
            writeln!(f, "  {name:8} {rate_mbps:3} Mb/s {delay_ms:4} ms  {bytes:>10} bytes")?;
        }
        if let (Some(efficiency), Some(stall)) =
            (self.linux_efficiency, self.linux_longest_stall_ms)
        {
            writeln!(
                f,
                "Linux at both ends: {:.1} %, longest stall {stall:.0} ms",
                efficiency * 100.0
            )?;
        }
        if self.links_late_ms > LATE_MS {
            writeln!(
                f,
                "note           this machine paused: links were up to {:.0} ms late, which costs \
                 goodput; repeat it on a quieter one",
                self.links_late_ms
            )?;
        }
        Ok(())
    }
}
