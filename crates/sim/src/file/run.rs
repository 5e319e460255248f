//! A run of a plan from moment to moment, and what is taken down on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use manypath_base::{Rate, len32};

use super::expression::Values;
use super::links::rate;
use super::measure::{self, Snapshot};
use super::schema::Document;
use super::series::Sample;
use crate::{Plan, World};

/// What a link without a limit carries, as far as one can guess.
const GUESS: Rate = Rate::from_bits_per_sec(8_000_000);

/// The bits that all links of a plan carry in a time, those that have nothing to simulate left out.
pub(super) fn work(plan: &Plan, time: Duration) -> u64 {
    let ways = plan.graph.edges.iter().flat_map(|edge| &edge.ways);
    let rates = ways.filter(|way| !way.is_transparent());
    let rates = rates.map(|way| rate(&way.transmitter).unwrap_or(GUESS).bits_per_sec());
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    rates.sum::<u64>().saturating_mul(millis) / 1_000
}

impl Document {
    /// Runs the world to its end and measures it between the end of the warm-up and the end, and
    /// in each phase.
    pub(super) fn measure(
        &self,
        world: &mut World,
        plan: &Plan,
        series: &mut Vec<Sample>,
    ) -> Values {
        let warmup = self.warmup.map_or(Duration::ZERO, |t| t.0);
        let phases = self.phase.values().flat_map(|phase| [phase.from.0, phase.to.0]);
        let moments: BTreeSet<Duration> = phases.chain([warmup, self.duration.0]).collect();
        let mut snapshots = BTreeMap::new();
        for moment in moments {
            self.advance(world, plan, moment, series);
            if moment == warmup {
                world.forget_stalls();
            }
            snapshots.insert(moment, Snapshot::take(world, plan));
        }
        let between = |from: Duration, to: Duration| (&snapshots[&from], &snapshots[&to]);
        let mut values = measure::values(world, plan, between(warmup, self.duration.0));
        for (name, phase) in &self.phase {
            measure::phase_values(plan, name, between(phase.from.0, phase.to.0), &mut values);
        }
        values
    }

    /// Runs the world until a moment, and takes samples on the way if the file asks for them.
    fn advance(&self, world: &mut World, plan: &Plan, to: Duration, series: &mut Vec<Sample>) {
        if let Some(step) = self.sample.map(|t| t.0).filter(|step| !step.is_zero()) {
            let mut next = step * (len32(series.len()) + 1);
            while next <= to {
                world.run_until(next);
                series.push(Sample::take(world, plan));
                next += step;
            }
        }
        world.run_until(to);
    }
}
