//! Instructions of inner loops, counted by valgrind and compared with those in `counts.txt`.
//!
//! `cargo bench -p manypath-mptcp --bench instructions`; with `-- --write` the counts become the new
//! ones, and a word chooses loops whose names have it. Instructions do not depend on what else a
//! machine does; they do on the compiler, so that a new one may need new counts.
//!
//! **Invariant**: a count is a difference between two runs of a loop, so that what goes before it is
//! not in it. **Leaves out** how long anything takes.

#![allow(clippy::print_stdout, reason = "it is a program")]

mod counts;
mod flows;
mod hosts;
mod parts;
mod valgrind;

use std::process::ExitCode;

/// A loop that is counted.
struct Loop {
    name: &'static str,
    /// Repetitions that are counted, and as many before them.
    times: u32,
    run: fn(u32),
}

const LOOPS: &[Loop] = &[
    Loop { name: "wire: emit and parse a data segment with DSS", times: 500, run: parts::segment },
    Loop { name: "sched: BLEST picks among 4 paths", times: 2_000, run: parts::pick },
    Loop { name: "cc: LIA takes an ACK, 4 paths", times: 2_000, run: parts::lia },
    Loop { name: "base: a deadline of 1,000 moves", times: 2_000, run: parts::timers },
    Loop { name: "tcp: reassembly of 1,000 holes", times: 5, run: parts::reassembly },
    Loop { name: "tcp: a segment and its ACK", times: 500, run: flows::segment_and_ack },
    Loop { name: "tcp: a window of 2,000 packets, half lost", times: 1, run: flows::half_lost },
    Loop { name: "mptcp: 64 KB, 1 subflow", times: 100, run: |n| hosts::bulk(1, n) },
    Loop { name: "mptcp: 64 KB, 2 subflows", times: 100, run: |n| hosts::bulk(2, n) },
    Loop { name: "mptcp: a byte there and back, 1 subflow", times: 200, run: |n| hosts::ask(1, n) },
    Loop {
        name: "mptcp: a byte there and back, 2 subflows",
        times: 200,
        run: |n| hosts::ask(2, n),
    },
    Loop { name: "mptcp: connect, ask, close, 1 subflow", times: 100, run: |n| hosts::knock(1, n) },
    Loop { name: "mptcp: connect, join, ask, close", times: 100, run: |n| hosts::knock(2, n) },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--run", name, times] => run(name, times),
        ["--write"] => counts::write(),
        [] => counts::compare(""),
        [word] => counts::compare(word),
        _ => {
            println!("usage: instructions [--write | WORD]");
            ExitCode::from(2)
        }
    }
}

/// What valgrind watches.
fn run(name: &str, times: &str) -> ExitCode {
    let found = LOOPS.iter().find(|l| l.name == name).zip(times.parse().ok());
    match found {
        Some((l, times)) => (l.run)(times),
        None => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}
