//! `manypath bench`, as short as it can be: that it measures what it says, ends, and leaves nothing.

use std::process::{Command, Output, Stdio};

use manypath_lab::{Capability, MPTCP_LAB, skip_unless};
use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_manypath"));
    command.arg("bench").args(args).stdin(Stdio::null());
    command.output().expect("the command starts")
}

/// The results of a short run.
fn short(args: &[&str]) -> Value {
    let short = ["--rounds", "1", "--seconds", "0.5", "--json"];
    let output = bench(&[args, &short].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let counted = report["no_counters"].is_null();
    for result in list(&report, "results") {
        assert_eq!(result["manypath"]["cycles_per_packet"].is_number(), counted, "{result}");
    }
    report
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name].as_array().expect("a list")
}

fn able() -> bool {
    let ethtool = [Capability::Program("ethtool")];
    skip_unless(&[MPTCP_LAB, &ethtool].concat()).is_ok()
}

#[test]
fn bulk_and_small_requests_are_measured_beside_linux() {
    if !able() {
        return;
    }
    let report = short(&["bulk", "rr", "--against", "linux"]);
    let results = list(&report, "results");
    assert_eq!(results.len(), 8);
    for result in results {
        assert_eq!(result["error"], Value::Null, "{result}");
        for figure in ["/ratio", "/manypath/median", "/linux/median", "/manypath/cpu/machine"] {
            assert!(result.pointer(figure).is_some_and(|n| n.as_f64() > Some(0.0)), "{result}");
        }
        let bulk = result["scenario"] == "bulk";
        assert_eq!(result["intact"], if bulk { Value::Bool(true) } else { Value::Null });
        assert_eq!(result["link"], "tun", "the best for super-segments");
        assert_eq!(result["unit"], if bulk { "Gbit/s" } else { "per second" });
    }
    let both_ends = results.iter().filter(|result| result["both_ends"] == true).count();
    assert_eq!(both_ends, 2);
}

#[test]
fn every_link_and_size_of_packets_moves_data() {
    if !able() {
        return;
    }
    let (veth, packet) = (short(&["mtu", "crr", "--link", "veth"]), short(&["mtu"]));
    assert!(list(&packet, "results").iter().all(|result| result["link"] == "packet"));
    let results = [list(&veth, "results"), list(&packet, "results")].concat();
    assert_eq!(results.len(), 5 + 4);
    for result in results {
        assert!(result["error"].is_null() && result["linux"].is_null(), "{result}");
        assert!(result["ratio"].is_null(), "there is nothing to compare with: {result}");
        assert!(result["manypath"]["median"].as_f64() > Some(0.0), "{result}");
    }
}

#[test]
fn idle_connections_are_weighed() {
    if !able() {
        return;
    }
    let report = short(&["idle", "--connections", "300", "--against", "linux"]);
    let results = list(&report, "idle");
    assert_eq!(results.len(), 2);
    for result in results {
        assert_eq!((&result["error"], &result["held"]), (&Value::Null, &300.into()), "{result}");
        assert!(result["manypath_bytes_each"].as_f64() > Some(0.0), "{result}");
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes without optimization")]
fn simulated_events_are_counted() {
    let report = short(&["sim"]);
    let results = list(&report, "sim");
    assert!(results.len() >= 2);
    assert!(results.iter().all(|result| result["events_per_second"].as_f64() > Some(0.0)));
}

#[test]
fn wrong_usage_is_told() {
    for args in [&["fly"][..], &["bulk", "--seconds", "0"], &["bulk", "--against", "windows"]] {
        assert_eq!(bench(args).status.code(), Some(2), "{args:?}");
    }
}
