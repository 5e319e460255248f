//! Recovery of one TCP in a whole network: what the controller asks for is sent while losses go on, and
//! a link that pauses has lost nothing.

use std::path::Path;

use manypath_sim::{Experiment, Outcome, Overrides};

/// One flow over one link that the file says more of, with a controller.
fn run(link: &str, cc: &str, seconds: u32, folder: &Path) -> Outcome {
    let file = format!(
        "title = \"recovery\"\nduration = \"{seconds}s\"\n\
         [link.a]\nends = [\"client\", \"server\"]\n{link}\n\
         [flow.f]\nfrom = \"client\"\nto = \"server\"\ncc = \"{cc}\"\ntcp = true\n"
    );
    let experiment = Experiment::parse("recovery.toml", &file, folder).expect("it is right");
    let case = experiment.cases()[0];
    experiment.run(case, 1, &Overrides::default()).expect("it runs")
}

/// Eight packets are lost in every round trip, so that one recovery follows on another: far less than
/// what tells BBR that its flight is too long.
#[test]
fn bbr_fills_a_long_link_that_loses_a_little() {
    let link = "rate = \"300Mbps\"\ndelay = \"50ms\"\nqueue = \"1bdp\"\nloss = \"0.003\"";
    let goodput = run(link, "bbr", 12, Path::new(".")).values["flow.f.goodput"];
    assert!(goodput >= 220.0, "{goodput} of 285 Mbit/s");
}

/// A packet each millisecond, and none in every second half of a second: the retransmission timer
/// expires in each, for nothing.
#[test]
fn a_link_that_pauses_has_nothing_sent_again() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let times: String = (1..=500).chain([1_000]).map(|ms| format!("{ms}\n")).collect();
    std::fs::write(folder.join("pauses"), times).expect("the folder is there");
    let link = "trace = \"pauses\"\ndelay = \"10ms\"\nqueue = \"1500KB\"\nback.delay = \"10ms\"\n\
                back.rate = \"none\"";
    let outcome = run(link, "cubic", 20, folder);
    let (goodput, again) =
        (outcome.values["flow.f.goodput"], outcome.values["flow.f.retransmitted"]);
    assert!(goodput >= 5.6, "{goodput} of 5.8 Mbit/s");
    assert!(again < 300_000.0, "{again} bytes sent again");
}
