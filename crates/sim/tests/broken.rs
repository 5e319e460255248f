//! Experiment files with a mistake: each is answered with file, line, key, and what was expected.

use std::path::{Path, PathBuf};

use manypath_sim::{Experiment, FileError, Overrides};

const GOOD: &str = r#"title = "two links"
duration = "3s"
warmup = "1s"
seeds = [1, 2]

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
aqm.red = { min = "10KB", max = "30KB", chance = "10%" }

[flow.mp]
from = "client"
to = "server"
cc = "lia"

[flow.web]
from = "client"
to = "server"

[flow.web.workload.requests]
request = "300B"
response = "20KB"
gap = "1s"

[[event]]
at = "1s"
link = "a"
cut = true

[[event]]
at = "2s"
link = "b"
rate = "1Mbps"

[case.both]
[case.one.flow.mp]
tcp = true

[[expect]]
name = "some"
value = "one:flow.mp.goodput"
min = 1
"#;

fn answer(text: &str, folder: &Path) -> Option<FileError> {
    let run = |e: Experiment| {
        e.cases().into_iter().find_map(|case| e.run(case, 1, &Overrides::default()).err())
    };
    Experiment::parse("x.toml", text, folder).map_or_else(Some, run)
}

#[test]
fn the_file_without_a_mistake_is_run() {
    assert_eq!(answer(GOOD, Path::new(".")), None);
}

/// What is changed, into what, and the answer.
const MISTAKES: [(&str, &str, &str); 40] = [
    // It cannot be read at all.
    ("rate = \"10Mbps\"", "rate = \"10Mbps", "x.toml:12: rate: "),
    ("[link.b]", "[link.a]", "x.toml:16: "),
    ("delay = \"10ms\"", "rate = \"1Mbps\"", "x.toml:13: rate: duplicate key"),
    // Names.
    ("title = \"two links\"\n", "", "title: missing field `title`"),
    ("to = \"server\"\ncc", "cc", "x.toml:21: flow.mp: expected either `from` and `to`, or"),
    ("cc = \"lia\"", "colour = 1", "x.toml:24: flow.mp.colour: unknown field `colour`, expected"),
    ("[link.a]", "[lnik.a]", "lnik: unknown field `lnik`, expected one of `title`"),
    (
        "gap = \"1s\"",
        "gup = \"1s\"",
        "flow.web.workload.requests: unexpected keys in table: gup, available keys: request",
    ),
    ("gap = \"1s\"", "", "flow.web.workload.requests.gap: missing field `gap`"),
    // Kinds of values.
    ("tcp = true", "tcp = 7", "x.toml:47: case.one.flow.mp.tcp: invalid type: integer `7`"),
    ("rate = \"10Mbps\"", "rate = 10", "x.toml:12: link.a.rate: invalid type: integer `10`"),
    ("ends = [\"client\", \"server\"]", "ends = [\"client\"]", "x.toml:11: link.a.ends"),
    ("seeds = [1, 2]", "seeds = []", "x.toml:4: seeds: expected at least one seed"),
    // Values.
    ("rate = \"10Mbps\"", "rate = \"10\"", "x.toml:12: link.a.rate: expected a rate such as"),
    ("delay = \"10ms\"", "delay = \"ten\"", "x.toml:13: link.a.delay: expected a time such as"),
    ("queue = \"1bdp\"", "queue = \"big\"", "x.toml:14: link.a.queue: expected a queue such as"),
    ("queue = \"1bdp\"", "loss = \"200%\"", "x.toml:14: link.a.loss: expected a chance such as"),
    ("preset = \"3g\"", "preset = \"5g\"", "x.toml:18: link.b.preset: unknown variant `5g`, exp"),
    ("cc = \"lia\"", "cc = \"lila\"", "x.toml:24: flow.mp.cc: unknown congestion control"),
    ("cc = \"lia\"", "scheduler = \"x\"", "x.toml:24: flow.mp.scheduler: unknown scheduler"),
    ("min = \"10KB\"", "min = \"90KB\"", "x.toml:19: link.b.aqm.red.min: expected less than"),
    ("queue = \"1bdp\"", "trace = \"t\"", "x.toml:14: link.a.trace: expected either `rate` or"),
    ("from = \"1.7s\"", "from = \"3s\"", "x.toml:6: phase.late: expected `from` before"),
    ("warmup = \"1s\"", "warmup = \"9s\"", "x.toml:3: warmup: expected a time before the end"),
    ("[case.both]", "[case.both]\nduration = \"1s\"", "which is `duration` (in the case \"both\")"),
    ("[case.both]", "[case.both]\nwarmup = \"4s\"", "x.toml:46: case.both.warmup: expected a time"),
    ("[case.both]", "[case.both]\nphase.late.to = \"4s\"", "x.toml:46: case.both.phase.late: exp"),
    ("duration = \"3s\"", "duration = \"9000000000s\"", "x.toml:2: duration: expected at most 10"),
    ("seeds = [1, 2]", "sample = \"1ns\"", "x.toml:4: sample: expected a longer time: 3000000000"),
    (
        "[link.a]",
        "[stack]\nsubflows-per-pair = 4000000000\n[link.a]",
        "x.toml:11: stack.subflows-per-pair: expected 1 to 1024",
    ),
    // What does not fit together.
    (
        "[flow.mp]\nfrom = \"client\"",
        "[link.c]\nends = [\"x\", \"y\"]\n[flow.mp]\nfrom = \"x\"",
        "x.toml:23: flow.mp: no way leads from \"x\" to \"server\"",
    ),
    (
        "rate = \"10Mbps\"\ndelay = \"10ms\"",
        "",
        "x.toml:20: flow.mp: expected a `rate`, or a `delay` of 1us at least, on each way from",
    ),
    ("to = \"server\"", "to = \"srv\"", "x.toml:23: flow.mp.to: no link ends at a node"),
    ("to = \"server\"", "to = \"client\"", "x.toml:23: flow.mp.to: expected another node than"),
    ("link = \"b\"", "link = \"c\"", "x.toml:42: event.1.link: no link is called \"c\"; there are"),
    ("cut = true", "", "x.toml:35: event.0: expected one of `cut`, `restore`, `rate`"),
    ("one:flow", "two:flow", "x.toml:51: expect.0.value: \"some\": no case is called \"two\""),
    ("min = 1\n", "", "x.toml:49: expect.0: \"some\": expected `min`, `max`, or `equals`"),
    ("[link.b]\nends = [\"client\", \"server\"]", "[link.b]", "x.toml:16: link.b: expected `ends`"),
    ("rate = \"10Mbps\"", "trace = \"no.trace\"", "x.toml:12: link.a.trace: ./no.trace: No such"),
];

#[test]
fn each_mistake_is_answered_with_its_place_and_what_was_expected() {
    let mut wrong = String::new();
    for (good, bad, message) in MISTAKES {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good} is not in the file");
        let error = answer(&text, Path::new(".")).expect(message).to_string();
        let placed = error.starts_with("x.toml:") && !error.contains('\n');
        if !placed || !error.contains(message) {
            wrong += &format!("{bad}:\n  {error}\ninstead of\n  {message}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn workloads_and_networks_that_would_never_end_are_refused() {
    let requests = "requests]\nrequest = \"300B\"\nresponse = \"20KB\"\ngap = \"1s\"";
    for (workload, message) in [
        ("on-off]\non = \"0s\"\noff = \"1s\"", "workload.on-off.on: expected at least 10us"),
        ("arrivals]\ngap = \"1ns\"\nbytes = \"1KB\"", "arrivals.gap: expected at least 10us"),
        ("cbr]\nrate = \"9Gbps\"\nbytes = \"1B\"", "cbr.rate: expected no more than a packet"),
        ("cbr]\nrate = \"none\"", "flow.web.workload.cbr.rate: expected a rate"),
        ("page]\nobjects = 0\nbytes = \"1KB\"\nconnections = 1", "objects: expected at least 1"),
        (
            "page]\nobjects = 99999999\nbytes = \"1KB\"\nconnections = 99999999",
            "page.connections: expected 1 to 65536",
        ),
        ("stream]\nrate = \"1Mbps\"", "unknown variant `stream`, expected one of"),
    ] {
        let text = GOOD.replace(requests, workload);
        let error = answer(&text, Path::new(".")).expect(message).to_string();
        assert!(error.contains(message), "{error}\ninstead of\n{message}");
    }
    for (topology, message) in [
        ("bcube]\nports = 1000\nlevels = 9", "topology.bcube.levels: expected 1 to 16384 hosts"),
        ("bcube]\nports = 4\nlevels = 0", "topology.bcube.levels: expected 1 to 16384 hosts"),
        ("bcube]\nports = 2\nlevels = 14", "topology: expected fewer nodes: 131072 switches"),
        ("dumbbell]\npairs = 4000000000\nlink = {}", "dumbbell.pairs: expected 1 to 16384 hosts"),
        ("fat-tree]\nk = 3", "topology.fat-tree.k: expected an even number"),
        ("torus]\nlinks = 2", "topology.torus.links: expected at least 3"),
        ("ring]\nlinks = 2", "unknown variant `ring`, expected one of `dumbbell`"),
        ("dumbbell]\npairs = 2", "topology.dumbbell.link: missing field `link`"),
    ] {
        let link = if topology.starts_with("dumbbell") { "" } else { "link.rate = \"1Mbps\"\n" };
        let text = GOOD.replace("[link.a]", &format!("[topology.{topology}\n{link}\n[link.a]"));
        let error = answer(&text, Path::new(".")).expect(message).to_string();
        assert!(error.contains(message), "{error}\ninstead of\n{message}");
    }
}

#[test]
fn a_host_with_more_links_than_addresses_is_refused() {
    let mut text = GOOD.to_owned();
    for i in 0..254 {
        text += &format!("[link.x{i:03}]\nends = [\"client\", \"x{i}\"]\nrate = \"1Mbps\"\n");
    }
    let error = answer(&text, Path::new(".")).expect("256 links").to_string();
    let expected = "link.x253: expected at most 255 links at the host \"client\"";
    assert!(error.ends_with(expected), "{error}");
}

/// A folder that goes at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn a_bad_line_of_a_trace_is_named_with_its_file() {
    let folder = format!("manypath-traces-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(folder));
    std::fs::create_dir_all(&folder.0).unwrap();
    let text = GOOD.replace("rate = \"10Mbps\"", "trace = \"x.down\"");
    for (trace, message) in [
        ("1\n2\nthree\n", "x.down: line 3: expected a time in milliseconds, found \"three\""),
        ("1\n2\n-3\n", "x.down: line 3: expected a time in milliseconds, found \"-3\""),
        ("5\n4\n", "x.down: line 2: expected no earlier time than on the line before"),
        ("0\n0\n", "x.down: expected at least one time after 0"),
        ("", "x.down: expected at least one time after 0"),
    ] {
        std::fs::write(folder.0.join("x.down"), trace).unwrap();
        let error = answer(&text, &folder.0).expect(message).to_string();
        assert!(error.starts_with("x.toml:12: link.a.trace: "), "{error}");
        assert!(error.ends_with(message), "{error}\ninstead of\n{message}");
    }
}
