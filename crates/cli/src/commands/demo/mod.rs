//! `manypath demo`: one transfer over links that are pooled, one of which dies and comes back.
//!
//! **Owns** the scenario and what it reports. **Invariant**: every figure is measured in this run,
//! at the receiving application. **Leaves out** hosts and links (`manypath_lab`).

mod linux_side;
mod our_side;
mod plan;
mod report;
mod schedule;
mod stage;
mod view;

use std::path::PathBuf;

use manypath::{CongestionControl, Scheduler};

use crate::failure::Failure;
use crate::names;
use crate::output;
use crate::runtime;

use plan::Plan;
use report::Summary;
use stage::Stage;

/// Which way the data goes, seen from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Direction {
    /// manypath sends
    Up,
    /// manypath receives
    Down,
}

/// Transfers over two emulated links, "wifi" (20 Mb/s, 10 ms one way) and "lte" (10 Mb/s, 40 ms),
/// with Linux's own MPTCP at the other end. After some seconds wifi dies silently; later it comes
/// back. Without root, TUN or a kernel with MPTCP, manypath is at both ends, in one process.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  manypath demo\n  manypath demo --json --direction down --pcap demo.pcapng"
)]
pub(crate) struct Args {
    /// Which way the data goes; `down` also runs Linux at both ends, for comparison
    #[arg(long, value_enum, default_value = "up")]
    direction: Direction,
    /// Run in one process with manypath at both ends, without root
    #[arg(long)]
    unprivileged: bool,
    /// How many links
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=8))]
    paths: u8,
    /// Seed of the data and of the links
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long = "cc", value_name = "NAME", default_value = "lia", help = names::congestion_control())]
    congestion_control: CongestionControl,
    #[arg(long, value_name = "NAME", default_value = "lowest-rtt", help = names::scheduler())]
    scheduler: Scheduler,
    /// Write every packet to this pcapng file, one interface for each path
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// When it cannot be set up, or the transfer fails.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let plan = Plan::new(args.paths, args.direction == Direction::Down);
    let runtime = runtime::new()?;
    let summary = runtime
        .block_on(async { runtime::until_interrupted(perform(args, &plan)).await.done()? })?;
    output::summary(&summary, json)?;
    if summary.intact {
        Ok(())
    } else {
        Err(Failure::Failed("the data did not arrive intact".into()))
    }
}

async fn perform(args: &Args, plan: &Plan) -> Result<Summary, Failure> {
    let stage = Stage::set(args, plan)?;
    eprintln!("manypath demo: {}", stage.describe());
    let run = our_side::run(&stage, args, plan).await?;
    let linux = match (args.direction, stage.topology()) {
        (Direction::Down, Some(topology)) => {
            eprintln!("the same with Linux at both ends:");
            Some(linux_side::run(topology, args, plan).await?)
        }
        (Direction::Down | Direction::Up, _) => None,
    };
    let late = stage.links_late();
    let summary = Summary::new(stage.peer(), plan, &run, linux.as_ref(), late);
    stage.close().await?;
    Ok(summary)
}
