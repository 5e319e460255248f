//! What several of the crate's tests need: packets and network namespaces.
#![allow(dead_code, reason = "every test file uses another part of it")]

pub(crate) mod world;

use std::fs::File;
use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use manypath_base::{Mss, SeqNum};
use manypath_wire::{
    Checksum, Datagram, Ecn, Flags, IpHeader, Options, Packet, Segment, Transport,
};
use nix::sched::{CloneFlags, setns};

/// A data segment from port 1000 to port 2000 whose payload is 0, 1, 2, ...
pub(crate) fn data_packet(src: &str, dst: &str, len: usize) -> Packet {
    let payload = (0..=u8::MAX).cycle().take(len).collect::<Vec<_>>();
    let ip = IpHeader {
        src: address(src),
        dst: address(dst),
        ecn: Ecn::NotEct,
        dscp: 0,
        hop_limit: 64,
        flow_label: 0,
    };
    let segment = Segment {
        src_port: 1000,
        dst_port: 2000,
        seq: SeqNum(1),
        ack: SeqNum(1),
        flags: Flags::ACK | Flags::PSH,
        window: 1000,
        urgent: 0,
        options: Options::default(),
        payload: Bytes::from(payload).into(),
    };
    Packet { ip, transport: segment.into() }
}

/// A super-segment of `len` bytes, to be cut at `mss`, with a checksum that is left to the device.
pub(crate) fn super_segment(src: &str, dst: &str, len: usize, mss: u16) -> Datagram {
    data_packet(src, dst, len).emit(Some(Mss(mss)), Checksum::Offloaded)
}

/// The TCP segment in a datagram, if its checksums hold.
pub(crate) fn tcp(datagram: &Datagram) -> Option<(IpHeader, Segment)> {
    let packet = Packet::parse(datagram).ok()?;
    match packet.transport {
        Transport::Tcp(segment) => Some((packet.ip, *segment)),
        Transport::Icmp(_) => None,
    }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address of the test")
}

/// A network namespace with `lo` up, removed on drop.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// `None`, with a word on stderr, where this process may not make one.
    pub(crate) fn new(test: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mpdev-{}-{number}", std::process::id());
        if !std::path::Path::new("/dev/net/tun").exists() {
            skipped(test, "no /dev/net/tun");
            return None;
        }
        match Command::new("ip").args(["netns", "add", &name]).output() {
            Ok(output) if output.status.success() => {}
            _ => {
                skipped(test, "cannot make a network namespace; it needs root");
                return None;
            }
        }
        let namespace = Self { name };
        namespace.run(|| sh("ip link set lo up"));
        Some(namespace)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `body` in a thread inside the namespace and passes its panic on.
    pub(crate) fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.name);
        let enter = move || {
            let file = File::open(&path).expect("the namespace was made");
            setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
            body()
        };
        std::thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}

/// Runs a command line without quotes and returns what it says; it must succeed.
pub(crate) fn sh(line: &str) -> String {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    let output = Command::new(program).args(words).output().expect("the program is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Says that a test was skipped, past the harness, which hides the output of tests that pass.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("skipped: {test}: {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).ok();
}
