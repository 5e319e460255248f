//! The command with programs that nobody here wrote, over the kernel's MPTCP and over its TCP: curl,
//! nginx, Python's asyncio, Caddy and Chromium, and tshark, which reads what was captured.
//!
//! Each test has hosts of its own (`lab`), and is skipped aloud where the machine lacks something.

mod iperf;
mod lab;
mod one_ended;
mod programs;
mod tshark;

use std::net::SocketAddr;

use manypath_lab::{Capability, Direction, MPTCP_LAB, Skip, skip_unless};

use iperf::{IPERF_PORT, Iperf};
use lab::{ADDRESSES, Lab};
use programs::{Payload, Serve, Sockets, WebServer, curl, get, python};

const MB: u64 = 1_000_000;

fn needs(programs: &[&'static str]) -> Result<(), Skip> {
    let programs = programs.iter().map(|program| Capability::Program(program));
    let all: Vec<_> = MPTCP_LAB.iter().copied().chain(programs).collect();
    skip_unless(&all)
}

/// A program downloads from `manypath serve` of so many shards, with the kernel's MPTCP and with its TCP.
fn downloads_from_serve(name: &str, shards: u32, bytes: u64, client: fn(&Lab, Sockets, &Payload)) {
    for sockets in Sockets::BOTH {
        let lab = Lab::new(name);
        let payload = Payload::make(&lab, bytes);
        let serve = Serve::start(&lab, shards, None);
        client(&lab, sockets, &payload);
        if sockets == Sockets::Mptcp {
            lab.assert_joined("MPTcpExtMPJoinSynAckRx");
            lab.assert_both_links_used(Direction::Up, payload.bytes());
        }
        let served = &serve.finish()["last"][0];
        let protocol = if sockets == Sockets::Mptcp { "multipath" } else { "plain-tcp" };
        assert_eq!(served["protocol"], protocol, "{served}");
        assert_eq!(served["error"], serde_json::Value::Null, "{served}");
    }
}

/// `manypath get` downloads from a server, with the kernel's MPTCP and with its TCP.
fn get_downloads(name: &str, bytes: u64, server: fn(&Lab, Sockets) -> WebServer) {
    for sockets in Sockets::BOTH {
        let lab = Lab::new(name);
        let payload = Payload::make(&lab, bytes);
        let _server = server(&lab, sockets);
        let report = get(&lab, &payload, None);
        if sockets == Sockets::Mptcp {
            assert_eq!(report["protocol"], "multipath", "{report}");
            lab.assert_joined("MPTcpExtMPJoinAckRx");
            lab.assert_both_links_used(Direction::Down, payload.bytes());
        } else {
            assert_eq!(report["protocol"], "fell-back", "{report}");
        }
    }
}

#[test]
fn curl_downloads_from_serve() {
    let Ok(()) = needs(&["mptcpize", "curl"]) else { return };
    downloads_from_serve("serve-curl", 1, 100 * MB, curl);
}

#[test]
fn python_downloads_from_serve() {
    let Ok(()) = needs(&["mptcpize", "python3"]) else { return };
    downloads_from_serve("serve-python", 2, 30 * MB, python);
}

#[test]
fn get_downloads_from_nginx() {
    let Ok(()) = needs(&["mptcpize", "nginx", "nft"]) else { return };
    get_downloads("get-nginx", 100 * MB, WebServer::nginx);
}

#[test]
fn get_downloads_from_python() {
    let Ok(()) = needs(&["mptcpize", "python3", "nft"]) else { return };
    get_downloads("get-python", 30 * MB, WebServer::python);
}

/// The one in Debian is built with a Go that has no MPTCP of its own.
#[test]
fn get_downloads_from_caddy_which_has_plain_tcp() {
    let Ok(()) = needs(&["caddy", "nft"]) else { return };
    let lab = Lab::new("get-caddy");
    let payload = Payload::make(&lab, 30 * MB);
    let _server = WebServer::caddy(&lab);
    let report = get(&lab, &payload, None);
    assert_eq!(report["protocol"], "fell-back", "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn iperf3_sends_to_the_library() {
    let Ok(()) = needs(&["mptcpize", "iperf3"]) else { return };
    for sockets in Sockets::BOTH {
        let lab = Lab::new("iperf-to");
        let endpoint = iperf::endpoint(&lab);
        let at = SocketAddr::new(ADDRESSES[0].parse().expect("an address"), IPERF_PORT);
        let listener = endpoint.listen(at).expect("the port is free");
        let client = Iperf::client(&lab, sockets, 2);
        let served = iperf::serve_one(&listener).await.expect("it is iperf3's protocol");
        let report = tokio::task::block_in_place(|| client.report());
        let (bytes, protocol) = served;
        assert_eq!(report["end"]["sum_received"]["bytes"], bytes, "{report}");
        assert!(bytes > MB, "{bytes} bytes in two seconds");
        let expected = if sockets == Sockets::Mptcp { "multipath" } else { "plain-tcp" };
        assert_eq!(protocol, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_sends_to_iperf3() {
    let Ok(()) = needs(&["mptcpize", "iperf3"]) else { return };
    for sockets in Sockets::BOTH {
        let lab = Lab::new("iperf-from");
        let endpoint = iperf::endpoint(&lab);
        let to = SocketAddr::new(lab.linux_addr().parse().expect("an address"), IPERF_PORT);
        let server = Iperf::server(&lab, sockets);
        let protocol = iperf::send(&endpoint, to, 20 * MB).await.expect("it is iperf3's protocol");
        let report = tokio::task::block_in_place(|| server.report());
        assert_eq!(report["end"]["sum_received"]["bytes"], 20 * MB, "{report}");
        let expected = if sockets == Sockets::Mptcp { "multipath" } else { "fell-back" };
        assert_eq!(protocol, expected);
    }
}

#[test]
fn tshark_finds_nothing_wrong_with_a_capture_of_serve() {
    let Ok(()) = needs(&["mptcpize", "curl", "tshark"]) else { return };
    let lab = Lab::new("serve-capture");
    let payload = Payload::make(&lab, 30 * MB);
    let capture = lab.folder().join("serve.pcapng");
    let serve = Serve::start(&lab, 1, Some(&capture));
    curl(&lab, Sockets::Mptcp, &payload);
    serve.finish();
    tshark::assert_sound(&capture, payload.bytes());
}

#[test]
fn tshark_finds_nothing_wrong_with_a_capture_of_get() {
    let Ok(()) = needs(&["mptcpize", "nginx", "nft", "tshark"]) else { return };
    let lab = Lab::new("get-capture");
    let payload = Payload::make(&lab, 30 * MB);
    let capture = lab.folder().join("get.pcapng");
    let _server = WebServer::nginx(&lab, Sockets::Mptcp);
    get(&lab, &payload, Some(&capture));
    tshark::assert_sound(&capture, payload.bytes());
}
