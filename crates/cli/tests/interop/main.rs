//! The command with programs that nobody here wrote: curl and nginx over the kernel's MPTCP, and
//! tshark, which reads what was captured of both.
//!
//! Each test has hosts of its own (`lab`), and is skipped aloud where the machine lacks something.

mod lab;
mod programs;
mod tshark;

use manypath_lab::{Capability, Direction, MPTCP_LAB, Skip, skip_unless};

use lab::Lab;
use programs::{Nginx, Payload, Serve, curl, get};

const MB: u64 = 1_000_000;

fn needs(programs: &[&'static str]) -> Result<(), Skip> {
    let programs = programs.iter().map(|program| Capability::Program(program));
    let all: Vec<_> = MPTCP_LAB.iter().copied().chain(programs).collect();
    skip_unless(&all)
}

#[test]
fn curl_downloads_from_serve_over_two_links() {
    let Ok(()) = needs(&["mptcpize", "curl"]) else { return };
    let lab = Lab::new("serve");
    let payload = Payload::make(&lab, 100 * MB);
    let serve = Serve::start(&lab, None);
    curl(&lab, &payload);
    lab.assert_joined("MPTcpExtMPJoinSynAckRx");
    lab.assert_both_links_used(Direction::Up, payload.bytes());
    let served = &serve.finish()["last"][0];
    assert_eq!(served["protocol"], "multipath", "{served}");
    assert_eq!(served["error"], serde_json::Value::Null, "{served}");
}

#[test]
fn get_downloads_from_nginx_over_two_links() {
    let Ok(()) = needs(&["mptcpize", "nginx", "nft"]) else { return };
    let lab = Lab::new("get");
    let payload = Payload::make(&lab, 100 * MB);
    let _nginx = Nginx::start(&lab);
    let report = get(&lab, &payload, None);
    assert_eq!(report["protocol"], "multipath", "{report}");
    lab.assert_joined("MPTcpExtMPJoinAckRx");
    lab.assert_both_links_used(Direction::Down, payload.bytes());
}

#[test]
fn tshark_finds_nothing_wrong_with_a_capture_of_serve() {
    let Ok(()) = needs(&["mptcpize", "curl", "tshark"]) else { return };
    let lab = Lab::new("serve-capture");
    let payload = Payload::make(&lab, 30 * MB);
    let capture = lab.folder().join("serve.pcapng");
    let serve = Serve::start(&lab, Some(&capture));
    curl(&lab, &payload);
    serve.finish();
    tshark::assert_sound(&capture, payload.bytes());
}

#[test]
fn tshark_finds_nothing_wrong_with_a_capture_of_get() {
    let Ok(()) = needs(&["mptcpize", "nginx", "nft", "tshark"]) else { return };
    let lab = Lab::new("get-capture");
    let payload = Payload::make(&lab, 30 * MB);
    let capture = lab.folder().join("get.pcapng");
    let _nginx = Nginx::start(&lab);
    get(&lab, &payload, Some(&capture));
    tshark::assert_sound(&capture, payload.bytes());
}
