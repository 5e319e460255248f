//! The programs at both ends, and the file between them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use manypath_lab::{ChildGuard, Pattern};
use nix::sys::signal::Signal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::lab::{ADDRESSES, LINKS, Lab};

pub(crate) const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(10);
const BLOCK: usize = 64 << 10;
/// The programs on Python's asyncio.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/peer.py");

/// A file to be downloaded.
pub(crate) struct Payload {
    bytes: u64,
    sha256: String,
}

impl Payload {
    pub(crate) const NAME: &str = "payload";

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

    /// Hexadecimal.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
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
    /// Starts it on the folder of the lab, with so many shards, and waits until it listens.
    pub(crate) fn start(lab: &Lab, shards: u32, capture: Option<&Path>) -> Self {
        let addresses = ADDRESSES.iter().zip(LINKS).map(|(addr, link)| format!("{addr}@{link}"));
        let mut options = vec!["--no-masquerade".to_owned(), format!("--shards={shards}")];
        options.extend(addresses.flat_map(|address| ["--address".to_owned(), address]));
        if let Some(file) = capture {
            let file = file.to_str().expect("the folder's name is UTF-8");
            options.extend(["--pcap".to_owned(), file.to_owned()]);
        }
        Self::start_with(lab, &options)
    }

    /// As [`Serve::start`], with these options.
    pub(crate) fn start_with(lab: &Lab, options: &[impl AsRef<OsStr>]) -> Self {
        let mut command = lab.ours().command(env!("CARGO_BIN_EXE_manypath"));
        command.args(["--json", "serve", "--port", &PORT.to_string()]);
        command.args(options).arg(lab.folder());
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

/// Where a program that knows nothing of MPTCP gets its sockets from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// `mptcpize` makes them MPTCP's.
    Mptcp,
    /// The kernel's TCP.
    Plain,
}

impl Sockets {
    pub(crate) const BOTH: [Self; 2] = [Self::Mptcp, Self::Plain];

    /// A command at Linux's side.
    pub(crate) fn command(self, lab: &Lab, program: &str) -> Command {
        let mut command = match self {
            Self::Mptcp => lab.linux().command("mptcpize"),
            Self::Plain => return lab.linux().command(program),
        };
        command.args(["run", program]);
        command
    }
}

/// curl gets the payload from [`Serve`]; the hash is compared.
pub(crate) fn curl(lab: &Lab, sockets: Sockets, payload: &Payload) {
    curl_from(lab, sockets, payload, ADDRESSES[0]);
}

/// As [`curl`], from this address of the server.
pub(crate) fn curl_from(lab: &Lab, sockets: Sockets, payload: &Payload, from: &str) {
    let mut command = sockets.command(lab, "curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "60"]);
    command.arg(format!("http://{from}:{PORT}/{}", Payload::NAME));
    download(lab, command, payload);
}

/// A client on Python's asyncio gets the payload from [`Serve`]; the hash is compared.
pub(crate) fn python(lab: &Lab, sockets: Sockets, payload: &Payload) {
    let mut command = sockets.command(lab, "python3");
    command.args([PEER, "fetch", ADDRESSES[0], &PORT.to_string(), Payload::NAME]);
    download(lab, command, payload);
}

/// Runs a command that writes the payload to its standard output.
fn download(lab: &Lab, mut command: Command, payload: &Payload) {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = lab.linux().child(command).expect("the program starts");
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
    assert!(child.wait().expect("the program ends").success());
    assert_eq!((bytes, hex(hash)), (payload.bytes, payload.sha256.clone()));
}

/// A web server at Linux's side, with the folder of the lab.
pub(crate) struct WebServer {
    _child: ChildGuard,
}

impl WebServer {
    /// nginx, with nothing of the machine's own configuration.
    pub(crate) fn nginx(lab: &Lab, sockets: Sockets) -> Self {
        let folder = lab.folder().to_str().expect("the folder's name is UTF-8");
        let config = lab.folder().join("nginx.conf");
        fs::write(&config, nginx_conf(folder)).expect("a file is made");
        let mut command = sockets.command(lab, "nginx");
        command.args(["-p", folder, "-e", "error.log", "-c"]).arg(&config);
        Self::start(lab, command)
    }

    /// The server on Python's asyncio.
    pub(crate) fn python(lab: &Lab, sockets: Sockets) -> Self {
        let mut command = sockets.command(lab, "python3");
        command.args([PEER, "serve"]).arg(lab.folder()).arg(PORT.to_string());
        Self::start(lab, command)
    }

    /// Caddy, which is written in Go: its sockets do not go through the C library, so nothing
    /// makes them MPTCP's.
    pub(crate) fn caddy(lab: &Lab) -> Self {
        let mut command = Sockets::Plain.command(lab, "caddy");
        command.env("HOME", lab.folder()).env("XDG_CONFIG_HOME", lab.folder());
        command.args(["file-server", "--listen", &format!(":{PORT}"), "--root"]);
        command.arg(lab.folder());
        Self::start(lab, command)
    }

    /// Starts it and waits until it listens.
    fn start(lab: &Lab, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = lab.linux().child(command).expect("the server starts");
        wait_for_listener(lab, PORT);
        Self { _child: child }
    }
}

/// Waits until somebody listens on a port at Linux's side.
pub(crate) fn wait_for_listener(lab: &Lab, port: u16) {
    let begun = Instant::now();
    while !lab.linux().run(|| listens(port)).expect("the namespace is there") {
        assert!(begun.elapsed() < PATIENCE, "the server does not start");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether somebody listens on a port, by the kernel's tables of this thread's namespace: who
/// knocks instead leaves traces in the counters.
fn listens(port: u16) -> bool {
    let tables = ["tcp", "tcp6"].map(|table| format!("/proc/thread-self/net/{table}"));
    let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let local = format!(":{port:04X}");
    let listening = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // Local address, remote address, state: 0A is LISTEN.
        fields.len() > 3 && fields[1].ends_with(&local) && fields[3] == "0A"
    };
    tables.iter().any(|table| table.lines().any(listening))
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

/// `manypath get` fetches the payload from a [`WebServer`] over both links, as a user would have it:
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
