//! What is simulated is what is sent: packets that travel as values give the same trace as packets
//! that travel as bytes.

use super::*;
use crate::shipped;

/// Enough to come out of slow start, to lose and to repair.
const ENOUGH: u64 = 60_000;

/// The hash and the number of dispatches once there are enough of them, or at the end.
fn trace(experiment: &Experiment, document: &Document, carriage: Carriage) -> (u64, u64) {
    let plan = document.plan(&experiment.folder, 3).expect("the file is right");
    let mut world = World::new(&plan, 3);
    world.set_carriage(carriage);
    let steps = (1..=200).map(|n| document.duration.0 * n / 200);
    for moment in steps {
        world.run_until(moment);
        if world.counters().dispatches > ENOUGH {
            break;
        }
    }
    assert!(world.counters().dispatches > 1_000, "something was sent");
    (world.trace_hash(), world.counters().dispatches)
}

fn assert_same_trace(name: &str, experiment: &Experiment) {
    for (case, document) in &experiment.cases {
        let [values, bytes] =
            [Carriage::Values, Carriage::Bytes].map(|c| trace(experiment, document, c));
        assert_eq!(values, bytes, "{name}, {case}");
    }
}

#[test]
fn shipped_experiments_give_the_same_trace_either_way() {
    for (name, experiment) in shipped() {
        assert_same_trace(name, &experiment.unwrap_or_else(|error| panic!("{error}")));
    }
}

/// What the shipped ones have not: marks, losses of every kind, copies, reordering, middleboxes.
#[test]
fn rough_networks_give_the_same_trace_either_way() {
    const TEXT: &str = r#"
        title = "x"
        duration = "10s"
        [link.a]
        ends = ["c", "s"]
        rate = "20Mbps"
        delay = "10ms"
        mark-from = "10packets"
        loss = "0.2%"
        [link.b]
        ends = ["c", "s"]
        rate = "10Mbps"
        delay = "15ms"
        reorder = "1%"
        reorder-delay = "30ms"
        duplicate = "1%"
        burst-loss = { to-bad = "0.1%", to-good = "20%", loss-bad = "50%" }
        [flow.f]
        from = "c"
        to = "s"
        [case.whole]
        [case.stripped.link.b]
        middlebox = "strip-options"
        [case.alone.link.a]
        middlebox = "drop-joins"
        [case.v6.host]
        c.ipv6 = true
        s.ipv6 = true
    "#;
    let experiment = Experiment::parse("x.toml", TEXT, Path::new("."));
    assert_same_trace("x", &experiment.unwrap_or_else(|error| panic!("{error}")));
}
