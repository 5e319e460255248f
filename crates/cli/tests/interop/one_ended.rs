//! `manypath serve --one-ended` and `perf --one-ended` on a host with two uplinks of which one has
//! the address that both use; the programs at the other side know nothing of it.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use manypath_lab::{Direction, PeerConfig, Role, Server, Transport};
use serde_json::Value;

use crate::lab::{LINKS, Lab};
use crate::programs::{PORT, Payload, Serve, Sockets, curl_from};
use crate::{MB, needs};

/// The host's own address on the first link.
const PUBLIC: &str = "10.1.1.1";
/// What the better link alone could carry of payload, in Mb/s: 1,448 of each 1,500 bytes.
const BETTER_ALONE: f64 = 100.0 * 1_448.0 / 1_500.0;
/// A machine whose processors are taken away for a while is slow for a while.
const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);
/// The page that Chromium opens: fetches, hashes, and writes down what came.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/page.html");

fn options() -> Vec<&'static str> {
    let mut options = vec!["--one-ended", "--public", PUBLIC];
    options.extend(LINKS.iter().flat_map(|link| ["--path", *link]));
    options
}

/// What a setup may leave behind in the namespace of the calling thread.
fn traces() -> String {
    let inode = fs::metadata("/proc/thread-self/ns/net").expect("it is there").ino();
    let journals = Path::new("/run/manypath").join(inode.to_string());
    let mut text = format!("journals: {}\n", journals.exists());
    for command in ["ip rule", "ip route show table all", "nft list ruleset", "ip address"] {
        let mut words = command.split(' ');
        let mut ip = Command::new(words.next().expect("a program"));
        let said = ip.args(words).output().expect("it runs").stdout;
        text += &String::from_utf8_lossy(&said);
    }
    text
}

/// `fetch` downloads from `manypath serve --one-ended`, until its rate in Mb/s is more than the
/// better link alone can carry.
fn downloads_faster_than_one_link(lab: &Lab, payload: &Payload, fetch: impl Fn() -> f64) {
    let before = lab.ours().run(traces).expect("the namespace is there");
    let serve = Serve::start_with(lab, &options());
    let mut rates = Vec::new();
    while rates.len() < ATTEMPTS && rates.iter().all(|&rate| rate < BETTER_ALONE * 1.05) {
        rates.push(fetch());
    }
    let report = serve.finish();
    eprintln!("{rates:?} Mb/s; the better link alone: {BETTER_ALONE:.1}");
    let largest = report["last"]
        .as_array()
        .and_then(|served| served.iter().max_by_key(|served| served["bytes"].as_u64()));
    let served = largest.expect("something was served");
    assert_eq!(served["protocol"], "one-ended", "{served}");
    assert_eq!(served["error"], Value::Null, "{served}");
    lab.assert_both_links_used(Direction::Up, payload.bytes());
    assert!(rates.iter().any(|&rate| rate > BETTER_ALONE * 1.05), "{rates:?} Mb/s: {served}");
    assert_eq!(lab.ours().run(traces).expect("the namespace is there"), before);
}

#[test]
fn curl_downloads_over_both_links_what_one_could_not_carry() {
    let Ok(()) = needs(&["curl", "nft"]) else { return };
    let lab = Lab::new("one-ended-curl");
    let payload = Payload::make(&lab, 100 * MB);
    downloads_faster_than_one_link(&lab, &payload, || {
        let begun = Instant::now();
        curl_from(&lab, Sockets::Plain, &payload, PUBLIC);
        payload.bytes() as f64 * 8e-6 / begun.elapsed().as_secs_f64()
    });
}

#[test]
fn chromium_downloads_over_both_links_what_one_could_not_carry() {
    let Ok(()) = needs(&["chromium", "nft"]) else { return };
    let lab = Lab::new("one-ended-chromium");
    let payload = Payload::make(&lab, 100 * MB);
    fs::copy(PAGE, lab.folder().join("page.html")).expect("a file is copied");
    downloads_faster_than_one_link(&lab, &payload, || {
        let (dom, rate) = watched(&lab, payload.bytes(), || chromium(&lab));
        assert!(dom.contains(&format!("sha256={} ", payload.sha256())), "{dom}");
        rate
    });
}

/// The source address is that of the first link whichever link packets take.
#[test]
fn perf_uploads_over_both_links_to_a_sink() {
    let Ok(()) = needs(&["nft"]) else { return };
    let lab = Lab::new("one-ended-perf");
    let before = lab.ours().run(traces).expect("the namespace is there");
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let config = PeerConfig::new(Transport::Tcp);
    let sink = Server::start(lab.linux(), &config, any, Role::Sink).expect("it listens");
    let mut command = lab.ours().command(env!("CARGO_BIN_EXE_manypath"));
    command.args(["--json", "perf", "client", &lab.linux_addr(), "--raw", "--bytes", "40M"]);
    command.args(["--port", &sink.addr().port().to_string()]).args(options());
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["streams"][0]["protocol"], "one-ended", "{report}");
    let received = sink.next_report(PATIENCE).expect("the connection ends");
    assert_eq!(received.received.bytes, 40 * MB);
    assert_eq!(received.peer.map(|peer| peer.ip().to_string()).as_deref(), Some(PUBLIC));
    lab.assert_both_links_used(Direction::Up, 40 * MB);
    assert_eq!(lab.ours().run(traces).expect("the namespace is there"), before);
}

/// Two providers: nothing says that one takes what has the other's address.
#[test]
fn links_without_a_common_address_are_refused_with_a_word() {
    let Ok(()) = needs(&["nft"]) else { return };
    let lab = Lab::new("one-ended-refused");
    let mut command = lab.ours().command(env!("CARGO_BIN_EXE_manypath"));
    command.args(["serve", "--one-ended", "--path", LINKS[0], "--path", LINKS[1]]);
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no address of this host in common"), "{said}");
    assert!(said.contains("--public ADDR"), "{said}");
}

/// Does something that moves so many bytes, and gives the rate of payload in Mb/s meanwhile, by
/// what the links deliver: a browser takes its time to start and to end.
fn watched<T: Send>(lab: &Lab, bytes: u64, body: impl FnOnce() -> T + Send) -> (T, f64) {
    let before = lab.carried(Direction::Up);
    thread::scope(|scope| {
        let doing = scope.spawn(body);
        let reached = |more: u64| {
            while lab.carried(Direction::Up) < before + more && !doing.is_finished() {
                thread::sleep(Duration::from_millis(5));
            }
            Instant::now()
        };
        let (from, to) = (reached(MB), reached(bytes));
        let rate = (bytes - MB) as f64 * 8e-6 / to.duration_since(from).as_secs_f64();
        (doing.join().expect("it does not panic"), rate * 1_448.0 / 1_500.0)
    })
}

/// Opens the page and gives what became of it.
fn chromium(lab: &Lab) -> String {
    let site = format!("http://{PUBLIC}:{PORT}");
    let mut command = lab.linux().command("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.args(["--disable-background-networking", "--dump-dom", "--timeout=60000"]);
    command.args(["--virtual-time-budget=1000000", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", lab.folder().join("profile").display()));
    // Hashes are for secure contexts only.
    command.arg(format!("--unsafely-treat-insecure-origin-as-secure={site}"));
    command.arg(format!("{site}/page.html?{}", Payload::NAME));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = lab.linux().child(command).expect("it starts");
    let mut dom = String::new();
    let mut stdout = child.process().stdout.take().expect("it is a pipe");
    stdout.read_to_string(&mut dom).expect("HTML is UTF-8");
    assert!(child.wait().expect("it ends").success(), "{dom}");
    dom
}
