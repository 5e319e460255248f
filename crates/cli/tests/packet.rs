//! `--device packet`: the command beside the kernel on Ethernet, with Linux's MPTCP at the other end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use manypath_lab::{Capability, Host, MPTCP_LAB, Packets, Pattern, Veths, skip_unless};
use nix::sys::signal::Signal;
use serde_json::Value;

const BYTES: usize = 30_000_000;

#[test]
fn curl_downloads_over_two_packet_sockets() {
    let programs = ["mptcpize", "curl"].map(Capability::Program);
    if skip_unless(&[MPTCP_LAB, &programs].concat()).is_err() {
        return;
    }
    let veths = Veths::build(2, Packets::SuperSegments).expect("two hosts are made");
    veths.kernel_mptcp().expect("the kernel has MPTCP");
    let (ours, linux) = (veths.host(Host::Server), veths.host(Host::Client));
    // A router would forward what is meant for the packet sockets.
    ours.sysctl("net/ipv4/ip_forward", "0").expect("root may set it");
    let folder = std::env::temp_dir().join(format!("manypath-packet-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    let mut payload = vec![0; BYTES];
    Pattern::new(7).fill(&mut payload);
    fs::write(folder.join("payload"), &payload).expect("there is room on the disk");

    let mut serve = ours.command(env!("CARGO_BIN_EXE_manypath"));
    serve.args(["--json", "serve", "--port", "8080", "--device", "packet"]);
    serve.args(["--address", "10.1.1.77@veth0", "--address", "10.2.1.77@veth1"]).arg(&folder);
    serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut serve = ours.child(serve).expect("the command starts");
    let mut said = BufReader::new(serve.process().stderr.take().expect("it is a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says something");
    assert!(line.starts_with("serving"), "{line}");

    let mut curl: Command = linux.command("mptcpize");
    curl.args(["run", "curl", "--silent", "--show-error", "--fail", "--max-time", "60"]);
    curl.arg("http://10.1.1.77:8080/payload").stdin(Stdio::null());
    let got = curl.output().expect("curl starts");
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    assert!(got.stdout == payload, "the bytes changed on the way");

    serve.signal(Signal::SIGINT).expect("it runs");
    let mut report = String::new();
    let mut stdout = serve.process().stdout.take().expect("it is a pipe");
    stdout.read_to_string(&mut report).expect("it prints UTF-8");
    assert!(serve.wait().expect("it ends").success(), "{report}");
    fs::remove_dir_all(&folder).ok();
    let report: Value = serde_json::from_str(&report).expect("one JSON object");
    let served = &report["last"][0];
    assert_eq!(served["protocol"], "multipath", "{served}");
    assert_eq!(served["error"], Value::Null, "{served}");
}
