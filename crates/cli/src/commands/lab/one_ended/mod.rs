//! `manypath lab one-ended`: the scenario of 20 Mb/s with 10 ms and 10 Mb/s with 40 ms, with Linux's
//! TCP as the receiver.
//!
//! **Owns** which transfers are made. **Invariant**: every figure is measured in this run by the
//! receiver, which knows of plain TCP only: a Python program to which is uploaded, or curl, which
//! downloads. What arrives is hashed. **Leaves out** hosts and links (`stage`).

mod curl;
mod receiver;
mod report;
mod sender;
mod stage;

use std::time::Duration;

use clap::ValueEnum;
use manypath::{CongestionControl, ConnectionMode};
use serde::Serialize;

use crate::failure::Failure;
use crate::figures;
use crate::names;
use crate::output;
use crate::progress;
use crate::runtime;
use receiver::Received;
use report::{Round, Summary};
use sender::Sent;
use stage::{Link, Stage};

/// How long a transfer takes to settle; what is measured comes after.
const SETTLE: Duration = Duration::from_secs(3);
/// When a link is cut, in a transfer in which one is.
const CUT_AFTER: Duration = Duration::from_secs(4);
const KB: u32 = 1 << 10;

/// Sends one ordinary TCP connection over two emulated links, 20 Mb/s with 10 ms and 10 Mb/s with
/// 40 ms one way, to a receiver that knows nothing of it: over the better link alone, over both, with
/// little buffer at the receiver, with a link that dies silently; and, for comparison, Linux's TCP
/// with its packets sprayed over both. Acknowledgments come back over a third link of 10 ms.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  manypath lab one-ended --json --runs 5\n  \
manypath lab one-ended --role server")]
pub(crate) struct Args {
    /// Who opens the connections: manypath, to upload to a Python program, or curl, to download
    /// from manypath
    #[arg(long, value_enum, default_value_t = Role::Client)]
    role: Role,
    /// How often everything is measured; medians are reported
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Seconds of each transfer, of which the first three are not measured
    #[arg(long, value_name = "S", default_value_t = 9, value_parser = clap::value_parser!(u64).range(6..))]
    seconds: u64,
    /// Seed of the data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long = "cc", value_name = "NAME", default_value = "lia", help = names::congestion_control())]
    congestion_control: CongestionControl,
}

/// What manypath, which sends, is to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Role {
    /// It connects and uploads.
    Client,
    /// It listens and serves.
    Server,
}

/// Who sends, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// manypath over the better link.
    Single,
    /// manypath over both.
    Multi,
    /// Linux, its packets in turn over the links.
    Sprayed,
}

impl Sender {
    /// What its connections are.
    fn mode(self) -> ConnectionMode {
        match self {
            Self::Multi => ConnectionMode::OneEnded,
            Self::Single | Self::Sprayed => ConnectionMode::PlainTcp,
        }
    }
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
struct Case {
    sender: Sender,
    /// `SO_RCVBUF` of the receiver; grown by the kernel if not said.
    recv_buffer: Option<u32>,
    cut: Option<Link>,
}

const CASES: [Case; 9] = {
    use Sender::{Multi, Single, Sprayed};
    const fn case(sender: Sender, recv_buffer: Option<u32>, cut: Option<Link>) -> Case {
        Case { sender, recv_buffer, cut }
    }
    [
        case(Sprayed, None, None),
        case(Single, None, None),
        case(Multi, None, None),
        case(Single, Some(128 * KB), None),
        case(Multi, Some(128 * KB), None),
        case(Single, Some(256 * KB), None),
        case(Multi, Some(256 * KB), None),
        case(Multi, None, Some(Link::Fast)),
        case(Multi, None, Some(Link::Slow)),
    ]
};

/// Runs the measurement.
///
/// # Errors
/// When it cannot be set up, a transfer fails, or what arrives is not what was sent.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    stage::check(args.role)?;
    let runtime = runtime::new()?;
    let work = async { runtime::until_interrupted(measure(args)).await.done()? };
    let summary = runtime.block_on(work)?;
    output::summary(&summary, json)?;
    if summary.intact {
        Ok(())
    } else {
        Err(Failure::Failed("the data did not arrive intact".into()))
    }
}

async fn measure(args: &Args) -> Result<Summary, Failure> {
    let transfers = u64::from(args.runs) * manypath_base::len64(CASES.len());
    let bar = progress::steps(transfers);
    let mut rounds = Vec::new();
    for run in 0..args.runs {
        let mut round = Round::default();
        let seed = args.seed + u64::from(run);
        for case in CASES {
            round.note(case, &transfer(args, case, seed).await?);
            bar.inc(1);
        }
        eprintln!("run {}: {round}", run + 1);
        rounds.push(round);
    }
    bar.finish_and_clear();
    Ok(Summary::new(args.role, &rounds))
}

/// What a transfer gave.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    intact: bool,
    /// Payload, once settled.
    mbps: f64,
    /// The longest time without a byte from the cut on.
    stall_ms: f64,
}

async fn transfer(args: &Args, case: Case, seed: u64) -> Result<Outcome, Failure> {
    let stage = Stage::set(seed)?;
    let length = Duration::from_secs(args.seconds);
    let start = manypath_lab::now();
    let exchange = exchange(&stage, args, case, (seed, length));
    let (exchanged, cut) = tokio::join!(exchange, async {
        let link = case.cut?;
        tokio::time::sleep(CUT_AFTER).await;
        stage.link(link).cut();
        Some(manypath_lab::now())
    });
    let (sent, received) = exchanged?;
    stage.close();
    let settled = start + SETTLE;
    let end = if case.cut.is_some() { cut.unwrap_or(start) } else { start + length };
    Ok(Outcome {
        intact: received.bytes == sent.bytes && received.sha256 == sent.sha256,
        mbps: figures::mbps(received.timeline.rate_between(settled, end)),
        stall_ms: cut.map_or(0.0, |at| figures::millis(received.timeline.longest_stall(at))),
    })
}

/// Sends for a time; what was sent, and what arrived. Linux as the sender connects in either role.
async fn exchange(
    stage: &Stage,
    args: &Args,
    case: Case,
    data: (u64, Duration),
) -> Result<(Sent, Received), Failure> {
    if args.role == Role::Client || case.sender == Sender::Sprayed {
        let receiver = receiver::start(stage, case.recv_buffer)?;
        let sent = sender::upload(stage, args, case.sender, data, receiver.addr()).await?;
        return Ok((sent, receiver.report().await?));
    }
    let server = sender::listen(stage, args, case.sender)?;
    let curl = curl::start(stage, case.recv_buffer, server.addr())?;
    tokio::try_join!(server.serve(data), curl.report())
}
