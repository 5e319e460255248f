//! `manypath sim list`.

use std::fmt::Write as _;

use manypath_sim::shipped;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Output};

/// Prints the built-in experiments.
///
/// # Errors
/// When one of them is wrong, or standard output cannot be written.
pub(super) fn run(json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for (name, experiment) in shipped() {
        let experiment = experiment.map_err(|error| Failure::Failed(error.to_string()))?;
        let (title, claim, source) = (experiment.title(), experiment.claim(), experiment.source());
        rows.push(json!({
            "name": name, "title": title, "claim": claim, "source": source,
            "cases": experiment.cases(), "seeds": experiment.seeds(),
        }));
        // Writing to a string cannot fail.
        let _ok = writeln!(text, "{name:28} {title}\n{:28} {claim}", "");
    }
    if json {
        return output::json(&json!({ "experiments": rows }));
    }
    let mut out = Output::new();
    out.text(&text)?;
    out.finish()
}
