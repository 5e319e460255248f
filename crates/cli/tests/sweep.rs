//! Sweeps as scripts meet them: shards, interruption, and what is refused.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::Folder;
use serde_json::Value;

const FILE: &str = r#"
title = "two links"
duration = "4s"
warmup = "1s"

[link.a]
ends = ["client", "server"]
rate = "8Mbps"
delay = "10ms"
loss = "0.001"

[link.b]
ends = ["client", "server"]
rate = "4Mbps"
delay = "30ms"

[flow.mp]
from = "client"
to = "server"
"#;

struct Place(Folder);

impl Place {
    fn new(name: &str) -> Self {
        Self(Folder::new(&format!("sweep-{name}"), FILE))
    }

    fn command(&self, output: &str, more: &[&str]) -> Command {
        let mut command = self.0.sim();
        let vary = ["--vary", "flow.mp.cc=lia,reno", "--vary", "link.b.delay=20ms,40ms"];
        command.args(["sweep", "x.toml", "--json", "--seeds", "3", "-o", output]);
        command.args(vary).args(more);
        command
    }

    fn sweep(&self, output: &str, more: &[&str]) -> Value {
        let output = self.command(output, more).output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    fn read(&self, file: &str) -> String {
        self.0.read(file)
    }
}

fn rows_of(journal: &Path) -> usize {
    let lines = |text: String| text.matches('\n').count();
    fs::read_to_string(journal).map_or(0, lines).saturating_sub(1)
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn shards_are_disjoint_and_together_the_whole() {
    let place = Place::new("shards");
    let whole = place.sweep("whole.csv", &[]);
    assert_eq!((&whole["rows"], &whole["run"]), (&12.into(), &12.into()));
    let lines = |file: &str| -> Vec<String> {
        place.read(file).lines().skip(1).map(str::to_owned).collect()
    };
    let mut parts = Vec::new();
    let mut journals = String::new();
    for i in 0..5 {
        let (shard, file) = (format!("{i}/5"), format!("part{i}.csv"));
        place.sweep(&file, &["--shard", &shard, "--jobs", "1"]);
        parts.extend(lines(&file));
        journals += &place.read(&format!("{file}.journal"));
    }
    let mut all = lines("whole.csv");
    assert_eq!(all.len(), 12);
    place.0.write("joined.csv.journal", journals);
    let joined = place.sweep("joined.csv", &[]);
    assert_eq!((&joined["run"], &joined["resumed"]), (&0.into(), &12.into()));
    assert_eq!(place.read("joined.csv"), place.read("whole.csv"));
    all.sort();
    parts.sort();
    assert_eq!(parts, all);
}

#[test]
fn a_killed_sweep_goes_on_where_it_was() {
    let place = Place::new("killed");
    place.sweep("whole.csv", &[]);
    let journal = place.0.path("cut.csv.journal");
    let mut finished = 0;
    // Killed again and again, wherever that hits it.
    while finished < 9 {
        let mut command = place.command("cut.csv", &["--jobs", "1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        while rows_of(&journal) < finished + 2 && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        finished = rows_of(&journal);
    }
    assert!(!place.0.path("cut.csv").exists() || finished == 12, "a table only of whole sweeps");
    let last = place.sweep("cut.csv", &[]);
    assert_eq!((&last["rows"], &last["resumed"]), (&12.into(), &finished.into()));
    assert_eq!(place.read("cut.csv"), place.read("whole.csv"));
    assert_eq!(rows_of(&journal), 12, "no row was run twice");
}

#[test]
fn a_table_of_something_else_is_left_alone() {
    let place = Place::new("other");
    place.sweep("x.csv", &["--case", "base"]);
    let kept = place.read("x.csv.journal");
    place.0.write("x.toml", FILE.replace("8Mbps", "9Mbps"));
    let text = refused(&place.command("x.csv", &[]).output().expect("it starts"));
    assert!(text.contains("x.csv.journal:1: its rows are of another experiment"), "{text}");
    place.0.write("x.toml", FILE.replace("two links", "other words"));
    assert_eq!(place.sweep("x.csv", &[])["run"], 0);
    let more = ["--vary", "flow.mp.scheduler=blest"];
    let text = refused(&place.command("x.csv", &more).output().expect("it starts"));
    assert!(text.contains("its rows vary other keys"), "{text}");
    assert_eq!(place.read("x.csv.journal"), kept);
    place.0.write("mine.csv", "precious");
    let text = refused(&place.command("mine.csv", &[]).output().expect("it starts"));
    assert!(text.contains("without a journal"), "{text}");
    assert_eq!(place.read("mine.csv"), "precious");
}

#[test]
fn wrong_words_are_answered_with_what_was_expected() {
    let place = Place::new("wrong");
    let cases: [(&[&str], &str); 7] = [
        (&["--vary", "flow.mp.scheduler=fifo"], "flow.mp.scheduler: unknown scheduler"),
        (&["--vary", "link.a.rate=fast"], "link.a.rate: expected a rate such as \"12Mbps\""),
        (&["--vary", "flow.tcp.cc=reno"], "no flow is called \"tcp\"; there are mp"),
        (&["--vary", "flow.mp.cc=olia"], "--vary: flow.mp.cc stands twice"),
        (&["--vary", "flow.mp.cc"], "expected KEY=VALUE,VALUE..."),
        (&["--shard", "3/3"], "expected I/N with I from 0 to N-1"),
        (&["--case", "lia"], "--case: there is no \"lia\"; choose of base"),
    ];
    for (more, message) in cases {
        let text = refused(&place.command("x.csv", more).output().expect("it starts"));
        assert!(text.contains(message), "{text}\ninstead of {message}");
    }
    let text = refused(&place.command("x.json", &[]).output().expect("it starts"));
    assert!(text.contains("ends in .csv or .parquet"), "{text}");
    assert!(!place.0.path("x.csv.journal").exists(), "nothing was begun");
}
