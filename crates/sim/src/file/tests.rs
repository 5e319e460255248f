//! Files, right and wrong.

use super::*;

const GOOD: &str = r#"
title = "two links"
duration = "3s"
warmup = "1s"
seeds = [1, 2]
sample = "500ms"

[phase.late]
from = "1.7s"
to = "3s"

[link.a]
ends = ["client", "server"]
rate = "10Mbps"
delay = "10ms"
queue = "1bdp"

[link.b]
ends = ["client", "server"]
preset = "3g"

[flow.mp]
from = "client"
to = "server"
cc = "lia"

[case.both]
[case.one.flow.mp]
tcp = true

[[expect]]
name = "two are more than one"
value = "both:flow.mp.goodput - one:flow.mp.goodput"
min = 0.5

[[expect]]
name = "not as much as that"
value = "flow.mp.goodput"
case = "one"
min = 11
"#;

fn parse(text: &str) -> Result<Experiment, FileError> {
    Experiment::parse("x.toml", text, Path::new("."))
}

#[test]
fn an_experiment_is_run_and_judged() {
    let experiment = parse(GOOD).unwrap();
    let mut outcomes = Vec::new();
    for case in experiment.cases() {
        for &seed in experiment.seeds() {
            outcomes.push(experiment.run(case, seed, &Overrides::default()).unwrap());
        }
    }
    assert_eq!(outcomes[0].series.at, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
    let late = outcomes[0].values["link.a.rate@late"];
    assert!((8.0..10.01).contains(&late), "{late}");
    let verdicts = experiment.judge(&outcomes, &BTreeMap::new());
    let held: Vec<bool> = verdicts.iter().map(Verdict::holds).collect();
    assert_eq!(held, [true, false], "{verdicts:?}");
    let failures = BTreeMap::from([("one".to_owned(), "broken".to_owned())]);
    assert_eq!(experiment.judge(&outcomes, &failures)[0].measured, Err("broken".to_owned()));
}

#[test]
fn a_case_of_which_nothing_is_expected_is_not_judged() {
    let named = parse(&GOOD.replace("[case.both]", "[case.both]\n[case.aside]")).unwrap();
    assert_eq!(named.cases(), ["aside", "both", "one"]);
    assert_eq!(named.judged_cases(), ["both", "one"]);
    let unnamed = parse(&GOOD.replace("case = \"one\"\n", "")).unwrap();
    assert_eq!(unnamed.judged_cases(), ["both", "one"], "the first where none is named");
}

#[test]
fn more_links_and_more_time_are_more_work() {
    let work = |text: &str, case| parse(text).unwrap().work(case);
    let both = work(GOOD, "both");
    assert_eq!(both, 3 * 2 * (10_000_000 + 2_100_000));
    let longer = GOOD.replace("[case.both]", "[case.both]\nduration = \"30s\"");
    assert_eq!(work(&longer, "both"), 10 * both);
}

/// A ring of three links, the first of them narrow.
fn ring(narrow: &str) -> [crate::LinkConfig; 2] {
    let text = format!(
        "title = \"a ring\"\nduration = \"3s\"\n[topology.torus]\nlinks = 3\n\
         [topology.torus.link]\nrate = \"10Mbps\"\ndelay = \"20ms\"\nqueue = \"1bdp\"\n\
         loss = \"1%\"\nback.rate = \"none\"\n[link.l0]\n{narrow}\n"
    );
    let document: Document = toml::from_str(&text).unwrap();
    let plan = document.plan(Path::new("."), 1).unwrap();
    let edge = plan.graph.edges.iter().find(|edge| edge.name == "l0").unwrap();
    edge.ways.clone()
}

#[test]
fn what_is_said_of_one_link_leaves_the_rest_as_the_topology_has_it() {
    use crate::{Limit, Loss, Transmitter};
    use manypath_base::Rate;
    let mbps = |n: u64| Transmitter::Constant(Rate::from_bits_per_sec(n * 1_000_000));
    let [there, back] = ring("rate = \"4Mbps\"");
    assert_eq!((there.transmitter, back.transmitter), (mbps(4), Transmitter::Unlimited));
    assert_eq!(there.delay, Duration::from_millis(20));
    assert_eq!(there.limit, Limit::Bytes(20_000), "one product at the link's own rate");
    assert_eq!(there.loss, Loss::Bernoulli { ppm: 10_000 });
    let [there, back] =
        ring("burst-loss = { to-bad = \"1%\", to-good = \"9%\", loss-bad = \"1\" }");
    assert!(matches!(there.loss, Loss::GilbertElliott(_)), "in place of the other kind");
    assert_eq!((there.transmitter, back.transmitter), (mbps(10), Transmitter::Unlimited));
    let [there, back] = ring("preset = \"3g\"\nback.delay = \"1ms\"");
    assert_eq!((there.delay, there.loss), (Duration::from_millis(75), Loss::None));
    assert_eq!(back.delay, Duration::from_millis(1));
    assert_eq!(back.transmitter, Transmitter::Unlimited, "as the topology says of the way back");
}

#[test]
fn hosts_that_talk_to_each_other_have_addresses_of_one_version() {
    let run = |hosts: &str| {
        let text = GOOD.replacen("[flow.mp]", &format!("{hosts}\n[flow.mp]"), 1);
        parse(&text).unwrap().run("both", 1, &Overrides::default())
    };
    let both = run("[host.client]\nipv6 = true\n[host.server]\nipv6 = true").unwrap();
    assert!(both.values["flow.mp.goodput"] > 5.0, "{:?}", both.values);
    let refused = run("[host.server]\nipv6 = true").unwrap_err().to_string();
    assert!(refused.contains("flow.mp.to") && refused.contains("ipv6"), "{refused}");
}
