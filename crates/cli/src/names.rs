//! Algorithms in the help of options: every name there is.

use manypath::{CongestionControl, Scheduler};

/// The help of `--cc`.
pub(crate) fn congestion_control() -> String {
    format!("Congestion control: {}", list(&CongestionControl::ALL.map(CongestionControl::name)))
}

/// The help of `--scheduler`.
pub(crate) fn scheduler() -> String {
    format!("Scheduler: {}", list(&Scheduler::ALL.map(Scheduler::name)))
}

/// "a, b or c".
fn list(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_people_do() {
        for (names, expected) in [
            (&[] as &[&str], ""),
            (&["a"], "a"),
            (&["a", "b"], "a or b"),
            (&["a", "b", "c"], "a, b or c"),
        ] {
            assert_eq!(list(names), expected);
        }
    }
}
