//! One GET over one connection, and the redirects before it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use manypath::{ConnectOptions, Endpoint, Stream};
use tokio::task::JoinHandle;

use super::sink::Sink;
use crate::connect::{connect, resolve};
use crate::failure::Failure;
use crate::http::{Target, join};
use crate::progress;
use crate::watch::{Seen, Watch};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;
/// How long the end of a connection is waited for, once everything is there.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// What came of a GET.
pub(super) struct Fetched {
    /// The URL after all redirects.
    pub(super) target: Target,
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// Body bytes received.
    pub(super) bytes: u64,
    /// The connection.
    pub(super) seen: Seen,
}

/// Fetches `target` into `sink`, from where the sink ends.
///
/// # Errors
/// When there is no answer, or one without success, or the body is cut short.
pub(super) async fn fetch(
    endpoint: &Endpoint,
    mut target: Target,
    sink: &mut Sink,
) -> Result<Fetched, Failure> {
    for _ in 0..=MAX_REDIRECTS {
        let mut exchange = Exchange::begin(endpoint, &target, sink.len()).await?;
        match exchange.redirect(&target)? {
            Some(next) => {
                exchange.end().await;
                eprintln!("{} redirects to {}", target.url, next.url);
                target = next;
            }
            None => {
                let status = exchange.response.status();
                let bytes = exchange.receive(&target, sink).await?;
                let seen = exchange.watch.seen();
                exchange.end().await;
                return Ok(Fetched { target, status, bytes, seen });
            }
        }
    }
    Err(Failure::Failed(format!("more than {MAX_REDIRECTS} redirects, the last to {}", target.url)))
}

/// A connection with a request on it that was answered.
struct Exchange {
    response: Response<Incoming>,
    watch: Watch,
    connection: JoinHandle<Option<Stream>>,
}

impl Exchange {
    async fn begin(endpoint: &Endpoint, target: &Target, from: u64) -> Result<Self, Failure> {
        let to = resolve(&target.host, target.port).await?;
        let stream = connect(endpoint, &to, &ConnectOptions::default()).await?;
        let mut watch = Watch::new(endpoint, stream.conn_id());
        watch.look();
        let broken = |error: hyper::Error| Failure::failed(&target.url, &error);
        let (mut sender, connection) =
            http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(async move {
            // Its error is that of the request too.
            connection.without_shutdown().await.ok().map(|parts| parts.io.into_inner())
        });
        let response = sender.send_request(request(target, from)?).await.map_err(broken)?;
        Ok(Self { response, watch, connection })
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        header_text(self.response.headers(), name)
    }

    fn redirect(&self, target: &Target) -> Result<Option<Target>, Failure> {
        let moved = matches!(self.response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = self.header(header::LOCATION).filter(|_| moved) else {
            return Ok(None);
        };
        join(target, location).map(Some).map_err(|why| Failure::Failed(format!("redirect: {why}")))
    }

    /// Receives the body; returns its length.
    async fn receive(&mut self, target: &Target, sink: &mut Sink) -> Result<u64, Failure> {
        let status = self.response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && sink.len() > 0 {
            let whole = self.header(header::CONTENT_RANGE).and_then(|v| v.strip_prefix("bytes */"));
            if whole == Some(&sink.len().to_string()) {
                return Ok(0);
            }
        }
        if !status.is_success() {
            return Err(Failure::Failed(format!("{}: the server answered {status}", target.url)));
        }
        if sink.len() > 0 && !self.continues(sink.len()) {
            eprintln!("the server does not resume; starting over");
            sink.start_over().map_err(|error| Failure::failed("-o", &error))?;
        }
        let left = self.header(header::CONTENT_LENGTH).and_then(|len| len.parse::<u64>().ok());
        let bar = progress::transfer(left.map(|left| sink.len() + left), sink.len());
        let mut bytes = 0;
        let body = self.response.body_mut();
        let mut receive = async || loop {
            let Some(frame) = body.frame().await else { return Ok(bytes) };
            let frame = frame.map_err(|error| Failure::failed(&target.url, &error))?;
            let Ok(data) = frame.into_data() else { continue };
            let read =
                sink.write(&data).map_err(|error: io::Error| Failure::failed("-o", &error))?;
            bytes += manypath_base::len64(data.len());
            bar.set_position(sink.len());
            if !read {
                return Ok(bytes);
            }
        };
        let result = tokio::select! {
            result = receive() => result,
            () = async { self.watch.keep_looking().await } => unreachable!("it never ends"),
        };
        self.watch.look();
        bar.finish_and_clear();
        result
    }

    /// Whether the answer begins at byte `from`.
    fn continues(&self, from: u64) -> bool {
        let start = self
            .header(header::CONTENT_RANGE)
            .and_then(|value| value.strip_prefix("bytes "))
            .and_then(|range| range.split_once('-'))
            .and_then(|(start, _)| start.parse::<u64>().ok());
        self.response.status() == StatusCode::PARTIAL_CONTENT && start == Some(from)
    }

    /// Ends the connection in good order, as far as the peer plays along.
    async fn end(self) {
        drop(self.response);
        let close = async {
            if let Ok(Some(stream)) = self.connection.await {
                // Everything is there already.
                stream.close().await.ok();
            }
        };
        tokio::time::timeout(CLOSE_TIME, close).await.ok();
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn request(target: &Target, from: u64) -> Result<Request<Empty<Bytes>>, Failure> {
    let mut request = Request::get(target.path())
        .header(header::HOST, target.authority())
        .header(header::USER_AGENT, concat!("manypath/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close");
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    request.body(Empty::new()).map_err(|error| Failure::usage(&target.url, &error))
}
