//! The `manypath` command.
//!
//! **Owns** what people and scripts meet: options, text, JSON, exit codes. **Invariants**: results
//! go to standard output and everything else to standard error; 0 is success, 1 a failed
//! operation, 2 wrong usage or something missing; a failure is one line that says what to do.
//! **Leaves out** protocols: they are the libraries'.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod connect;
mod decode;
mod failure;
mod figures;
mod host;
mod http;
mod linger;
mod names;
mod output;
mod pattern;
mod progress;
mod runtime;
mod size;
#[cfg(test)]
mod testing;
mod watch;

use std::process::ExitCode;

use failure::Failure;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(Some(cli)) => cli,
        Ok(None) => return ExitCode::SUCCESS,
        Err(failure) => return fail(&failure, false),
    };
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure, cli.json),
    }
}

fn fail(failure: &Failure, json: bool) -> ExitCode {
    eprintln!("manypath: {failure}");
    if json {
        // A second failure would hide the first.
        output::json(&serde_json::json!({ "error": failure.to_string() })).ok();
    }
    ExitCode::from(failure.code())
}
