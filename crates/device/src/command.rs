//! Runs the system's configuration tools and turns their failures into errors one can act on.
//!
//! **Choice:** `ip` and `nft` instead of netlink libraries. Configuration happens a few times per
//! run, the tools are on every Linux host, and a command line in an error message can be tried by
//! hand.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use thiserror::Error;

/// Why a configuration command did not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It is not installed.
    #[error("`{program}` was not found; install {package}")]
    NotFound {
        /// The program's name.
        program: String,
        /// The package that has it.
        package: &'static str,
    },
    /// The kernel wants more privilege.
    #[error("`{command}` is not permitted; it needs root or CAP_NET_ADMIN")]
    NotPermitted {
        /// The whole command line.
        command: String,
    },
    /// It ran and failed.
    #[error("`{command}` failed: {stderr}")]
    Failed {
        /// The whole command line.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// It could not be run.
    #[error("`{command}` could not be run")]
    Io {
        /// The whole command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It answered something that is not understood.
    #[error("`{command}` answered what is not understood: {detail}")]
    Answer {
        /// The whole command line.
        command: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Runs `program` and returns its standard output. A child inherits the network namespace of the
/// calling thread.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, CommandError> {
    run_with_input(program, args, "")
}

/// As [`run`], with `input` on standard input.
pub(crate) fn run_with_input(
    program: &str,
    args: &[&str],
    input: &str,
) -> Result<String, CommandError> {
    let command = format!("{program} {}", args.join(" "));
    let output = spawn(program, args, input).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => not_found(program),
        _ => CommandError::Io { command: command.clone(), source },
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if stderr.contains("Operation not permitted") || stderr.contains("must be root") {
        return Err(CommandError::NotPermitted { command });
    }
    Err(CommandError::Failed { command, stderr })
}

fn spawn(program: &str, args: &[&str], input: &str) -> io::Result<std::process::Output> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that fails before it has read everything says why on stderr.
        let _broken_pipe = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

fn not_found(program: &str) -> CommandError {
    let package = if program == "nft" { "nftables" } else { "iproute2" };
    CommandError::NotFound { program: program.to_owned(), package }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_command_line_and_what_it_said() {
        let error = run("ls", &["/nonexistent/manypath"]).expect_err("there is no such file");
        let text = error.to_string();
        assert!(text.contains("`ls /nonexistent/manypath` failed: "), "{text}");
        assert!(text.contains("No such file"), "{text}");
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = run("manypath-no-such-program", &[]).expect_err("there is no such program");
        assert!(matches!(error, CommandError::NotFound { package: "iproute2", .. }), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(run_with_input("cat", &[], "hello").expect("cat runs"), "hello");
    }
}
