//! Looking at what has come without taking it (`MSG_PEEK`).

mod common;

use std::io::ErrorKind;

use common::{hosts, noise, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn what_is_peeked_at_is_read_afterwards() {
    within(async {
        let (mut near, mut far) = hosts(1).pair().await;
        near.write_all(b"one request").await.expect("writes");
        let mut buf = [0; 3];
        for _ in 0..2 {
            assert_eq!(far.peek(&mut buf).await.expect("peeks"), 3);
            assert_eq!(&buf, b"one");
        }
        let mut all = [0; 11];
        far.read_exact(&mut all).await.expect("reads");
        assert_eq!(&all, b"one request");
    })
    .await;
}

/// A look goes over the borders of what was written, and over those of what was read in part.
#[tokio::test]
async fn a_look_sees_all_that_has_come() {
    within(async {
        let (mut near, mut far) = hosts(2).pair().await;
        let sent = noise(1, 100_000);
        for piece in sent.chunks(10_000) {
            near.write_all(piece).await.expect("writes");
        }
        let mut first = [0; 5];
        far.read_exact(&mut first).await.expect("reads");
        let mut buf = vec![0; sent.len()];
        let rest = sent.len() - first.len();
        while far.peek(&mut buf).await.expect("peeks") < rest {
            tokio::task::yield_now().await;
        }
        assert!(buf[..rest] == sent[5..], "what was seen is not what was sent");
        near.shutdown().await.expect("shuts down");
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.expect("reads");
        assert!(read == sent[5..], "what was read is not what was sent");
    })
    .await;
}

#[tokio::test]
async fn a_look_waits_for_the_first_byte() {
    within(async {
        let (mut near, mut far) = hosts(1).pair().await;
        let looking = tokio::spawn(async move {
            let mut buf = [0; 8];
            let n = far.peek(&mut buf).await.expect("peeks");
            buf[..n].to_vec()
        });
        tokio::task::yield_now().await;
        near.write_all(b"x").await.expect("writes");
        assert_eq!(looking.await.expect("no panic"), b"x");
    })
    .await;
}

#[tokio::test]
async fn the_end_and_a_failure_are_seen_behind_the_data() {
    within(async {
        let (mut near, mut far) = hosts(1).pair().await;
        let mut buf = [0; 8];
        near.write_all(b"last").await.expect("writes");
        near.shutdown().await.expect("shuts down");
        assert_eq!(far.peek(&mut buf).await.expect("peeks"), 4);
        far.read_exact(&mut buf[..4]).await.expect("reads");
        assert_eq!(far.peek(&mut buf).await.expect("peeks"), 0);
        assert_eq!(far.read(&mut buf).await.expect("reads"), 0);

        let (near, mut far) = hosts(1).pair().await;
        assert_eq!(far.peek(&mut []).await.expect("peeks"), 0);
        near.abort();
        let error = far.peek(&mut buf).await.expect_err("it failed");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    })
    .await;
}
