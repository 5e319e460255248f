//! What the scenario gave, for people and programs.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::stage::{Link, MBPS};
use super::{Case, KB, Outcome, Role, Sender};

/// Payload of one packet: 1,500 bytes less IPv4 (20), TCP (20) and timestamps (12).
const PAYLOAD: f64 = 1_448.0;
const PACKET: f64 = 1_500.0;

/// Everything once.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Round {
    intact: bool,
    single_mbps: f64,
    multi_mbps: f64,
    single_128k_mbps: f64,
    multi_128k_mbps: f64,
    single_256k_mbps: f64,
    multi_256k_mbps: f64,
    /// After the better link died in silence.
    stall_fast_ms: f64,
    /// After the other one did.
    stall_slow_ms: f64,
    sprayed_mbps: f64,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            intact: true,
            single_mbps: 0.0,
            multi_mbps: 0.0,
            single_128k_mbps: 0.0,
            multi_128k_mbps: 0.0,
            single_256k_mbps: 0.0,
            multi_256k_mbps: 0.0,
            stall_fast_ms: 0.0,
            stall_slow_ms: 0.0,
            sprayed_mbps: 0.0,
        }
    }
}

impl Round {
    /// Takes a transfer in.
    pub(super) fn note(&mut self, case: Case, outcome: &Outcome) {
        self.intact &= outcome.intact;
        let small = case.recv_buffer == Some(128 * KB);
        match (case.sender, case.recv_buffer, case.cut) {
            (_, _, Some(Link::Fast)) => self.stall_fast_ms = outcome.stall_ms,
            (_, _, Some(Link::Slow)) => self.stall_slow_ms = outcome.stall_ms,
            (Sender::Sprayed, ..) => self.sprayed_mbps = outcome.mbps,
            (Sender::Single, None, _) => self.single_mbps = outcome.mbps,
            (Sender::Multi, None, _) => self.multi_mbps = outcome.mbps,
            (Sender::Single, Some(_), _) if small => self.single_128k_mbps = outcome.mbps,
            (Sender::Multi, Some(_), _) if small => self.multi_128k_mbps = outcome.mbps,
            (Sender::Single, Some(_), _) => self.single_256k_mbps = outcome.mbps,
            (Sender::Multi, Some(_), _) => self.multi_256k_mbps = outcome.mbps,
        }
    }
}

impl Display for Round {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} alone, {:.2} together; 128 KB {:.2}, {:.2}; 256 KB {:.2}, {:.2}; sprayed {:.2} \
             Mb/s; stalls {:.0} and {:.0} ms",
            self.single_mbps,
            self.multi_mbps,
            self.single_128k_mbps,
            self.multi_128k_mbps,
            self.single_256k_mbps,
            self.multi_256k_mbps,
            self.sprayed_mbps,
            self.stall_fast_ms,
            self.stall_slow_ms,
        )
    }
}

/// The result: medians over the runs, and the longest stall of all.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    role: Role,
    pub(super) intact: bool,
    single_mbps: f64,
    multi_mbps: f64,
    ceiling_mbps: f64,
    /// Of the ceiling.
    efficiency: f64,
    longest_stall_ms: f64,
    /// With a receive buffer of 128 KB: both paths by the better one alone.
    harmless_128k: f64,
    /// With one of 256 KB.
    gain_256k: f64,
    /// Linux, its packets in turn over both links.
    sprayed_mbps: f64,
    runs: Vec<Round>,
}

impl Summary {
    pub(super) fn new(role: Role, rounds: &[Round]) -> Self {
        let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let ceiling = MBPS.iter().map(|&mbps| f64::from(u32::try_from(mbps).unwrap_or(0)));
        let ceiling_mbps = ceiling.sum::<f64>() * PAYLOAD / PACKET;
        let multi_mbps = of(&|r| r.multi_mbps);
        let stalls = rounds.iter().flat_map(|r| [r.stall_fast_ms, r.stall_slow_ms]);
        Self {
            role,
            intact: rounds.iter().all(|r| r.intact),
            single_mbps: of(&|r| r.single_mbps),
            multi_mbps,
            ceiling_mbps,
            efficiency: multi_mbps / ceiling_mbps,
            longest_stall_ms: stalls.fold(0.0, f64::max),
            harmless_128k: of(&|r| r.multi_128k_mbps / r.single_128k_mbps),
            gain_256k: of(&|r| r.multi_256k_mbps / r.single_256k_mbps),
            sprayed_mbps: of(&|r| r.sprayed_mbps),
            runs: rounds.to_vec(),
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let who = match self.role {
            Role::Client => "manypath uploads to a Python program",
            Role::Server => "curl downloads from manypath",
        };
        writeln!(f, "{who}")?;
        writeln!(f, "the better path alone     {:6.2} Mb/s", self.single_mbps)?;
        writeln!(
            f,
            "both paths, one-ended     {:6.2} Mb/s, {:.3} of {:.2}",
            self.multi_mbps, self.efficiency, self.ceiling_mbps
        )?;
        writeln!(f, "Linux, packets sprayed    {:6.2} Mb/s", self.sprayed_mbps)?;
        writeln!(f, "receive buffer 128 KB     {:6.2} x the better path", self.harmless_128k)?;
        writeln!(f, "receive buffer 256 KB     {:6.2} x the better path", self.gain_256k)?;
        writeln!(f, "a path dies, longest stall {:5.0} ms", self.longest_stall_ms)?;
        let intact = if self.intact { "every byte arrived" } else { "DATA WAS LOST OR CHANGED" };
        writeln!(f, "{intact} (SHA-256 by the receiver, {} runs)", self.runs.len())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_medians_and_the_longest_stall() {
        let round = |multi_mbps: f64, stall_slow_ms: f64| Round {
            multi_mbps,
            stall_slow_ms,
            ..Round::default()
        };
        let summary =
            Summary::new(Role::Server, &[round(28.0, 90.0), round(10.0, 250.0), round(27.0, 20.0)]);
        assert!((summary.multi_mbps - 27.0).abs() < 1e-9);
        assert!((summary.ceiling_mbps - 28.96).abs() < 1e-9);
        assert!((summary.longest_stall_ms - 250.0).abs() < 1e-9);
        assert_eq!(serde_json::to_value(&summary).expect("numbers")["role"], "server");
    }
}
