//! The command as scripts meet it: output, JSON and exit codes, as far as that takes no root.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use manypath::{CongestionControl, Scheduler};
use serde_json::Value;

/// Two subflows between two Linux hosts, one of which is cut for a while; payloads are cut short.
/// What stands in the assertions is what tshark says of it.
const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/linux-two-subflows.pcapng");

fn manypath(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_manypath"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Standard output, which must be exactly one object.
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn a_capture_of_linux_is_understood() {
    let output = manypath(&["decode", "--json", CAPTURE]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary = json(&output);
    assert_eq!(summary["segments"], 54);
    assert_eq!(summary["malformed"], serde_json::json!({}));
    assert_eq!(summary["connections"].as_array().map(Vec::len), Some(1));
    let connection = &summary["connections"][0];
    assert_eq!(connection["protocol"], "multipath");
    assert_eq!(connection["handshake"], true);
    assert_eq!(connection["bytes"], serde_json::json!({ "up": 9000, "down": 2000 }));
    assert_eq!(connection["reinjected"], serde_json::json!({ "up": 5000, "down": 2000 }));
    assert_eq!(connection["retransmitted"], serde_json::json!({ "up": 4988, "down": 3420 }));
    assert_eq!(connection["unmapped"], serde_json::json!({ "up": 0, "down": 0 }));
    assert_eq!(connection["data_fin"], serde_json::json!({ "up": true, "down": true }));
    assert_eq!(connection["announcements"]["down"], serde_json::json!(["add id 1 10.9.1.2"]));
    let subflows = connection["subflows"].as_array().expect("a list");
    let states: Vec<_> = subflows.iter().map(|subflow| &subflow["state"]).collect();
    assert_eq!(states, ["reset", "refused", "closed"]);
    assert_eq!(subflows[2]["interface"], "wan1");
    assert_eq!(subflows[2]["bytes"], serde_json::json!({ "up": 5000, "down": 2000 }));
}

#[test]
fn lines_carry_relative_numbers_and_say_what_was_sent_again() {
    let output = manypath(&["decode", CAPTURE]);
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert!(lines[11].contains("0.0 10.9.0.1:59938 > 10.9.0.2:8080: Flags [P.], seq 1:501, ack 1"));
    assert!(lines[11].contains("mptcp dss ack 1 seq 1 subseq 1 len 500"), "{}", lines[11]);
    assert!(lines[24].ends_with("(retransmission 728)"), "{}", lines[24]);
    assert!(lines[25].ends_with("(reinjection 5000)"), "{}", lines[25]);
}

#[test]
fn standard_input_can_be_the_capture() {
    let output = Command::new(env!("CARGO_BIN_EXE_manypath"))
        .args(["decode", "-", "--limit", "2", "--filter", "conn=0"])
        .stdin(File::open(CAPTURE).expect("the capture is there"))
        .output()
        .expect("the command starts");
    let lines = text(&output.stdout).lines().filter(|line| line.contains("Flags")).count();
    assert_eq!((output.status.code(), lines), (Some(0), 2));
}

#[test]
fn a_damaged_capture_is_shown_as_far_as_it_goes_and_fails() {
    let whole = std::fs::read(CAPTURE).expect("the capture is there");
    let path = std::env::temp_dir().join(format!("manypath-cut-{}.pcapng", std::process::id()));
    std::fs::write(&path, &whole[..whole.len() - 50]).expect("written");
    let output = manypath(&["decode", path.to_str().expect("UTF-8")]);
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).lines().count() > 50);
    assert!(text(&output.stderr).contains("damaged at byte"), "{}", text(&output.stderr));
}

#[test]
fn the_help_lists_the_algorithms_and_each_is_understood() {
    let output = manypath(&["get", "--help"]);
    let help = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    for cc in CongestionControl::ALL {
        assert!(help.contains(cc.name()), "{cc} in {help}");
    }
    for scheduler in Scheduler::ALL {
        assert!(help.contains(scheduler.name()), "{scheduler} in {help}");
        let options = ["--scheduler", scheduler.name(), "--cc", CongestionControl::ALL[0].name()];
        let output = manypath(&[&["get", "https://example.net/"], &options[..]].concat());
        assert!(text(&output.stderr).contains("TLS is not built in"), "{output:?}");
    }
}

#[test]
fn wrong_usage_is_one_line_and_code_2() {
    let cases: [(&[&str], &str); 12] = [
        (&[], "a command is missing"),
        (&["fly"], "fly"),
        (&["decode"], "<FILE>"),
        (&["decode", "/nonexistent.pcapng"], "/nonexistent.pcapng"),
        (&["decode", "/dev/null"], "no capture file"),
        (&["sim", "run", "x.toml", "--cc", "lila"], "'--cc <NAME>': unknown congestion control"),
        (&["sim", "run", "x.toml", "--scheduler", "x"], "'--scheduler <NAME>': unknown scheduler"),
        (&["get", "https://example.net/"], "TLS is not built in"),
        (&["get", "http://127.0.0.1/", "--path", "nosuch7"], "nosuch7"),
        (&["get", "http://127.0.0.1/", "--cc", "vegas"], "choose one of reno, cubic, lia"),
        (&["serve", "/nonexistent"], "/nonexistent"),
        (&["perf", "client", "127.0.0.1", "--time", "0"], "no number of seconds"),
    ];
    for (args, says) in cases {
        let output = manypath(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.starts_with("manypath: ") && stderr.contains(says), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_failure_is_one_json_object_too() {
    let output = manypath(&["--json", "decode", "/nonexistent.pcapng"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(json(&output)["error"].as_str().is_some_and(|text| text.contains("/nonexistent")));
}

#[test]
fn help_shows_an_example_for_every_command() {
    for command in [&["decode"][..], &["get"], &["serve"], &["perf"], &["perf", "client"]] {
        let output = manypath(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Example:"), "{command:?}");
    }
}
