//! `manypath get`: HTTP GET from any web server.

mod fetch;
mod sink;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::failure::Failure;
use crate::host::{Host, HostOptions, Purpose};
use crate::http::Target;
use crate::output;
use crate::runtime::{self, until_interrupted};
use crate::watch::{Seen, mbps, seconds};
use fetch::{Fetched, fetch};
use sink::Sink;

/// Options of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without -o the body goes to standard output; with --json it is only \
counted and hashed.\n\nExample:\n  \
manypath get http://example.net/image.iso -o image.iso --path wlan0 --path wwan0\n  \
manypath get http://10.77.0.1:8080/bytes/100M --sha256 --json")]
pub(crate) struct Args {
    /// What to get; only http is spoken
    url: String,
    /// Write the body to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue a download that was cut short: keep what the file holds, ask for the rest
    #[arg(short = 'c', long = "continue", requires = "output")]
    resume: bool,
    /// Print the SHA-256 of the body; with =HEX, fail if it is another
    #[arg(long, value_name = "HEX", num_args = 0..=1, require_equals = true, value_parser = hash)]
    sha256: Option<Option<String>>,
    #[command(flatten)]
    host: HostOptions,
}

/// What was got.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    status: u16,
    /// Body bytes of this transfer.
    bytes: u64,
    seconds: f64,
    mbps: f64,
    /// Of the whole body, also what was there before.
    sha256: Option<String>,
    #[serde(flatten)]
    seen: Seen,
}

fn hash(text: &str) -> Result<String, String> {
    let right = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right {
        return Ok(text.to_ascii_lowercase());
    }
    Err("a SHA-256 has 64 hexadecimal digits".to_owned())
}

/// Runs the command.
///
/// # Errors
/// When the URL cannot be fetched, or is not what it should be.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let target = Target::parse(&args.url).map_err(Failure::Usage)?;
    let hashed = json || args.sha256.is_some();
    let mut sink = match &args.output {
        Some(path) => Sink::file(path, args.resume, hashed)
            .map_err(|error| Failure::usage(format_args!("-o {}", path.display()), &error))?,
        None if json => Sink::nowhere(hashed),
        None => Sink::stdout(hashed),
    };
    let runtime = runtime::new()?;
    let host = Host::open(&args.host, Purpose::Client)?;
    let begun = Instant::now();
    let work = until_interrupted(fetch(host.endpoint(), target, &mut sink));
    let result = runtime.block_on(work).done().and_then(|result| result);
    let took = begun.elapsed();
    let closed = host.close(&runtime);
    let Fetched { target, status, bytes, seen } = result?;
    closed?;
    let sha256 = sink.finish().map_err(|error| Failure::failed("-o", &error))?;
    let report = Report {
        url: target.url.to_string(),
        status: status.as_u16(),
        bytes,
        seconds: seconds(took),
        mbps: mbps(bytes, took.as_secs_f64()),
        sha256,
        seen,
    };
    verify(args, &report)?;
    if json {
        return output::json(&report);
    }
    tell(args, &report);
    Ok(())
}

fn verify(args: &Args, report: &Report) -> Result<(), Failure> {
    let expected = args.sha256.as_ref().and_then(Option::as_ref);
    match (expected, &report.sha256) {
        (Some(expected), Some(got)) if expected != got => {
            Err(Failure::Failed(format!("{}: SHA-256 is {got}, not {expected}", report.url)))
        }
        _ => Ok(()),
    }
}

/// The summary, on standard error: standard output may hold the body.
fn tell(args: &Args, report: &Report) {
    let Report { url, bytes, seconds, mbps, seen, .. } = report;
    eprintln!("{url}: {bytes} bytes in {seconds} s, {mbps} Mbit/s, {}", seen.protocol);
    for subflow in &seen.subflows {
        let (local, remote) = (subflow.local, subflow.remote);
        eprintln!("  {} {local} > {remote}: {} bytes", subflow.path, subflow.bytes_received);
    }
    if let Some(hash) = report.sha256.as_ref().filter(|_| args.sha256.is_some()) {
        eprintln!("  SHA-256 {hash}");
    }
}

#[cfg(test)]
mod tests {
    use manypath::Endpoint;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::commands::serve;
    use crate::http::Site;
    use crate::pattern::Pattern;
    use crate::testing::{hosts, server_addr, within_a_minute};

    /// A server in this process that answers one connection after the other.
    fn site() -> Endpoint {
        let (client, server) = hosts();
        let listener = server.listen(server_addr()).expect("the port is free");
        let site = Site::new(&std::env::temp_dir()).expect("the folder is there");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve::connection(&server, stream, &site).await;
            }
        });
        client
    }

    fn target(path: &str) -> Target {
        Target::parse(&format!("http://{}{path}", server_addr())).expect("a URL")
    }

    #[tokio::test]
    async fn what_is_served_is_got() {
        let client = site();
        let mut sink = Sink::nowhere(true);
        let fetched = within_a_minute(fetch(&client, target("/bytes/3M?seed=9"), &mut sink))
            .await
            .expect("it is there");
        let expected = Sha256::digest(Pattern::new(9, 0).chunk(3_000_000));
        assert_eq!(sink.finish().expect("counted"), Some(crate::figures::hex(&expected)));
        assert_eq!((fetched.bytes, fetched.status.as_u16()), (3_000_000, 200));
        assert_eq!(fetched.seen.protocol, "multipath");
    }

    #[tokio::test]
    async fn the_rest_of_a_download_is_asked_for() {
        let client = site();
        let mut sink = Sink::nowhere(false);
        let first = Pattern::new(9, 0).chunk(1_000);
        assert!(sink.write(&first).expect("counted"));
        let fetched = within_a_minute(fetch(&client, target("/bytes/5000?seed=9"), &mut sink))
            .await
            .expect("it is there");
        assert_eq!((fetched.status.as_u16(), fetched.bytes, sink.len()), (206, 4_000, 5_000));
    }

    #[tokio::test]
    async fn an_answer_without_success_is_a_failure() {
        let client = site();
        let failure =
            within_a_minute(fetch(&client, target("/nosuch/file"), &mut Sink::nowhere(false)))
                .await;
        let failure = failure.err().expect("there is no such file");
        assert_eq!(failure.code(), 1);
        assert!(failure.to_string().contains("404"), "{failure}");
    }

    #[test]
    fn a_hash_has_its_length() {
        assert_eq!(hash(&"AB".repeat(32)), Ok("ab".repeat(32)));
        assert!(hash("ab").is_err());
        assert!(hash(&"xy".repeat(32)).is_err());
    }
}
