//! The counts that are kept, and how those of now compare.

use std::fs;
use std::process::ExitCode;

use crate::{LOOPS, valgrind};

/// Parts of a thousand by which a count may differ from the one that is kept: what layouts of
/// memory and hashes make of it stays below.
const TOLERANCE: u64 = 30;
/// One line for each loop: instructions, two spaces, name.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/counts.txt");

pub(crate) fn compare(word: &str) -> ExitCode {
    if !valgrind::is_there() {
        println!("skipped: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let kept = fs::read_to_string(FILE).unwrap_or_default();
    let mut worst = ExitCode::SUCCESS;
    for l in LOOPS.iter().filter(|l| l.name.contains(word)) {
        let (was, now) = (kept_count(&kept, l.name), valgrind::count(l));
        let (said, ok) = match (was, &now) {
            (_, Err(error)) => (error.clone(), false),
            (None, Ok(_)) => ("not kept: --write".to_owned(), false),
            (Some(was), &Ok(now)) => (change(was, now), is_near(was, now)),
        };
        let verdict = if ok { "ok" } else { "DIFFERS" };
        println!("{:>12}  {:48} {said}  {verdict}", now.unwrap_or(0), l.name);
        if !ok {
            worst = ExitCode::FAILURE;
        }
    }
    worst
}

pub(crate) fn write() -> ExitCode {
    let mut lines = String::new();
    for l in LOOPS {
        match valgrind::count(l) {
            Ok(count) => lines += &format!("{count:>12}  {}\n", l.name),
            Err(error) => {
                println!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    print!("{lines}");
    match fs::write(FILE, lines) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{FILE}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn kept_count(kept: &str, name: &str) -> Option<u64> {
    let mut lines = kept.lines().filter_map(|line| line.trim_start().split_once("  "));
    lines.find(|(_, of)| *of == name)?.0.parse().ok()
}

/// Fewer count as a difference too: the file is to say what is.
fn is_near(was: u64, now: u64) -> bool {
    was.abs_diff(now) * 1_000 <= was * TOLERANCE
}

fn change(was: u64, now: u64) -> String {
    let sign = if now < was { '-' } else { '+' };
    let tenths = was.abs_diff(now) * 1_000 / was.max(1);
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}
