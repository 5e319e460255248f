//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod get;
pub(crate) mod lab;
pub(crate) mod perf;
pub(crate) mod serve;
pub(crate) mod sim;

use crate::args::{Cli, Command};
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
/// When it fails; nothing was printed about that yet.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Demo(args) => demo::run(args, cli.json),
        Command::Get(args) => get::run(args, cli.json),
        Command::Serve(args) => serve::run(args, cli.json),
        Command::Perf(args) => perf::run(args, cli.json),
        Command::Bench(args) => bench::run(args, cli.json),
        Command::Decode(args) => decode::run(args, cli.json),
        Command::Lab(args) => lab::run(args, cli.json),
        Command::Sim(args) => sim::run(args, cli.json),
    }
}
