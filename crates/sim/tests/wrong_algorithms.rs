//! What the shipped experiments expect tells the algorithms apart: with two controllers swapped
//! they fail.

use std::collections::BTreeMap;
use std::path::Path;

use manypath_sim::{Experiment, Overrides, Verdict};

const SHARED_BOTTLENECK: &str = include_str!("../../../experiments/1-shared-bottleneck.toml");
const FIXED_LOSS: &str = include_str!("../../../experiments/2-fixed-loss.toml");

/// A shorter run: enough to tell the algorithms apart, though not for every tolerance. A run depends
/// on file and seed alone, so that what holds today holds on every machine.
fn shortened(text: &str, times: [(&str, &str); 2]) -> String {
    times.iter().fold(text.to_owned(), |text, (long, short)| {
        assert!(text.contains(long), "the file says {long}");
        text.replacen(long, short, 1)
    })
}

/// The file with the controllers of two of its cases swapped.
fn swapped(text: &str, cases: [(&str, &str); 2]) -> String {
    let [a, b] = cases.map(|(case, cc)| (format!("[case.{case}.flow.mp]\ncc = "), cc));
    let with = |text: &str, (head, cc): &(String, &str), other: &str| {
        let (found, new) = (format!("{head}\"{cc}\""), format!("{head}\"{other}\""));
        assert!(text.contains(&found), "the file says {found}");
        text.replacen(&found, &new, 1)
    };
    with(&with(text, &a, b.1), &b, a.1)
}

/// Runs some cases; the verdicts that they suffice for, by what is claimed.
fn verdicts(text: &str, cases: &[&str], seeds: &[u64]) -> BTreeMap<String, Verdict> {
    let experiment = Experiment::parse("shortened.toml", text, Path::new(".")).unwrap();
    let run = |case: &str, seed| experiment.run(case, seed, &Overrides::default()).unwrap();
    let runs = cases.iter().flat_map(|case| seeds.iter().map(|&seed| run(case, seed)));
    let verdicts = experiment.judge(&runs.collect::<Vec<_>>(), &BTreeMap::new());
    verdicts.into_iter().filter(|v| v.measured.is_ok()).map(|v| (v.name.clone(), v)).collect()
}

#[test]
fn a_shared_bottleneck_tells_lia_from_uncoupled_subflows() {
    let times = [("duration = \"400s\"", "duration = \"200s\""), ("\"40s\"", "\"20s\"")];
    let text = shortened(SHARED_BOTTLENECK, times);
    let wrong = swapped(&text, [("lia", "lia"), ("uncoupled", "reno")]);
    let claim = "LIA takes what a TCP takes";
    let right = verdicts(&text, &["lia"], &[1, 2, 3, 4, 5]);
    assert!(right[claim].holds(), "{:?}", right[claim]);
    let wrong = verdicts(&wrong, &["lia", "uncoupled"], &[1]);
    for claim in [claim, "two uncoupled subflows take what two TCPs take"] {
        assert!(!wrong[claim].holds(), "{:?}", wrong[claim]);
    }
}

#[test]
fn fixed_loss_tells_balia_from_olia() {
    let times = [("duration = \"600s\"", "duration = \"300s\""), ("\"60s\"", "\"20s\"")];
    let text = shortened(FIXED_LOSS, times);
    let wrong = swapped(&text, [("balia-4", "balia"), ("olia", "olia")]);
    let cases = ["balia-4", "olia"];
    let (right, wrong) = (verdicts(&text, &cases, &[1, 2]), verdicts(&wrong, &cases, &[1]));
    for claim in [
        "BALIA's split where p2 is four times p1",
        "OLIA only probes a path of four times the loss: Mb/s over those of two segments a round trip",
    ] {
        assert!(right[claim].holds(), "{:?}", right[claim]);
        assert!(!wrong[claim].holds(), "{:?}", wrong[claim]);
    }
}
