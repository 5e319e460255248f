//! `manypath lab`: measurements on real hosts in network namespaces of their own.

mod one_ended;

use clap::Subcommand;

use crate::failure::Failure;

/// Sets up hosts and emulated links on this machine, measures, and takes everything down again.
/// Needs root.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  manypath lab one-ended --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// One TCP connection over two paths, to a receiver that knows nothing of it
    OneEnded(one_ended::Args),
}

/// Runs the measurement.
///
/// # Errors
/// When it cannot be set up, or a transfer fails.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.what {
        What::OneEnded(args) => one_ended::run(args, json),
    }
}
