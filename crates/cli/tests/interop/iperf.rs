//! iperf3's protocol over streams of the library, so that the real iperf3 has somebody to talk to.
//!
//! A connection for control carries states of one byte and JSON behind its length; each stream of
//! data is a connection of its own. All begin with the same cookie. **Leaves out** everything that
//! one TCP stream in one direction does not need.

use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use bytes::Bytes;
use manypath::device::{Tun, TunConfig};
use manypath::{Endpoint, Listener, Path, Stream};
use manypath_lab::ChildGuard;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lab::{ADDRESSES, LINKS, Lab};
use crate::programs::{Sockets, wait_for_listener};

/// Where iperf3 listens if nobody says otherwise.
pub(crate) const IPERF_PORT: u16 = 5201;
const COOKIE: usize = 37;

/// States, as iperf3 numbers them.
mod state {
    pub(super) const TEST_START: u8 = 1;
    pub(super) const TEST_RUNNING: u8 = 2;
    pub(super) const TEST_END: u8 = 4;
    pub(super) const PARAM_EXCHANGE: u8 = 9;
    pub(super) const CREATE_STREAMS: u8 = 10;
    pub(super) const EXCHANGE_RESULTS: u8 = 13;
    pub(super) const DISPLAY_RESULTS: u8 = 14;
    pub(super) const IPERF_DONE: u8 = 16;
}

/// An endpoint of this process in the lab, with an address behind each link.
pub(crate) fn endpoint(lab: &Lab) -> Endpoint {
    let tun = lab.ours().run(|| Tun::open(&TunConfig::default()));
    let tun = tun.expect("the namespace is there").expect("a TUN can be made");
    for prefix in ["100.64.1.0/24", "100.64.2.0/24"] {
        lab.ours().ip(&["route", "add", prefix, "dev", tun.name()]).expect("a route");
    }
    let addrs = ADDRESSES.map(|addr| addr.parse::<IpAddr>().expect("an address"));
    let paths = LINKS.iter().zip(addrs).map(|(link, addr)| Path::new(*link, addr).announced());
    Endpoint::builder().paths(tun, paths.collect::<Vec<_>>()).build().expect("it starts")
}

/// iperf3 at Linux's side.
pub(crate) struct Iperf {
    child: ChildGuard,
}

impl Iperf {
    /// A client that sends for so many seconds.
    pub(crate) fn client(lab: &Lab, sockets: Sockets, seconds: u32) -> Self {
        Self::start(lab, sockets, &["-c", ADDRESSES[0], "-t", &seconds.to_string()])
    }

    /// A server for one test, once it listens.
    pub(crate) fn server(lab: &Lab, sockets: Sockets) -> Self {
        let server = Self::start(lab, sockets, &["-s", "-1"]);
        wait_for_listener(lab, IPERF_PORT);
        server
    }

    fn start(lab: &Lab, sockets: Sockets, args: &[&str]) -> Self {
        let mut command = sockets.command(lab, "iperf3");
        command.args(args).arg("--json").stdin(Stdio::null()).stdout(Stdio::piped());
        Self { child: lab.linux().child(command).expect("iperf3 starts") }
    }

    /// What it reports at its end.
    pub(crate) fn report(mut self) -> Value {
        let mut stdout = self.child.process().stdout.take().expect("it is a pipe");
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("it prints UTF-8");
        let report: Value = serde_json::from_str(&text).expect("one JSON object");
        assert!(self.child.wait().expect("it ends").success(), "{report}");
        report
    }
}

/// A test as the server sees it: the client sends, this side counts.
pub(crate) async fn serve_one(listener: &Listener) -> io::Result<(u64, String)> {
    let (mut control, _) = listener.accept().await?;
    control.read_exact(&mut [0; COOKIE]).await?;
    control.write_u8(state::PARAM_EXCHANGE).await?;
    read_json(&mut control).await?;
    control.write_u8(state::CREATE_STREAMS).await?;
    let (mut data, _) = listener.accept().await?;
    data.read_exact(&mut [0; COOKIE]).await?;
    control.write_all(&[state::TEST_START, state::TEST_RUNNING]).await?;
    let mut bytes = 0;
    let ended = loop {
        tokio::select! {
            chunk = data.read_chunk() => match chunk? {
                Some(chunk) => bytes += chunk.len() as u64,
                None => break control.read_u8().await?,
            },
            state = control.read_u8() => break state?,
        }
    };
    expect(ended, state::TEST_END)?;
    let protocol = data.info()?.protocol;
    control.write_u8(state::EXCHANGE_RESULTS).await?;
    read_json(&mut control).await?;
    write_json(&mut control, &results(bytes)).await?;
    control.write_u8(state::DISPLAY_RESULTS).await?;
    expect(control.read_u8().await?, state::IPERF_DONE)?;
    Ok((bytes, protocol))
}

/// A test as the client sees it: this side sends `bytes`.
pub(crate) async fn send(endpoint: &Endpoint, to: SocketAddr, bytes: u64) -> io::Result<String> {
    let cookie = [b'm'; COOKIE];
    let mut control = endpoint.connect(to).await?;
    control.write_all(&cookie).await?;
    expect(control.read_u8().await?, state::PARAM_EXCHANGE)?;
    let wish = json!({"tcp": true, "omit": 0, "time": 0, "num": bytes, "parallel": 1,
        "len": 131_072, "pacing_timer": 1000, "client_version": "3.12"});
    write_json(&mut control, &wish).await?;
    expect(control.read_u8().await?, state::CREATE_STREAMS)?;
    let mut data = endpoint.connect(to).await?;
    data.write_all(&cookie).await?;
    expect(control.read_u8().await?, state::TEST_START)?;
    expect(control.read_u8().await?, state::TEST_RUNNING)?;
    let block = Bytes::from(vec![0x5a; 1 << 16]);
    let mut left = bytes;
    while left > 0 {
        let len = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        data.write_owned(block.slice(..len)).await?;
        left -= len as u64;
    }
    let protocol = data.info()?.protocol;
    // What is under way when the test ends is not counted: let it arrive.
    while data.info()?.bytes_acknowledged < bytes + COOKIE as u64 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    control.write_u8(state::TEST_END).await?;
    expect(control.read_u8().await?, state::EXCHANGE_RESULTS)?;
    write_json(&mut control, &results(bytes)).await?;
    read_json(&mut control).await?;
    expect(control.read_u8().await?, state::DISPLAY_RESULTS)?;
    control.write_u8(state::IPERF_DONE).await?;
    data.close().await?;
    control.close().await?;
    Ok(protocol)
}

fn expect(got: u8, wanted: u8) -> io::Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidData, format!("state {got} where {wanted} was due")))
}

/// What one end says of its only stream.
fn results(bytes: u64) -> Value {
    json!({"cpu_util_total": 0, "cpu_util_user": 0, "cpu_util_system": 0,
        "sender_has_retransmits": 0, "streams": [{"id": 1, "bytes": bytes, "retransmits": 0,
        "jitter": 0, "errors": 0, "packets": 0, "start_time": 0, "end_time": 1}]})
}

async fn read_json(stream: &mut Stream) -> io::Result<Value> {
    let len = stream.read_u32().await?;
    let mut text = vec![0; len.try_into().expect("32 bits are an index")];
    stream.read_exact(&mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}

async fn write_json(stream: &mut Stream, value: &Value) -> io::Result<()> {
    let text = value.to_string();
    stream.write_u32(text.len().try_into().expect("it is short")).await?;
    stream.write_all(text.as_bytes()).await
}
