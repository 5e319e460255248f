//! The site, asked directly and through hyper over a pipe.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Site;
use crate::pattern::Pattern;

/// A folder that goes with the test: `root/a file`, `root/sub/b`, a link out, and `secret` beside.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("manypath-site-{}-{n}", std::process::id()));
        fs::create_dir_all(base.join("root/sub")).expect("made");
        fs::write(base.join("root/a file"), b"0123456789").expect("written");
        fs::write(base.join("root/sub/b"), b"b").expect("written");
        fs::write(base.join("secret"), b"secret").expect("written");
        symlink(base.join("secret"), base.join("root/out")).expect("linked");
        symlink(base.join("root/sub/b"), base.join("root/in")).expect("linked");
        Self(base)
    }

    fn site(&self) -> Site {
        Site::new(&self.0.join("root")).expect("the folder is there")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

async fn ask(site: &Site, method: Method, path: &str, range: Option<&str>) -> (u16, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let request = request.body(()).expect("well formed");
    let Ok(response) = site.answer(request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("readable").to_bytes();
    (status, body.to_vec())
}

#[tokio::test]
async fn files_and_parts_of_them() {
    let folder = Folder::new();
    let site = folder.site();
    for (path, range, expected) in [
        ("/a%20file", None, (200, &b"0123456789"[..])),
        ("/a%20file", Some("bytes=2-4"), (206, b"234")),
        ("/a%20file", Some("bytes=-1"), (206, b"9")),
        ("/sub/./b", None, (200, b"b")),
        ("/in", None, (200, b"b")),
    ] {
        let (status, body) = ask(&site, Method::GET, path, range).await;
        assert_eq!((status, &body[..]), expected, "{path} {range:?}");
    }
    assert_eq!(ask(&site, Method::GET, "/a%20file", Some("bytes=10-")).await.0, 416);
}

#[tokio::test]
async fn nothing_outside_the_folder_is_served() {
    let folder = Folder::new();
    let site = folder.site();
    for (path, status) in [
        ("/../secret", 400),
        ("/%2e%2e/secret", 400),
        ("/sub/..%2f..%2f..%2fsecret", 400),
        ("/out", 404),
        ("/a%00b", 400),
        ("/%ff", 400),
        ("/nosuch", 404),
        ("/a%20file/x", 404),
    ] {
        assert_eq!(ask(&site, Method::GET, path, None).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn generated_bytes_are_those_of_the_seed_in_any_part() {
    let site = Folder::new().site();
    let (status, body) = ask(&site, Method::GET, "/bytes/300Ki?seed=7", None).await;
    assert_eq!((status, body.len()), (200, 300 << 10));
    assert!(Pattern::new(7, 0).matches(&body));
    let (_, part) = ask(&site, Method::GET, "/bytes/300Ki?seed=7", Some("bytes=1001-2000")).await;
    assert_eq!(part, body[1001..=2000]);
    assert_eq!(ask(&site, Method::GET, "/bytes/many", None).await.0, 400);
}

#[tokio::test]
async fn a_folder_lists_its_names_as_links() {
    let folder = Folder::new();
    let (status, page) = ask(&folder.site(), Method::GET, "/", None).await;
    let page = String::from_utf8(page).expect("UTF-8");
    assert_eq!(status, 200);
    assert!(page.contains("<a href=\"/a%20file\">a file</a>"), "{page}");
    assert!(page.contains("<a href=\"/sub/\">sub/</a>"), "{page}");
}

#[tokio::test]
async fn a_single_file_is_served_under_its_name_and_at_the_root() {
    let folder = Folder::new();
    let site = Site::new(&folder.0.join("root/sub/b")).expect("the file is there");
    assert_eq!(ask(&site, Method::GET, "/", None).await, (200, b"b".to_vec()));
    assert_eq!(ask(&site, Method::GET, "/b", None).await, (200, b"b".to_vec()));
    assert_eq!(ask(&site, Method::GET, "/a%20file", None).await.0, 404);
}

#[tokio::test]
async fn other_methods_are_refused() {
    let folder = Folder::new();
    let status = ask(&folder.site(), Method::POST, "/", None).await.0;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED.as_u16());
}

/// Sends `requests` on one connection and returns everything that is answered.
async fn over_a_connection(site: Site, requests: &str) -> String {
    let (mut client, server) = tokio::io::duplex(4096);
    let serve = tokio::spawn(async move {
        let service = service_fn(|request| site.answer(request));
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), service)
            .await
    });
    client.write_all(requests.as_bytes()).await.expect("room");
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.expect("answered");
    // A bad request ends the connection with an error, after its answer.
    let _result = serve.await.expect("no panic");
    answers
}

#[tokio::test]
async fn a_connection_carries_several_requests() {
    let folder = Folder::new();
    let answers = over_a_connection(
        folder.site(),
        "HEAD /a%20file HTTP/1.1\r\nHost: x\r\n\r\n\
         GET /sub/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    let (head, get) = answers[1..].split_once("HTTP/1.1 200 OK").expect("two answers");
    assert!(head.contains("content-length: 10\r\n"), "{answers}");
    assert!(head.ends_with("\r\n\r\n"), "no body after HEAD: {answers}");
    assert!(get.ends_with("\r\n\r\nb"), "{answers}");
}

#[tokio::test]
async fn what_is_not_http_is_a_bad_request() {
    let folder = Folder::new();
    let answers = over_a_connection(folder.site(), "nonsense\r\n\r\n").await;
    assert!(answers.starts_with("HTTP/1.1 400 "), "{answers}");
}
