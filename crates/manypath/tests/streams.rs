//! Streams carry bytes as any other does.

mod common;

use bytes::Bytes;
use common::{addr, builders, hash, hosts, noise, second_path, server, within};
use manypath::device::Offload;
use manypath::{Endpoint, OwnedReadHalf, Path, Scheduler};
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MIB: usize = 1 << 20;

/// Knows nothing of this crate.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<u64> {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let n = tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await?;
    Ok(n)
}

/// Reads to the end and gives the hash of what came.
async fn drain(mut read: OwnedReadHalf) -> (usize, [u8; 32]) {
    let mut all = Vec::new();
    let n = read.read_to_end(&mut all).await.expect("reads to the end");
    (n, hash(&all))
}

#[tokio::test]
async fn a_program_for_any_stream_works_unchanged() {
    within(async {
        let (mut near, far) = hosts(2).pair().await;
        let server = tokio::spawn(echo(far));
        for message in ["multi", "path", "tcp"] {
            near.write_all(message.as_bytes()).await.expect("writes");
            let mut answer = vec![0; message.len()];
            near.read_exact(&mut answer).await.expect("reads");
            assert_eq!(answer, message.as_bytes());
        }
        near.shutdown().await.expect("shuts down");
        let mut rest = Vec::new();
        assert_eq!(near.read_to_end(&mut rest).await.expect("reads"), 0);
        assert_eq!(server.await.expect("no panic").expect("echoes"), 12);
    })
    .await;
}

/// Each task that writes has room for such a future as long as it lives.
#[tokio::test]
async fn a_write_that_waits_keeps_its_bytes_once() {
    within(async {
        let (mut near, _far) = hosts(1).pair().await;
        let most = size_of::<(&Bytes, Bytes, bool)>();
        assert!(size_of_val(&near.write_owned(Bytes::new())) <= most);
        assert!(size_of_val(&near.write_more(Bytes::new())) <= most);
    })
    .await;
}

#[tokio::test]
async fn both_ends_know_both_addresses() {
    within(async {
        let (near, far) = hosts(1).pair().await;
        assert_eq!(near.peer_addr(), server());
        assert_eq!(near.local_addr().ip(), addr(0, 1));
        assert_eq!((far.local_addr(), far.peer_addr()), (near.peer_addr(), near.local_addr()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_each_way_at_once_arrive_intact() {
    within(async {
        let (near, far) = hosts(2).pair().await;
        let (there, back) = (noise(1, 16 * MIB), noise(2, 16 * MIB));
        let sums = (hash(&there), hash(&back));
        let (near_read, mut near_write) = near.into_split();
        let (far_read, mut far_write) = far.into_split();
        let send_there = tokio::spawn(async move { near_write.write_all(&there).await });
        let send_back = tokio::spawn(async move { far_write.write_all(&back).await });
        let (got_back, got_there) = tokio::join!(drain(near_read), drain(far_read));
        send_there.await.expect("no panic").expect("writes");
        send_back.await.expect("no panic").expect("writes");
        assert_eq!(got_there, (16 * MIB, sums.0));
        assert_eq!(got_back, (16 * MIB, sums.1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_paths_carry_a_transfer() {
    within(async {
        let (a, b) = builders(2);
        let a = a.scheduler(Scheduler::RoundRobin).build().expect("starts");
        let hosts = common::Hosts { a, b: b.build().expect("starts") };
        let mut events = hosts.a.events().expect("runs");
        let (mut near, mut far) = hosts.pair().await;
        second_path(&mut events).await;
        let data = noise(3, 4 * MIB);
        let expected = hash(&data);
        let reader = tokio::spawn(async move {
            let mut got = vec![0; 4 * MIB];
            far.read_exact(&mut got).await.expect("reads");
            (far, hash(&got))
        });
        near.write_all(&data).await.expect("writes");
        let (_far, got) = reader.await.expect("no panic");
        assert_eq!(got, expected);
        let info = near.info().expect("runs");
        assert_eq!(info.protocol, "multipath");
        for path in ["0", "1"] {
            let used = info.subflows.iter().any(|s| s.path == path && s.bytes_sent > 0);
            assert!(used, "path {path}: {info:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_half_closed_the_other_still_works() {
    within(async {
        let (mut near, mut far) = hosts(2).pair().await;
        near.write_all(b"question").await.expect("writes");
        near.shutdown().await.expect("shuts down");
        let mut question = String::new();
        far.read_to_string(&mut question).await.expect("reads to the end");
        assert_eq!(question, "question");
        assert_eq!(
            near.write(b"more").await.expect_err("closed").kind(),
            std::io::ErrorKind::BrokenPipe
        );
        far.write_all(b"answer").await.expect("writes");
        drop(far);
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.expect("reads to the end");
        assert_eq!(answer, "answer");
    })
    .await;
}

#[tokio::test]
async fn owned_bytes_pass_without_a_copy_at_the_edges() {
    within(async {
        let (mut near, mut far) = hosts(1).pair().await;
        let data = Bytes::from(noise(4, 3 * MIB));
        let (expected, len) = (hash(&data), data.len());
        let writer = tokio::spawn(async move {
            near.write_owned(data).await.expect("writes");
            near.close().await.expect("closes in good order");
        });
        let mut got = Vec::with_capacity(len);
        while let Some(chunk) = far.read_chunk().await.expect("reads") {
            assert!(!chunk.is_empty());
            got.extend_from_slice(&chunk);
        }
        assert_eq!((got.len(), hash(&got)), (len, expected));
        assert_eq!(far.read_chunk().await.expect("still the end"), None);
        drop(far);
        writer.await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn small_and_vectored_writes_stay_in_order() {
    within(async {
        let (mut near, mut far) = hosts(2).pair().await;
        let data = noise(5, 100_000);
        for part in data.chunks(777) {
            let (head, tail) = part.split_at(part.len() / 3);
            let n = near.write_vectored(&[IoSlice::new(head), IoSlice::new(tail)]).await;
            assert_eq!(n.expect("writes"), part.len(), "the send buffer has room for all");
        }
        drop(near);
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.expect("reads to the end");
        assert_eq!(hash(&got), hash(&data));
    })
    .await;
}

/// A reader that comes when the sender is stuck loses no wake, and neither does the sender.
#[tokio::test]
async fn a_full_send_buffer_waits_for_the_reader() {
    within(async {
        let (mut near, far) = hosts(1).pair().await;
        let data = noise(6, 40 * MIB);
        let mut sending = std::pin::pin!(tokio::task::unconstrained(near.write_all(&data)));
        let stuck = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_pending())).await;
        assert!(stuck, "both buffers together hold less than 40 MiB");
        let mut far = far.into_split().0;
        let mut got = vec![0; data.len()];
        let (sent, read) = tokio::join!(sending, far.read_exact(&mut got));
        sent.expect("writes");
        read.expect("reads");
        assert_eq!(hash(&got), hash(&data));
    })
    .await;
}

#[tokio::test]
async fn devices_without_offload_and_shared_by_paths_work_too() {
    within(async {
        let (near, far) = manypath::device::memory::pair(1400, Offload::NONE).expect("works");
        let paths = |host| [0, 1].map(|n| Path::new(n.to_string(), addr(n, host)));
        let a = Endpoint::builder().paths(near, paths(1)).build().expect("starts");
        let b = Endpoint::builder().paths(far, paths(2)).build().expect("starts");
        let (mut near, mut far) = common::Hosts { a, b }.pair().await;
        let data = noise(7, MIB);
        let sending = tokio::spawn(async move {
            near.write_all(&data).await.expect("writes");
            hash(&data)
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.expect("reads to the end");
        assert_eq!(hash(&got), sending.await.expect("no panic"));
    })
    .await;
}
