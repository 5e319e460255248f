//! The programs at both ends, and the file between them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use manypath_lab::{ChildGuard, Pattern};
use nix::sys::signal::Signal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::lab::{ADDRESSES, LINKS, Lab};

const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(10);
const BLOCK: usize = 64 << 10;

/// A file to be downloaded.
pub(crate) struct Payload {
    bytes: u64,
    sha256: String,
}

impl Payload {
    const NAME: &str = "payload";

    /// Makes the file in the folder of the lab.
    pub(crate) fn make(lab: &Lab, bytes: u64) -> Self {
        let mut file = fs::File::create(lab.folder().join(Self::NAME)).expect("a file is made");
        let (mut pattern, mut block) = (Pattern::new(bytes), vec![0; BLOCK]);
        let (mut hash, mut left) = (Sha256::new(), bytes);
        while left > 0 {
            pattern.fill(&mut block);
            let len = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
            file.write_all(&block[..len]).expect("there is room on the disk");
            hash.update(&block[..len]);
            left -= len as u64;
        }
        Self { bytes, sha256: hex(hash) }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `manypath serve` on an address behind each link, each announced to clients.
pub(crate) struct Serve {
    child: ChildGuard,
}

impl Serve {
    /// Starts it on the folder of the lab and waits until it listens.
    pub(crate) fn start(lab: &Lab, capture: Option<&Path>) -> Self {
        let mut command = lab.ours().command(env!("CARGO_BIN_EXE_manypath"));
        command.args(["--json", "serve", "--no-masquerade", "--port", &PORT.to_string()]);
        for (addr, link) in ADDRESSES.iter().zip(LINKS) {
            command.arg("--address").arg(format!("{addr}@{link}"));
        }
        if let Some(file) = capture {
            command.arg("--pcap").arg(file);
        }
        command.arg(lab.folder());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = lab.ours().child(command).expect("the command starts");
        let stderr = child.process().stderr.take().expect("it is a pipe");
        let mut said = BufReader::new(stderr);
        let mut line = String::new();
        said.read_line(&mut line).expect("it says something");
        assert!(line.starts_with("serving"), "{line}");
        // What it says later is for whoever reads the output of a failed test.
        thread::spawn(move || said.lines().map_while(Result::ok).for_each(|l| eprintln!("{l}")));
        Self { child }
    }

    /// Ends it as a user does, and gives its report.
    pub(crate) fn finish(mut self) -> Value {
        self.child.signal(Signal::SIGINT).expect("it runs");
        let mut stdout = self.child.process().stdout.take().expect("it is a pipe");
        let mut report = String::new();
        stdout.read_to_string(&mut report).expect("it prints UTF-8");
        assert!(self.child.wait().expect("it ends").success(), "{report}");
        serde_json::from_str(&report).expect("one JSON object")
    }
}

/// curl over the kernel's MPTCP gets the payload from [`Serve`]; the hash is compared.
pub(crate) fn curl(lab: &Lab, payload: &Payload) {
    let mut command = lab.linux().command("mptcpize");
    command.args(["run", "curl", "--silent", "--show-error", "--fail", "--max-time", "60"]);
    command.arg(format!("http://{}:{PORT}/{}", ADDRESSES[0], Payload::NAME));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = lab.linux().child(command).expect("curl starts");
    let mut stdout = child.process().stdout.take().expect("it is a pipe");
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; BLOCK], 0);
    loop {
        let len = stdout.read(&mut buffer).expect("a pipe can be read");
        if len == 0 {
            break;
        }
        bytes += len as u64;
        hash.update(&buffer[..len]);
    }
    assert!(child.wait().expect("curl ends").success());
    assert_eq!((bytes, hex(hash)), (payload.bytes, payload.sha256.clone()));
}

/// nginx over the kernel's MPTCP, with nothing of the machine's own configuration.
pub(crate) struct Nginx {
    _child: ChildGuard,
}

impl Nginx {
    /// Starts it on the folder of the lab and waits until it listens.
    pub(crate) fn start(lab: &Lab) -> Self {
        let folder = lab.folder().to_str().expect("the folder's name is UTF-8");
        let config = lab.folder().join("nginx.conf");
        fs::write(&config, nginx_conf(folder)).expect("a file is made");
        let mut command = lab.linux().command("mptcpize");
        command.args(["run", "nginx", "-p", folder, "-e", "error.log", "-c"]).arg(&config);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = lab.linux().child(command).expect("nginx starts");
        wait_for_pid(&lab.folder().join("nginx.pid"));
        Self { _child: child }
    }
}

fn nginx_conf(folder: &str) -> String {
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temp: String = temp.map(|what| format!("{what}_temp_path {folder}/{what};\n")).concat();
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/nginx.pid;\n\
         events {{}}\nhttp {{\naccess_log off;\n{temp}\
         server {{ listen {PORT}; root {folder}; }}\n}}\n"
    )
}

/// nginx writes it once it listens.
fn wait_for_pid(file: &PathBuf) {
    let begun = Instant::now();
    while fs::read_to_string(file).unwrap_or_default().trim().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nginx does not start");
        thread::sleep(Duration::from_millis(10));
    }
}

/// `manypath get` fetches the payload from [`Nginx`] over both links, as a user would have it:
/// with addresses that mean nothing outside. The hash is compared; gives the report.
pub(crate) fn get(lab: &Lab, payload: &Payload, capture: Option<&Path>) -> Value {
    let mut command = lab.ours().command(env!("CARGO_BIN_EXE_manypath"));
    command.args(["--json", "get", "--path", LINKS[0], "--path", LINKS[1]]);
    if let Some(file) = capture {
        command.arg("--pcap").arg(file);
    }
    command.arg(format!("http://{}:{PORT}/{}", lab.linux_addr(), Payload::NAME));
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["bytes"], payload.bytes);
    assert_eq!(report["sha256"], payload.sha256);
    report
}
