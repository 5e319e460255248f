//! Connections that end, in good order and otherwise, and connections that never begin.

mod common;

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use common::{PORT, addr, cable, hosts, noise, second_path, server, within};
use manypath::{ConnectError, ConnectionError, Endpoint, Path};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn nobody_listens() {
    within(async {
        let hosts = hosts(2);
        let error = hosts.a.connect(server()).await.expect_err("nobody listens");
        assert_eq!(error, ConnectError::Failed(ConnectionError::Refused));
        drop(hosts.listen());
        let error = hosts.a.connect(server()).await.expect_err("nobody listens any more");
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
    })
    .await;
}

#[tokio::test]
async fn an_address_of_a_family_that_no_path_has_is_refused_at_once() {
    within(async {
        let remote: SocketAddr = "[2001:db8::1]:80".parse().expect("an address");
        let error = hosts(1).a.connect(remote).await.expect_err("no IPv6 here");
        assert!(matches!(error, ConnectError::NotBegun(_)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_address_in_use_cannot_be_listened_on() {
    let hosts = hosts(1);
    let listener = hosts.listen();
    let error = hosts.b.listen(listener.local_addr()).expect_err("taken");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::AddrInUse);
    let any = hosts.b.listen("0.0.0.0:0".parse().expect("an address")).expect("free");
    assert_ne!(any.local_addr().port(), 0);
}

#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_nothing_behind() {
    within(async {
        let (near, _nobody) = cable();
        let a = Endpoint::builder().path(near, Path::new("0", addr(0, 1))).build().expect("starts");
        {
            let mut attempt = pin!(a.connect(server()));
            let pending = poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx).is_pending())).await;
            assert!(pending, "nobody answers");
            assert_eq!(a.info().expect("runs").connections, 1);
        }
        assert_eq!(a.info().expect("runs").connections, 0);
    })
    .await;
}

#[tokio::test]
async fn an_abort_is_a_reset_to_the_peer() {
    within(async {
        let (near, mut far) = hosts(2).pair().await;
        far.write_all(b"still here?").await.expect("writes");
        near.abort();
        let mut buf = Vec::new();
        let error = far.read_to_end(&mut buf).await.expect_err("reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<ConnectionError>());
        assert_eq!(inner, Some(&ConnectionError::Reset));
        let error = far.write_all(b"no").await.expect_err("reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    })
    .await;
}

#[tokio::test]
async fn close_waits_for_the_peer() {
    within(async {
        let (near, mut far) = hosts(2).pair().await;
        let mut closing = pin!(near.close());
        let pending = poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx).is_pending())).await;
        assert!(pending, "the peer has not closed yet");
        far.write_all(b"thrown away").await.expect("writes");
        let mut rest = Vec::new();
        assert_eq!(far.read_to_end(&mut rest).await.expect("reads"), 0);
        let (near, far) = tokio::join!(closing, far.close());
        near.expect("in good order");
        far.expect("in good order");
    })
    .await;
}

#[tokio::test]
async fn what_was_written_before_a_drop_arrives() {
    within(async {
        let hosts = hosts(2);
        let (mut near, mut far) = hosts.pair().await;
        let data = noise(1, 300_000);
        near.write_all(&data).await.expect("writes");
        drop(near);
        drop(hosts);
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.expect("reads to the end");
        assert!(got == data);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_write_half_ends_one_direction_only() {
    within(async {
        let (near, far) = hosts(2).pair().await;
        let (mut near_read, near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        drop(near_write);
        let mut got = Vec::new();
        assert_eq!(far_read.read_to_end(&mut got).await.expect("reads"), 0);
        drop(far_read);
        far_write.write_all(b"alone").await.expect("a half works without the other");
        drop(far_write);
        assert_eq!(near_read.read_to_end(&mut got).await.expect("reads"), 5);
    })
    .await;
}

#[tokio::test]
async fn streams_outlive_the_endpoints_they_came_from() {
    within(async {
        let (mut near, mut far) = hosts(1).pair().await;
        near.write_all(b"on").await.expect("writes");
        let mut buf = [0; 2];
        far.read_exact(&mut buf).await.expect("reads");
        assert_eq!(&buf, b"on");
    })
    .await;
}

#[tokio::test]
async fn connections_that_nobody_accepted_end_with_the_listener() {
    within(async {
        let hosts = hosts(1);
        let listener = hosts.listen();
        let mut near = hosts.a.connect(SocketAddr::new(addr(0, 2), PORT)).await.expect("connects");
        drop(listener);
        let error = near.read(&mut [0; 1]).await.expect_err("aborted");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_is_at_rest_when_its_subflows_are_closed_too() {
    within(async {
        let hosts = hosts(2);
        let mut events = hosts.a.events().expect("runs");
        hosts.a.at_rest().await.expect("an endpoint without connections rests");
        let (near, far) = hosts.pair().await;
        second_path(&mut events).await;
        let open = tokio::time::timeout(std::time::Duration::ZERO, hosts.a.at_rest()).await;
        assert!(open.is_err(), "a connection is open");
        let (near, far) = tokio::join!(near.close(), far.close());
        near.and(far).expect("closed in good order");
        let (a, b) = tokio::join!(hosts.a.at_rest(), hosts.b.at_rest());
        a.and(b).expect("runs");
    })
    .await;
}
