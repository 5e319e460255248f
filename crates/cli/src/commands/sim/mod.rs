//! `manypath sim`: networks in virtual time, with the protocol code that runs on real ones.

mod check;
mod list;
mod report;
mod run;
mod sweep;

use clap::Subcommand;

use crate::failure::Failure;

/// Options of `sim`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  manypath sim list\n  manypath sim check torus\n  \
manypath sim run experiments/3-torus.toml --cc reno --seed 7 --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// The experiments that are built in
    List,
    /// Run an experiment file and print what was measured
    Run(run::Args),
    /// Run the built-in experiments with all their seeds and hold them against what was published
    Check(check::Args),
    /// Make one page of plots: rates, windows, queues, shares, distributions
    Report(report::Args),
    /// Run an experiment with every combination of some values, on all cores, into one table
    Sweep(sweep::Args),
}

/// Runs the command.
///
/// # Errors
/// When a file is wrong, or, of `check`, when an expectation does not hold.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.command {
        Command::List => list::run(json),
        Command::Run(args) => run::run(args, json),
        Command::Check(args) => check::run(args, json),
        Command::Report(args) => report::run(args, json),
        Command::Sweep(args) => sweep::run(args, json),
    }
}
