//! Endpoints of several shards, over cables whose packets come to any queue.

mod common;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use common::{PORT, addr, hash, noise, server, within};
use manypath::device::{Device, MemoryPort, Offload, memory};
use manypath::{ConnectOptions, Endpoint, EndpointBuilder, IfaceId, Notice, Path, Stream};
use manypath_base::Rng;
use manypath_wire::Datagram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Bytes that a client sends, and that it gets.
const SIZES: [usize; 2] = [1 << 20, 300_000];

/// A queue of a device that puts each packet into any queue of the other end.
struct Queue {
    own: MemoryPort,
    wire: Arc<Mutex<(Vec<MemoryPort>, Rng)>>,
    further: Vec<Queue>,
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }
}

impl Device for Queue {
    fn mtu(&self) -> u16 {
        self.own.mtu()
    }
    fn offload(&self) -> Offload {
        self.own.offload()
    }
    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        let (ports, rng) = &mut *self.wire.lock().expect("no panic");
        let any = usize::try_from(rng.below(ports.len() as u64)).expect("few");
        ports[any].send(datagram)
    }
    fn recv(&mut self, batch: &mut Vec<Datagram>, limit: usize) -> io::Result<usize> {
        self.own.recv(batch, limit)
    }
    fn take_queues(&mut self) -> Vec<Box<dyn Device>> {
        self.further.drain(..).map(|queue| Box::new(queue) as _).collect()
    }
}

/// The two ends of a cable, with so many queues.
fn cable(seed: u64, counts: [u32; 2]) -> [Queue; 2] {
    let pairs = counts.map(|count| {
        let pair = |_| memory::pair(1500, Offload::FULL).expect("descriptors are left");
        (0..count).map(pair).unzip::<_, _, Vec<_>, Vec<_>>()
    });
    let [(near, to_near), (far, to_far)] = pairs;
    let end = |own: Vec<MemoryPort>, others, seed| {
        let wire = Arc::new(Mutex::new((others, Rng::seeded(seed))));
        let queue = |own| Queue { own, wire: Arc::clone(&wire), further: Vec::new() };
        let mut queues = own.into_iter().map(queue);
        let first = queues.next().expect("one at least");
        let further = queues.collect();
        Queue { further, ..first }
    };
    [end(near, to_far, seed), end(far, to_near, seed + 1)]
}

/// Two builders, joined by two cables. Joins go to a port of their own, so that they are not at home.
fn builders(counts: [u32; 2]) -> [EndpointBuilder; 2] {
    let [a, b] = counts.map(|count| Endpoint::builder().shards(count));
    let [a0, b0] = cable(1, counts);
    let [a1, b1] = cable(5, counts);
    let path = |n: u8, host| Path::new(n.to_string(), addr(n, host));
    let a = a.path(a0, path(0, 1)).path(a1, path(1, 1));
    [a, b.path(b0, path(0, 2)).path(b1, path(1, 2).announced().port(81))]
}

fn hosts(counts: [u32; 2]) -> [Endpoint; 2] {
    builders(counts).map(|builder| builder.build().expect("starts"))
}

async fn send(stream: &mut Stream, seed: u64, len: usize) {
    stream.write_all(&noise(seed, len)).await.expect("writes");
}

async fn receive(stream: &mut Stream, seed: u64, len: usize) {
    let mut got = vec![0; len];
    stream.read_exact(&mut got).await.expect("reads");
    assert_eq!(hash(&got), hash(&noise(seed, len)));
}

/// Waits for all, and closes.
async fn close(stream: Stream, all: &Barrier) -> usize {
    all.wait().await;
    let info = stream.info().expect("runs");
    all.wait().await;
    stream.close().await.expect("closes in good order");
    info.subflows.len()
}

/// A transfer each way on each of `n` connections at once.
async fn transfers([a, b]: [Endpoint; 2], n: usize) {
    let listener = b.listen(SocketAddr::new(addr(0, 2), PORT)).expect("the port is free");
    let all = Arc::new(Barrier::new(2 * n + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..n {
        let (a, all) = (a.clone(), Arc::clone(&all));
        tasks.spawn(async move {
            let mut stream = a.connect(server()).await.expect("connects");
            let seed = stream.local_addr().port().into();
            send(&mut stream, seed, SIZES[0]).await;
            receive(&mut stream, seed + 1, SIZES[1]).await;
            close(stream, &all).await
        });
    }
    for _ in 0..n {
        let (mut stream, peer) = listener.accept().await.expect("accepts");
        let (seed, all) = (peer.port().into(), Arc::clone(&all));
        tasks.spawn(async move {
            receive(&mut stream, seed, SIZES[0]).await;
            send(&mut stream, seed + 1, SIZES[1]).await;
            close(stream, &all).await
        });
    }
    all.wait().await;
    for host in [&a, &b] {
        let dropped = host.info().expect("runs").dropped;
        assert!(dropped.is_empty(), "{dropped:?}");
    }
    all.wait().await;
    let subflows: usize = tasks.join_all().await.into_iter().sum();
    assert!(subflows > 3 * n, "joins failed: {subflows}");
    a.at_rest().await.expect("runs");
    b.at_rest().await.expect("runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_arrives_whichever_queue_its_packet_comes_to() {
    within(async {
        for counts in [[2, 2], [3, 1], [1, 3], [8, 2]] {
            transfers(hosts(counts), 12).await;
        }
    })
    .await;
}

/// RFC 8684 §3.6 and RFC 9293 §3.6.1: to the end of the last connection packets are handed on.
#[tokio::test]
async fn the_shards_end_together_with_the_last_connection() {
    within(async {
        let [a, b] = hosts([3, 3]);
        let listener = b.listen(server()).expect("the port is free");
        let mut events = a.events().expect("runs");
        let (near, far) = tokio::join!(a.connect(server()), listener.accept());
        let (mut near, mut far) = (near.expect("connects"), far.expect("accepts").0);
        drop((a, b, listener));
        near.write_all(&noise(1, 100_000)).await.expect("writes");
        drop(near);
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.expect("reads");
        assert_eq!(hash(&got), hash(&noise(1, 100_000)));
        far.abort();
        loop {
            match events.next().await {
                Some(Notice::Event(_)) => {}
                Some(Notice::Lagged(n)) => panic!("missed {n} events"),
                None => break,
            }
        }
    })
    .await;
}

#[tokio::test]
async fn connections_begin_in_each_shard_in_turn() {
    within(async {
        let [a, b] = hosts([3, 2]);
        let listener = b.listen(server()).expect("the port is free");
        let mut streams = Vec::new();
        for _ in 0..6 {
            let (near, far) = tokio::join!(a.connect(server()), listener.accept());
            streams.push((near.expect("connects"), far.expect("accepts").0));
        }
        let shards: Vec<_> = streams.iter().map(|(near, _)| near.shard()).collect();
        assert_eq!(shards, [0, 1, 2, 0, 1, 2]);
        let info = [a.info().expect("runs"), b.info().expect("runs")];
        assert_eq!(info.map(|info| info.connections), [6, 6]);
        for (near, far) in &streams {
            let of = |host: &Endpoint, stream: &Stream| {
                host.connection_info(stream.conn_id()).expect("runs").expect("it is there")
            };
            assert_eq!(of(&a, near).local, of(&b, far).remote);
        }
        let options = ConnectOptions { local_port: Some(50_001), ..ConnectOptions::default() };
        let (near, _far) = tokio::join!(a.connect_with(server(), options), listener.accept());
        assert_eq!(near.expect("connects").local_addr().port(), 50_001);
    })
    .await;
}

#[tokio::test]
async fn paths_come_and_go_in_all_shards() {
    within(async {
        let [a, b] = hosts([2, 2]);
        let [near, far] = cable(9, [2, 2]);
        let added = a.add_paths(near, [Path::new("late", addr(2, 1))]).expect("two queues");
        assert_eq!(added, [IfaceId(2)]);
        assert_eq!(b.add_paths(far, [Path::new("late", addr(2, 2))]).expect("two queues"), added);
        let to = SocketAddr::new(addr(2, 2), PORT);
        let listener = b.listen(to).expect("the port is free");
        let from =
            |host| ConnectOptions { local: Some(addr(2, host)), ..ConnectOptions::default() };
        for _ in 0..4 {
            let (near, far) = tokio::join!(a.connect_with(to, from(1)), listener.accept());
            assert_eq!(near.expect("connects").peer_addr(), far.expect("accepts").0.local_addr());
        }
        a.remove_path(added[0]).expect("runs");
        for _ in 0..2 {
            a.connect_with(to, from(1)).await.expect_err("the path is gone from every shard");
        }
    })
    .await;
}

#[tokio::test]
async fn a_device_needs_a_queue_for_each_shard() {
    let [near, _far] = cable(1, [2, 1]);
    let builder = Endpoint::builder().shards(3).path(near, Path::new("wifi", addr(0, 1)));
    let error = builder.build().expect_err("one is missing");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("`wifi`") && text.contains("3 shards"), "{text}");
    let none = Endpoint::builder().shards(0).build().expect_err("no shard");
    assert_eq!(none.kind(), ErrorKind::InvalidInput);
}

/// A device that breaks.
struct Broken(MemoryPort);

impl AsFd for Broken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Device for Broken {
    fn mtu(&self) -> u16 {
        1500
    }
    fn offload(&self) -> Offload {
        Offload::FULL
    }
    fn send(&mut self, _: &Datagram) -> io::Result<()> {
        panic!("a bug of a device")
    }
    fn recv(&mut self, _: &mut Vec<Datagram>, _: usize) -> io::Result<usize> {
        Ok(0)
    }
    fn take_queues(&mut self) -> Vec<Box<dyn Device>> {
        let (port, _) = memory::pair(1500, Offload::FULL).expect("descriptors are left");
        vec![Box::new(Broken(port))]
    }
}

#[tokio::test]
async fn a_shard_that_breaks_stops_all() {
    within(async {
        let (port, _far) = memory::pair(1500, Offload::FULL).expect("descriptors are left");
        let builder = Endpoint::builder().shards(2).path(Broken(port), Path::new("0", addr(0, 1)));
        let endpoint = builder.build().expect("starts");
        let mut events = endpoint.events().expect("runs");
        let connecting = endpoint.clone();
        // Who sends panics: this task, or the driver.
        let outcome = tokio::spawn(async move { connecting.connect(server()).await }).await;
        assert!(!matches!(outcome, Ok(Ok(_))));
        endpoint.info().expect_err("it asks all shards");
        while events.next().await.is_some() {}
        for _ in 0..2 {
            endpoint.connect(server()).await.expect_err("stopped");
        }
    })
    .await;
}

#[test]
fn each_runtime_drives_a_shard() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let [first, second, clients] = [(); 3].map(|()| runtime().expect("descriptors are left"));
    let handles = [first.handle().clone(), second.handle().clone()];
    let [a, b] = builders([2, 2]);
    let b = b.build_tasks(&handles).expect("starts");
    let a = a.build().expect("starts");
    let (end, ended) = tokio::sync::watch::channel(());
    let drivers = [first, second].map(|runtime| {
        let mut ended = ended.clone();
        std::thread::spawn(move || runtime.block_on(async move { ended.changed().await.ok() }))
    });
    clients.block_on(within(transfers([a, b], 8)));
    drop(end);
    for driver in drivers {
        driver.join().expect("no panic");
    }
}
