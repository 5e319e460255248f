//! What a program may set on a stream, and bytes that it sends before the peer has answered.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{hosts, server, within};
use manypath::{ConnectError, Keepalive, ListenOptions, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What comes up to the end.
async fn rest(stream: &mut Stream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("reads to the end");
    text
}

/// The first connection asks for a cookie, the second uses it; either way the data comes first.
#[tokio::test]
async fn early_data_is_the_beginning_of_the_stream() {
    within(async {
        let hosts = hosts(2);
        let options = ListenOptions { fast_open: 4, ..ListenOptions::default() };
        let listener = hosts.b.listen_with(server(), options).expect("the port is free");
        for _ in 0..3 {
            let (near, far) =
                tokio::join!(hosts.a.connect_early(server(), "early "), listener.accept());
            let (mut near, (mut far, _)) = (near.expect("connects"), far.expect("accepts"));
            far.write_all(b"answer").await.expect("writes");
            far.shutdown().await.expect("shuts down");
            near.write_all(b"and later").await.expect("writes");
            near.shutdown().await.expect("shuts down");
            assert_eq!(rest(&mut far).await, "early and later");
            assert_eq!(rest(&mut near).await, "answer");
            assert_eq!(near.info().expect("it is there").protocol, "multipath");
        }
    })
    .await;
}

#[tokio::test]
async fn settings_change_on_a_stream_and_on_its_halves() {
    within(async {
        let (mut near, mut far) = hosts(2).pair().await;
        near.set_nodelay(true).expect("it runs");
        near.set_cork(true).expect("it runs");
        near.set_keepalive(Some(Keepalive::default())).expect("it runs");
        near.set_user_timeout(Duration::from_secs(30)).expect("it runs");
        near.write_more(Bytes::from_static(b"one ")).await.expect("writes");
        near.set_cork(false).expect("it runs");
        let (read, mut write) = near.into_split();
        read.set_keepalive(None).expect("it runs");
        write.write_more(Bytes::from_static(b"two ")).await.expect("writes");
        write.set_nodelay(false).expect("it runs");
        write.write_owned(Bytes::from_static(b"three")).await.expect("writes");
        write.shutdown().await.expect("shuts down");
        assert_eq!(rest(&mut far).await, "one two three");
    })
    .await;
}

/// RFC 9293 §3.9.1.1, MUST-46, as a program meets it.
#[tokio::test]
async fn more_than_one_host_cannot_be_connected_to() {
    let hosts = hosts(1);
    let many = std::net::SocketAddr::from(([224, 0, 0, 1], 80));
    let error = hosts.a.connect(many).await.expect_err("it is multicast");
    assert_eq!(error, ConnectError::NotBegun(manypath_mptcp::ConnectError::NotUnicast(many)));
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidInput);
}
