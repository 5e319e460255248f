//! `manypath sim report`: a page of plots that is one file.

mod charts;
mod groups;
mod input;
mod page;
mod plot;

use std::path::PathBuf;

use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Output};

/// Options of `sim report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The page needs no other file and no network: plots are drawn in it.\n\n\
Example:\n  manypath sim report experiments/1-shared-bottleneck.toml -o report.html\n  \
manypath sim run experiments/3-torus.toml --sample 0.5 --json > lia.json\n  \
manypath sim report lia.json -o report.html")]
pub(super) struct Args {
    /// Results of `sim run --json`, or an experiment file (.toml), whose every case is run
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Seed of experiment files; the first of each if none is given
    #[arg(long)]
    seed: Option<u64>,
    /// The page
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Writes the page.
///
/// # Errors
/// When a file is wrong, or the page cannot be written.
pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let runs = args.files.iter().map(|file| input::runs(file, args.seed));
    let runs = runs.collect::<Result<Vec<_>, _>>()?.concat();
    let page = page::page(&runs);
    std::fs::write(&args.output, &page)
        .map_err(|error| Failure::failed(args.output.display(), &error))?;
    if json {
        return output::json(&json!({
            "output": args.output, "runs": runs.len(), "bytes": page.len(),
            "plots": page.matches("<svg").count(),
        }));
    }
    let mut out = Output::new();
    let file = args.output.display();
    out.text(&format!("{file}: {} runs, {} kB\n", runs.len(), page.len() / 1000))?;
    out.finish()
}
