//! Counts the instructions of a run of this program.

use std::process::{Command, Stdio};

use crate::Loop;

/// Whether it is installed.
pub(crate) fn is_there() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Instructions of one repetition.
pub(crate) fn count(l: &Loop) -> Result<u64, String> {
    let [few, many] = [instructions(l, l.times)?, instructions(l, 2 * l.times)?];
    Ok(many.saturating_sub(few) / u64::from(l.times))
}

fn instructions(l: &Loop, times: u32) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    command.arg(program).args(["--run", l.name, &times.to_string()]);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let mut figures = said.lines().filter_map(|line| line.split_once("refs:"));
    let number = figures.find(|(name, _)| name.trim_end().ends_with('I'));
    let number = number.and_then(|(_, number)| number.trim().replace(',', "").parse().ok());
    number.filter(|_| output.status.success()).ok_or_else(|| format!("{}: {said}", l.name))
}
