//! Hosts whose driver is a task of the application's runtime.

mod common;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use common::{Hosts, PORT, addr, builders, cable, hash, noise, second_path, within};
use manypath::device::{Device, MemoryPort, Offload, Receiver};
use manypath::{Endpoint, IfaceId, Path};
use manypath_wire::Datagram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime;
use tokio::task::yield_now;

const MIB: usize = 1 << 20;

/// Two hosts in this runtime.
fn hosts(cables: u8) -> Hosts {
    let (a, b) = builders(cables);
    let b = b.busy_poll(Duration::from_micros(50));
    Hosts { a: a.build_task().expect("starts"), b: b.build_task().expect("starts") }
}

/// Sends both ways at once over two paths, and compares by hash.
async fn both_ways() {
    let hosts = hosts(2);
    let mut events = hosts.a.events().expect("runs");
    let (near, far) = hosts.pair().await;
    second_path(&mut events).await;
    let ends = [(near, 1, 2), (far, 2, 1)].map(|(stream, own, other)| {
        tokio::spawn(async move {
            let (mut read, mut write) = stream.into_split();
            let sending = tokio::spawn(async move {
                write.write_all(&noise(own, 8 * MIB)).await.expect("writes");
                write.shutdown().await.expect("shuts");
            });
            let mut got = Vec::new();
            read.read_to_end(&mut got).await.expect("reads");
            sending.await.expect("no panic");
            assert_eq!(hash(&got), hash(&noise(other, 8 * MIB)));
        })
    });
    for end in ends {
        end.await.expect("no panic");
    }
    hosts.a.at_rest().await.expect("runs");
}

#[tokio::test]
async fn one_thread_carries_both_hosts_and_what_they_send() {
    within(both_ways()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_share_the_hosts() {
    within(both_ways()).await;
}

/// A device that counts how often it is asked, also by its receiving side.
#[derive(Clone)]
struct Counting {
    port: Arc<Mutex<MemoryPort>>,
    fd: Arc<OwnedFd>,
    asked: Arc<AtomicUsize>,
}

impl Counting {
    fn port(&self) -> MutexGuard<'_, MemoryPort> {
        self.port.lock().expect("no panic")
    }
}

impl AsFd for Counting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Receiver for Counting {
    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.port().recv(batch, limit)
    }
}

impl Device for Counting {
    fn mtu(&self) -> u16 {
        self.port().mtu()
    }
    fn offload(&self) -> Offload {
        self.port().offload()
    }
    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        self.port().send(datagram)
    }
    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        Receiver::recv(self, batch, limit)
    }
    fn receiver(&self) -> Option<Box<dyn Receiver>> {
        Some(Box::new(self.clone()))
    }
}

#[tokio::test]
async fn a_busy_host_asks_its_device_though_nothing_wakes_it() {
    within(async {
        let (near, port) = cable();
        let asked = Arc::new(AtomicUsize::new(0));
        let a = Endpoint::builder().path(near, Path::new("0", addr(0, 1))).build();
        let fd = Arc::new(port.as_fd().try_clone_to_owned().expect("descriptors are left"));
        let counting = Counting { port: Arc::new(Mutex::new(port)), fd, asked: Arc::clone(&asked) };
        let b = Endpoint::builder().path(counting, Path::new("0", addr(0, 2)));
        let b = b.busy_poll(Duration::from_secs(60)).build_task().expect("starts");
        let hosts = Hosts { a: a.expect("starts"), b };
        let _pair = hosts.pair().await;
        let before = asked.load(Ordering::Relaxed);
        while asked.load(Ordering::Relaxed) < before + 1_000 {
            yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_deadline_passes_where_nothing_else_happens() {
    within(async {
        let (a, b) = builders(1);
        let a = a.user_timeout(Duration::from_millis(300)).build_task().expect("starts");
        let hosts = Hosts { a, b: b.build_task().expect("starts") };
        let (mut near, _far) = hosts.pair().await;
        hosts.b.remove_path(IfaceId(0)).expect("runs");
        near.write_all(b"to nobody").await.expect("is taken");
        let error = near.close().await.expect_err("nobody acknowledges");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    })
    .await;
}

#[tokio::test]
async fn a_path_that_comes_later_is_read() {
    within(async {
        let (a, b) = builders(1);
        let hosts =
            Hosts { a: a.build_task().expect("starts"), b: b.build_task().expect("starts") };
        let mut events = hosts.a.events().expect("runs");
        let _pair = hosts.pair().await;
        let (near, far) = cable();
        hosts.b.add_paths(far, [Path::new("1", addr(1, 2)).announced()]).expect("is added");
        hosts.a.add_paths(near, [Path::new("1", addr(1, 1))]).expect("is added");
        second_path(&mut events).await;
    })
    .await;
}

#[test]
fn without_a_runtime_there_is_no_task() {
    let error = builders(1).0.build_task().expect_err("nowhere to run");
    assert_eq!(error.kind(), io::ErrorKind::Other);
}

#[test]
fn the_host_ends_with_its_runtime() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let a = runtime.block_on(async { builders(1).0.build_task().expect("starts") });
    assert!(a.listen((addr(0, 1), PORT).into()).is_ok());
    drop(runtime);
    assert!(a.info().is_err(), "stopped");
}
