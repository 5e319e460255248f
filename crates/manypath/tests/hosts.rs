//! What a host does beside its streams: many connections, events, paths that come and go, capture.

mod common;

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use common::{PORT, addr, builders, cable, hash, hosts, noise, second_path, server, within};
use manypath::device::{Device, Direction, MemoryPort, Offload, PcapngReader};
use manypath::{ConnectError, Endpoint, Event, IfaceId, Notice, Path};
use manypath_wire::Datagram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_at_once() {
    within(async {
        let hosts = hosts(2);
        let listener = hosts.listen();
        let serving = tokio::spawn(async move {
            for _ in 0..1000 {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                tokio::spawn(async move {
                    let mut n = [0; 4];
                    stream.read_exact(&mut n).await.expect("reads");
                    stream.write_all(&n).await.expect("writes");
                    stream.close().await.expect("closes in good order");
                });
            }
        });
        let clients = (0..1000u32).map(|n| {
            let a = hosts.a.clone();
            tokio::spawn(async move {
                let mut stream = a.connect(server()).await.expect("connects");
                stream.write_all(&n.to_be_bytes()).await.expect("writes");
                let mut back = [0; 4];
                stream.read_exact(&mut back).await.expect("reads");
                assert_eq!(back, n.to_be_bytes(), "the answer of another connection");
                stream.close().await.expect("closes in good order");
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("no panic");
        }
        serving.await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn several_tasks_accept_from_one_listener() {
    within(async {
        let hosts = hosts(1);
        let listener = Arc::new(hosts.listen());
        let accepting = (0..4).map(|_| {
            let listener = Arc::clone(&listener);
            tokio::spawn(async move { listener.accept().await.expect("accepts").1 })
        });
        let accepting: Vec<_> = accepting.collect();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(hosts.a.connect(server()).await.expect("connects"));
        }
        let mut peers = Vec::new();
        for task in accepting {
            peers.push(task.await.expect("no panic"));
        }
        peers.sort();
        let mut locals: Vec<_> = clients.iter().map(|stream| stream.local_addr()).collect();
        locals.sort();
        assert_eq!(peers, locals);
    })
    .await;
}

#[tokio::test]
async fn events_tell_a_connections_life_in_order() {
    within(async {
        let hosts = hosts(2);
        let mut events = hosts.a.events().expect("runs");
        let (near, far) = hosts.pair().await;
        let id = near.conn_id();
        second_path(&mut events).await;
        drop(far);
        near.close().await.expect("closes in good order");
        loop {
            match events.next().await.expect("runs") {
                Notice::Event(Event::Closed(conn, error)) => {
                    assert_eq!((conn, error), (id, None));
                    break;
                }
                Notice::Event(event) => assert!(!matches!(event, Event::Readable(_)), "{event:?}"),
                Notice::Lagged(n) => panic!("missed {n} events"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn events_end_with_the_endpoint() {
    within(async {
        let hosts = hosts(1);
        let mut events = hosts.a.events().expect("runs");
        drop(hosts);
        assert_eq!(events.next().await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_survives_the_loss_of_its_first_path() {
    within(async {
        let hosts = hosts(2);
        let mut events = hosts.a.events().expect("runs");
        let (mut near, mut far) = hosts.pair().await;
        second_path(&mut events).await;
        let data = noise(1, 8 << 20);
        let expected = hash(&data);
        let reading = tokio::spawn(async move {
            let mut got = vec![0; 8 << 20];
            far.read_exact(&mut got).await.expect("reads");
            (far, hash(&got))
        });
        let (before, after) = data.split_at(data.len() / 2);
        near.write_all(before).await.expect("writes");
        hosts.a.remove_path(IfaceId(0)).expect("runs");
        near.write_all(after).await.expect("writes");
        let (_far, got) = reading.await.expect("no panic");
        assert_eq!(got, expected);
        let info = near.info().expect("runs");
        assert!(
            !info.subflows.is_empty() && info.subflows.iter().all(|s| s.path == "1"),
            "{info:?}"
        );
        assert_eq!(near.local_addr().ip(), addr(0, 1), "as a program knows it");
    })
    .await;
}

#[tokio::test]
async fn a_path_that_comes_later_is_used() {
    within(async {
        let hosts = hosts(1);
        let mut events = hosts.a.events().expect("runs");
        let (near, _far) = hosts.pair().await;
        let (a, b) = cable();
        hosts.b.add_paths(b, [Path::new("late", addr(1, 2)).announced()]).expect("runs");
        let ids = hosts.a.add_paths(a, [Path::new("late", addr(1, 1))]).expect("runs");
        assert_eq!(hosts.a.path_name(ids[0]).expect("runs"), "late");
        second_path(&mut events).await;
        let info = near.info().expect("runs");
        assert!(info.subflows.iter().any(|s| s.path == "late" && s.established), "{info:?}");
    })
    .await;
}

/// What a capture was written to.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_packet_is_captured_under_the_name_of_its_path() {
    within(async {
        let (a, b) = builders(2);
        let tape = Tape::default();
        let a = a.capture(io::BufWriter::new(tape.clone())).build().expect("starts");
        let hosts = common::Hosts { a, b: b.build().expect("starts") };
        let mut events = hosts.a.events().expect("runs");
        let (mut near, mut far) = hosts.pair().await;
        second_path(&mut events).await;
        near.write_all(b"captured words").await.expect("writes");
        far.read_exact(&mut [0; 14]).await.expect("reads");
        hosts.a.flush_capture().expect("a tape is never full");
        let bytes = tape.0.lock().expect("no panic").clone();
        let mut reader = PcapngReader::new(&bytes[..]).expect("a capture file");
        let mut seen = Vec::new();
        let mut words = false;
        while let Some(packet) = reader.next_packet().expect("undamaged") {
            words |= packet.data.ends_with(b"captured words");
            let way = packet.direction == Some(Direction::Outbound);
            seen.push((packet.interface_name.to_string(), way));
        }
        assert!(words);
        for path in ["0", "1"] {
            assert!(seen.contains(&(path.to_owned(), true)), "{seen:?}");
            assert!(seen.contains(&(path.to_owned(), false)), "{seen:?}");
        }
    })
    .await;
}

/// A device that fails when something comes.
struct Failing {
    port: MemoryPort,
    panic: bool,
}

impl AsFd for Failing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}

impl Device for Failing {
    fn mtu(&self) -> u16 {
        self.port.mtu()
    }
    fn offload(&self) -> Offload {
        self.port.offload()
    }
    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        self.port.send(datagram)
    }
    fn recv(&mut self, _: &mut Vec<Datagram>, _: usize) -> io::Result<usize> {
        assert!(!self.panic, "on purpose: a bug in a device");
        Err(ErrorKind::NotConnected.into())
    }
}

fn failing_host(panic: bool) -> (Endpoint, Endpoint) {
    let (port, far) = cable();
    let path = |host| Path::new("0", addr(0, host));
    let a = Endpoint::builder().path(Failing { port, panic }, path(1)).build().expect("starts");
    (a, Endpoint::builder().path(far, path(2)).build().expect("starts"))
}

#[tokio::test]
async fn a_device_that_fails_takes_its_paths_with_it() {
    within(async {
        let (a, _b) = failing_host(false);
        let error = a.connect(server()).await.expect_err("the only path is gone");
        assert!(matches!(error, ConnectError::Failed(_)), "{error:?}");
        let error = a.connect(server()).await.expect_err("and remains gone");
        assert!(matches!(error, ConnectError::NotBegun(_)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn after_a_panic_everything_fails_and_nothing_hangs() {
    within(async {
        let (a, _b) = failing_host(true);
        let listener = a.listen(std::net::SocketAddr::new(addr(0, 1), PORT)).expect("free");
        let accepting = tokio::spawn(async move { listener.accept().await.map(|_| ()) });
        let error = a.connect(server()).await.expect_err("the driver panicked");
        assert!(matches!(error, ConnectError::Stopped(_)), "{error:?}");
        accepting.await.expect("no panic").expect_err("stopped");
        a.info().expect_err("stopped");
    })
    .await;
}
