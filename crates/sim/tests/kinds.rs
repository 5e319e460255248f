//! Each kind of link, network and workload that a file can name, at work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manypath_sim::{Experiment, Overrides};

type Values = BTreeMap<String, f64>;

/// What one run measures.
fn measured(folder: &Path, text: &str) -> Values {
    let experiment = Experiment::parse("x.toml", text, folder);
    let experiment = experiment.unwrap_or_else(|error| panic!("{error}"));
    let outcome = experiment.run("base", 1, &Overrides::default());
    outcome.unwrap_or_else(|error| panic!("{error}")).values
}

fn run(duration: &str, rest: &str) -> Values {
    let head = format!("title = \"x\"\nduration = \"{duration}\"\nwarmup = \"2s\"\n");
    measured(Path::new("."), &(head + rest))
}

fn assert_within(values: &Values, name: &str, low: f64, high: f64) {
    let value = values.get(name).unwrap_or_else(|| panic!("{name} of {values:?}"));
    assert!((low..=high).contains(value), "{name} is {value}, not {low} to {high}");
}

fn over(preset: &str) -> Values {
    let link = format!("[link.a]\nends = [\"c\", \"s\"]\npreset = \"{preset}\"\n");
    run("30s", &(link + "[flow.f]\nfrom = \"c\"\nto = \"s\"\ncc = \"cubic\"\n"))
}

#[test]
fn presets_are_links_of_their_kind() {
    let wifi = over("wifi");
    assert_within(&wifi, "link.a.loss", 0.007, 0.013);
    assert_within(&wifi, "flow.f.sub0.rtt", 20.0, 70.0);
    assert_within(&over("3g"), "flow.f.goodput", 1.8, 2.1);
    assert_within(&over("lte"), "flow.f.goodput", 25.0, 30.0);
    let satellite = over("satellite");
    assert_within(&satellite, "flow.f.sub0.rtt", 600.0, 1_200.0);
    assert_within(&satellite, "link.a.loss", 0.0003, 0.01);
}

#[test]
fn hosts_of_a_cube_use_an_interface_at_every_level() {
    let cube = |flow: &str| {
        let link = "{ rate = \"20Mbps\", delay = \"1ms\", queue = \"50packets\" }";
        let network = format!("[topology.bcube]\nports = 3\nlevels = 2\nlink = {link}\n");
        run("6s", &format!("{network}[flow.f]\npattern = \"permutation\"\n{flow}\n"))
    };
    let total = |values: &Values| {
        let goodputs = values.iter().filter(|(name, _)| name.ends_with(".goodput"));
        goodputs.map(|(_, v)| v).sum::<f64>()
    };
    let (one, many) = (cube("tcp = true\ncc = \"reno\""), cube("cc = \"lia\""));
    assert!(total(&many) > 1.15 * total(&one), "{} to {}", total(&many), total(&one));
    for host in 0..9 {
        let goodput = many[&format!("flow.f.{host}.goodput")];
        assert!(goodput > 1.0, "servers relay, so that {host} reaches its goal: {goodput}");
    }
    assert!(many.keys().any(|name| name.starts_with("flow.f.8.sub1.")));
}

/// Four paths lead from a pod to another, over a core switch each. Hashes place two of four
/// subflows on the same one more often than not.
#[test]
fn subflows_that_take_turns_use_every_path() {
    let used = |spread: &str, to: u32| {
        let text = format!(
            "title = \"x\"\nduration = \"3s\"\nwarmup = \"2s\"\nspread = {spread:?}\n\
             [topology.fat-tree]\nk = 4\nlink = {{ rate = \"10Mbps\", delay = \"1ms\" }}\n\
             [stack]\nsubflows-per-pair = 4\n\
             [flow.f]\nfrom = \"h0\"\nto = \"h{to}\"\ncc = \"lia\"\n",
        );
        let values = measured(Path::new("."), &text);
        let pod = to / 4;
        (0..4).filter(|core| values[&format!("link.core{core}-pod{pod}.rate")] > 0.5).count()
    };
    let all = |spread| (8..16).filter(|&to| used(spread, to) == 4).count();
    assert_eq!((all("turns"), all("hash") < 8), (8, true));
}

#[test]
fn a_server_with_two_uplinks_serves_over_both() {
    let values = run(
        "10s",
        "[topology.dual-homed]\nclients = 2\nlink = { rate = \"10Mbps\", delay = \"10ms\" }\n\
         [flow.multi]\nfrom = \"server\"\nto = \"c0\"\ncc = \"lia\"\n",
    );
    assert_within(&values, "flow.multi.goodput", 15.0, 20.0);
    assert_within(&values, "link.up0.utilisation", 0.8, 1.001);
    assert_within(&values, "link.up1.utilisation", 0.8, 1.001);
}

const LINK: &str = "[link.a]\nends = [\"c\", \"s\"]\nrate = \"10Mbps\"\ndelay = \"10ms\"\n\
[flow.f]\nfrom = \"c\"\nto = \"s\"\njitter = \"1ms\"\n";

#[test]
fn a_page_is_complete_when_every_object_is_there() {
    let page = |connections: u64| {
        let page = "workload.page = { objects = 50, bytes = \"10KB\", connections";
        run("20s", &format!("{LINK}start = \"2s\"\n{page} = {connections} }}\n"))
    };
    let (one, five) = (page(1), page(5));
    for values in [&one, &five] {
        assert_within(values, "flow.f.completed", 1.0, 1.0);
        // Every object and a request of 300 bytes for it.
        assert_within(values, "flow.f.received", 515_000.0, 515_000.0);
    }
    // On one connection the next is asked for as soon as one is there.
    let each = one["flow.f.time"] / 50.0;
    assert_within(&one, "flow.f.object-time", 0.999 * each, 1.001 * each);
    // 50 round trips one after the other; or ten, and at least what 500 kB take on the link.
    assert!(one["flow.f.time"] > 1_000.0, "{one:?}");
    assert_within(&five, "flow.f.time", 400.0, 0.8 * one["flow.f.time"]);
}

#[test]
fn a_large_object_keeps_one_connection_of_a_page_busy() {
    // 800 KB take 640 ms; meanwhile the second connection fetches the seven others.
    let bytes = "[\"800KB\", \"10KB\", \"10KB\", \"10KB\", \"10KB\", \"10KB\", \"10KB\", \"10KB\"]";
    let page = format!("workload.page = {{ objects = 8, bytes = {bytes}, connections = 2 }}\n");
    let values = run("20s", &format!("{LINK}start = \"2s\"\n{page}"));
    assert_within(&values, "flow.f.received", 872_400.0, 872_400.0);
    assert_within(&values, "flow.f.time", 700.0, 1_000.0);
    assert_within(&values, "flow.f.object-time", 0.0, 0.5 * values["flow.f.time"]);
}

#[test]
fn connections_arrive_as_a_poisson_process() {
    let arrivals = "workload.arrivals = { gap = \"100ms\", bytes = \"30KB\" }\n";
    let values = run("202s", &format!("{LINK}{arrivals}"));
    // 2,000 on average, with a deviation of 45; 30 KB each are 2.4 Mb/s.
    assert_within(&values, "flow.f.completed", 1_820.0, 2_180.0);
    assert_within(&values, "flow.f.goodput", 2.1, 2.7);
    assert_within(&values, "flow.f.failed", 0.0, 0.0);
}

#[test]
fn a_constant_rate_is_constant() {
    let values = run("12s", &format!("{LINK}workload.cbr = {{ rate = \"3Mbps\" }}\n"));
    assert_within(&values, "link.a.rate", 2.995, 3.005);
    assert_within(&values, "link.a.drops", 0.0, 0.0);
}

#[test]
fn on_and_off_take_the_share_of_their_times() {
    let periods = "workload.on-off = { on = \"2s\", off = \"2s\" }\n";
    let values = run("202s", &format!("{LINK}{periods}"));
    assert_within(&values, "flow.f.goodput", 3.3, 6.3);
    assert_within(&values, "flow.f.stall", 1_000.0, 60_000.0);
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A link that mahimahi recorded: 12 Mb/s for a second, nothing for half a second, 1.2 Mb/s for
/// half a second, and all of that again.
#[test]
fn a_recorded_link_carries_what_its_trace_allows() {
    let folder = format!("manypath-recorded-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(folder));
    std::fs::create_dir_all(&folder.0).unwrap();
    let moments = (1..=1_000).chain((1_510..=2_000).step_by(10));
    let lines: Vec<String> = moments.map(|ms: u32| ms.to_string()).collect();
    std::fs::write(folder.0.join("x.down"), lines.join("\n")).unwrap();
    let text = "title = \"x\"\nduration = \"24s\"\nwarmup = \"4s\"\n[link.a]\nends = [\"c\", \"s\"]\n\
                trace = \"x.down\"\nback.rate = \"none\"\ndelay = \"10ms\"\nqueue = \"200packets\"\n\
                [flow.f]\nfrom = \"c\"\nto = \"s\"\nworkload.cbr = { rate = \"20Mbps\" }\n";
    let values = measured(&folder.0, text);
    // 1,050 packets of 1,500 bytes in two seconds.
    assert_within(&values, "link.a.rate", 6.29, 6.31);
    let text = text.replace("workload.cbr = { rate = \"20Mbps\" }", "cc = \"cubic\"");
    assert_within(&measured(&folder.0, &text), "flow.f.goodput", 5.0, 6.3);
}
