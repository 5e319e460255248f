//! Few lines out of many: what goes into a plot where not everything has room.

use std::collections::BTreeMap;

/// Lines in one plot at most.
pub(super) const MOST: usize = 8;

/// The rule, as the page states it.
pub(super) const RULE: &str = "A plot has at most eight lines. Where there is more to show, all whose names differ only in \
numbers (tcp.0, tcp.1, ...) become one: the line is their median, the band goes from the tenth to \
the ninetieth percentile. If that is still more, the seven with the highest mean stay, and the rest \
become one, called others.";

/// Something with a value at each moment; `None` where it was not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trace {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

/// One line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
    /// Tenth and ninetieth percentile, where the line is a median.
    pub(super) band: Vec<Option<(f64, f64)>>,
}

/// A name without its numbers: `tcp.12` is `tcp.*`.
pub(super) fn kind(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('*') {
            out.push('*');
        }
    }
    out
}

/// As the rule says.
pub(super) fn lines(traces: Vec<Trace>) -> Vec<Line> {
    if traces.len() <= MOST {
        return traces.into_iter().map(single).collect();
    }
    let mut groups: Vec<(String, Vec<Trace>)> = Vec::new();
    for trace in traces {
        let kind = kind(&trace.name);
        match groups.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, group)) => group.push(trace),
            None => groups.push((kind, vec![trace])),
        }
    }
    if groups.len() > MOST {
        groups.sort_by(|a, b| mean(&b.1).total_cmp(&mean(&a.1)));
        let others = groups.split_off(MOST - 1).into_iter().flat_map(|(_, group)| group);
        groups.push(("others".to_owned(), others.collect()));
    }
    groups.into_iter().map(median).collect()
}

fn single(trace: Trace) -> Line {
    let Trace { name, values } = trace;
    Line { name, values, band: Vec::new() }
}

fn mean(group: &[Trace]) -> f64 {
    let values = || group.iter().flat_map(|trace| trace.values.iter().flatten());
    values().sum::<f64>() / values().fold(0.0, |n, _| n + 1.0f64).max(1.0)
}

fn median((name, mut group): (String, Vec<Trace>)) -> Line {
    if group.len() == 1 {
        return single(group.remove(0));
    }
    let moments = group.iter().map(|trace| trace.values.len()).max().unwrap_or(0);
    let (mut values, mut band) = (Vec::new(), Vec::new());
    for i in 0..moments {
        let at = group.iter().filter_map(|trace| trace.values.get(i).copied().flatten());
        let mut at: Vec<f64> = at.collect();
        at.sort_unstable_by(f64::total_cmp);
        values.push(percentile(&at, 50));
        band.push(percentile(&at, 10).zip(percentile(&at, 90)));
    }
    Line { name: format!("{name} ({})", group.len()), values, band }
}

/// Of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(last * percent + 50) / 100])
}

/// Values of the same kind together, sorted; kinds in order of their first value.
pub(super) fn by_kind(values: &[(String, Vec<f64>)]) -> Vec<(String, Vec<f64>)> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: Vec<(String, Vec<f64>)> = Vec::new();
    for (name, more) in values {
        let kind = kind(name);
        let place = *kinds.entry(kind.clone()).or_insert_with(|| {
            out.push((kind, Vec::new()));
            out.len() - 1
        });
        out[place].1.extend(more);
    }
    out.iter_mut().for_each(|(_, values)| values.sort_unstable_by(f64::total_cmp));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(name: String, value: f64) -> Trace {
        Trace { name, values: vec![None, Some(value)] }
    }

    #[test]
    fn few_stay_as_they_are_and_many_become_their_median() {
        let few = lines((0..8u8).map(|i| trace(format!("tcp.{i}"), i.into())).collect());
        assert_eq!(few.len(), 8);
        let mut many: Vec<Trace> =
            (0..101u8).map(|i| trace(format!("tcp.{i}"), i.into())).collect();
        many.push(trace("mp".to_owned(), 7.0));
        let lines = lines(many);
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["tcp.* (101)", "mp"]);
        assert_eq!(lines[0].values, [None, Some(50.0)]);
        assert_eq!(lines[0].band, [None, Some((10.0, 90.0))]);
    }

    #[test]
    fn kinds_without_number_are_ranked_and_the_rest_is_one() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let traces = names.iter().zip([9.0, 1.0, 8.0, 7.0, 2.0, 6.0, 5.0, 4.0, 3.0, 0.0]);
        let lines = lines(traces.map(|(name, v)| trace((*name).to_owned(), v)).collect());
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["a", "c", "d", "f", "g", "h", "i", "others (3)"]);
    }

    #[test]
    fn names_without_numbers_are_kinds() {
        assert_eq!(kind("core12-pod3.back"), "core*-pod*.back");
        let values = [("h1".to_owned(), vec![2.0]), ("h2".to_owned(), vec![1.0])];
        assert_eq!(by_kind(&values), [("h*".to_owned(), vec![1.0, 2.0])]);
    }
}
