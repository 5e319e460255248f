//! From what a run gave to the plots of it.

use std::collections::BTreeMap;

use manypath_sim::{FlowSeries, Series};

use super::groups::{self, Line, MOST, Trace};
use super::plot::{Bar, Plot, bars, short};

/// Points of a line at most; longer series are thinned.
const POINTS: usize = 300;

/// Which moments are shown: every `step`th.
#[derive(Clone, Copy)]
struct Thin {
    step: usize,
}

impl Thin {
    fn of(series: &Series) -> Self {
        Self { step: series.at.len().div_ceil(POINTS).max(1) }
    }

    fn times(self, series: &Series) -> Vec<f64> {
        series.at.chunks_exact(self.step).map(|part| part[part.len() - 1]).collect()
    }

    /// The mean rate in Mb/s of each step, from a count of bytes so far.
    fn rates(self, at: &[f64], bytes: &[u64]) -> Vec<Option<f64>> {
        let mut before = (0.0, 0);
        let points = at.iter().copied().zip(bytes.iter().copied());
        let points: Vec<(f64, u64)> = points.collect();
        let rate = |part: &[(f64, u64)]| {
            let (at, bytes) = part[part.len() - 1];
            let (from, had) = std::mem::replace(&mut before, (at, bytes));
            Some(megabits(bytes.saturating_sub(had)) / (at - from).max(1e-9))
        };
        points.chunks_exact(self.step).map(rate).collect()
    }

    /// The largest value of each step.
    fn peaks(self, values: &[f64]) -> Vec<Option<f64>> {
        let top = |part: &[f64]| part.iter().copied().reduce(f64::max);
        values.chunks_exact(self.step).map(top).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counters of a run are far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

fn megabits(bytes: u64) -> f64 {
    float(bytes) * 8.0 / 1e6
}

/// All figures of a run.
pub(super) fn figures(series: &Series, values: &BTreeMap<String, f64>) -> Vec<String> {
    let mut out = over_time(series);
    let goodputs = goodputs(series, values);
    if !goodputs.is_empty() {
        out.push(shares(&goodputs));
    }
    let times: Vec<(String, Vec<f64>)> =
        series.flows.iter().map(|flow| (flow.name.clone(), flow.times_ms.clone())).collect();
    out.extend(distribution("Completion times", "ms", &times));
    let each: Vec<(String, Vec<f64>)> =
        goodputs.iter().map(|(n, v)| (n.clone(), vec![*v])).collect();
    if each.len() > 3 {
        out.extend(distribution("Goodput over flows", "Mb/s", &each));
    }
    out
}

fn over_time(series: &Series) -> Vec<String> {
    let thin = Thin::of(series);
    let at = thin.times(series);
    let flow = |flow: &FlowSeries| Trace {
        name: flow.name.clone(),
        values: thin.rates(&series.at, &flow.received),
    };
    let queue = |link: &manypath_sim::LinkSeries| {
        let kilobytes: Vec<f64> = link.waiting.iter().map(|&b| float(b) / 1e3).collect();
        Trace { name: link.name.clone(), values: thin.peaks(&kilobytes) }
    };
    let used = series.links.iter().filter(|l| l.waiting.iter().any(|&b| b > 0));
    let plots: [(&str, &str, Vec<Trace>); 5] = [
        ("Goodput of flows", "Mb/s", series.flows.iter().map(flow).collect()),
        ("Rates of subflows", "Mb/s", subflows(series, thin, rates_of)),
        ("Congestion windows", "kB", subflows(series, thin, windows_of)),
        ("Round trips", "ms", subflows(series, thin, round_trips_of)),
        ("Queues of links where anything waited", "kB", used.map(queue).collect()),
    ];
    let plots = plots.into_iter().filter(|(.., traces)| !traces.is_empty() && !at.is_empty());
    let figure = |(title, y_label, traces): (&str, &str, Vec<Trace>)| {
        let lines = groups::lines(traces);
        Plot { title, x_label: "seconds", y_label, at: &at, lines: &lines }.figure()
    };
    plots.map(figure).collect()
}

type Subflow = manypath_sim::SubflowSeries;

fn rates_of(subflow: &Subflow) -> Vec<Option<f64>> {
    let mut rates = Thin { step: 1 }.rates(&subflow.at, &subflow.delivered);
    // It began somewhere between the moment before and its first.
    rates.first_mut().into_iter().for_each(|first| *first = None);
    rates
}

fn windows_of(subflow: &Subflow) -> Vec<Option<f64>> {
    subflow.cwnd.iter().map(|&bytes| Some(f64::from(bytes) / 1e3)).collect()
}

fn round_trips_of(subflow: &Subflow) -> Vec<Option<f64>> {
    subflow.srtt_ms.iter().copied().map(Some).collect()
}

/// A trace for each subflow, with gaps where it was not there.
fn subflows(series: &Series, thin: Thin, of: impl Fn(&Subflow) -> Vec<Option<f64>>) -> Vec<Trace> {
    let place: BTreeMap<u64, usize> =
        series.at.iter().enumerate().map(|(i, at)| (at.to_bits(), i)).collect();
    let trace = |flow: &FlowSeries, subflow: &Subflow| {
        let mut all = vec![None; series.at.len()];
        for (at, value) in subflow.at.iter().zip(of(subflow)) {
            if let Some(&i) = place.get(&at.to_bits()) {
                all[i] = value;
            }
        }
        let middle = |part: &[Option<f64>]| {
            let there = || part.iter().flatten();
            let count = there().fold(0.0, |n, _| n + 1.0f64);
            (count > 0.0).then(|| there().sum::<f64>() / count)
        };
        let values = all.chunks_exact(thin.step).map(middle).collect();
        Trace { name: format!("{} sub{}", flow.name, subflow.id), values }
    };
    let of_flow = |flow: &FlowSeries| -> Vec<Trace> {
        flow.subflows.iter().map(|subflow| trace(flow, subflow)).collect()
    };
    series.flows.iter().flat_map(of_flow).collect()
}

/// The mean goodput of each flow after the warm-up, in Mb/s.
fn goodputs(series: &Series, values: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let of = |name: &str| values.get(&format!("flow.{name}.goodput")).copied();
    series.flows.iter().filter_map(|f| Some((f.name.clone(), of(&f.name)?))).collect()
}

fn shares(goodputs: &[(String, f64)]) -> String {
    let total = goodputs.iter().map(|(_, v)| v).sum::<f64>().max(1e-9);
    let percent = |v: f64| format!("{} Mb/s, {} %", short(v), short(v / total * 100.0));
    let grouped = goodputs.len() > MOST;
    let all: Vec<(String, Vec<f64>)> =
        goodputs.iter().map(|(n, v)| (n.clone(), vec![*v])).collect();
    let all = if grouped { groups::by_kind(&all) } else { all };
    let bar = |(name, values): &(String, Vec<f64>)| {
        let sum: f64 = values.iter().sum();
        let mean = sum / values.iter().fold(0.0, |n, _| n + 1.0f64).max(1.0);
        let many = values.len() > 1;
        let ends = values.first().copied().zip(values.last().copied());
        let note = format!("{} Mb/s each, {} %", short(mean), short(sum / total * 100.0));
        Bar {
            name: if many { format!("{name} ({})", values.len()) } else { name.clone() },
            value: mean,
            range: ends.filter(|_| many),
            note: if many { note } else { percent(sum) },
        }
    };
    let bars_shown: Vec<Bar> = all.iter().take(24).map(bar).collect();
    let title = if grouped { "Shares: mean, smallest and largest of each kind" } else { "Shares" };
    bars(title, "Mb/s after the warm-up", &bars_shown)
}

/// Cumulative distributions of kinds that have at least two values.
fn distribution(title: &str, unit: &str, values: &[(String, Vec<f64>)]) -> Option<String> {
    let some: Vec<_> = values.iter().filter(|(_, v)| !v.is_empty()).cloned().collect();
    let few = some.len() <= MOST && some.iter().all(|(_, v)| v.len() > 1);
    let mut kinds = if few { some } else { groups::by_kind(&some) };
    kinds.retain(|(_, v)| v.len() > 1);
    kinds.truncate(MOST);
    let top = kinds.iter().flat_map(|(_, v)| v).copied().reduce(f64::max)?;
    let steps = (0..=200u8).map(|i| top * f64::from(i) / 200.0);
    let at: Vec<f64> = steps.collect();
    let line = |(name, mut values): (String, Vec<f64>)| {
        values.sort_unstable_by(f64::total_cmp);
        let count = values.iter().fold(0.0, |n, _| n + 1.0f64);
        let below = |x: f64| values.iter().take_while(|&&v| v <= x).fold(0.0, |n, _| n + 1.0);
        let curve = at.iter().map(|&x| Some(below(x) / count));
        Line { name: format!("{name} ({count})"), values: curve.collect(), band: Vec::new() }
    };
    let lines: Vec<Line> = kinds.into_iter().map(line).collect();
    let title = format!("{title}: share that is not above");
    Some(Plot { title: &title, x_label: unit, y_label: "", at: &at, lines: &lines }.figure())
}
