//! An experiment with other values of some keys, as sweeps need it.
//!
//! **Owns** how a key and a value given as text become part of a file. **Invariants**: what is
//! varied wins over the file and over every case of it; what cannot be run is refused before
//! anything runs. **Leaves out** which values are combined.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::{Experiment, FileError};

/// Keys on which no result of a run depends.
const WORDS: [&str; 5] = ["title", "claim", "source", "seeds", "expect"];

impl Experiment {
    /// The same experiment with other values: keys as in the file with dots between their parts
    /// (`flow.mp.cc`, `link.a.rate`, `event.0.at`), each with its value as text. Every case gets
    /// them, also where it says otherwise.
    ///
    /// # Errors
    /// A key or a value that is wrong, and what was expected.
    pub fn varied(&self, settings: &[(String, String)]) -> Result<Self, FileError> {
        let mut experiment = self.clone();
        for (key, value) in settings {
            experiment = experiment.with(key, value)?;
        }
        experiment.check().map_err(|error| {
            let all: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let message = format!("{} (with {})", error.message, all.join(" "));
            FileError { line: None, message, ..error }
        })?;
        Ok(experiment)
    }

    /// Looks whether every case can be run.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn check(&self) -> Result<(), FileError> {
        for (name, document) in &self.cases {
            let named = self.base.case.contains_key(name).then_some(name.as_str());
            let plan = document.plan(&self.folder, 1);
            plan.map_err(|wrong| FileError::of_wrong(&self.file, &self.text, named, wrong))?;
        }
        Ok(())
    }

    /// All that decides the results of a seed, in one form: the file without its words, seeds and
    /// expectations, and the traces that it names.
    ///
    /// # Errors
    /// A trace that cannot be read.
    pub fn identity(&self) -> Result<String, FileError> {
        let mut table = self.table.clone();
        WORDS.iter().for_each(|word| drop(table.remove(*word)));
        let mut out = table.to_string();
        let mut traces = Vec::new();
        collect_traces(&Value::Table(table), &mut traces);
        for name in traces {
            let path = self.folder.join(&name);
            let text = std::fs::read_to_string(&path).map_err(|error| FileError {
                file: path.display().to_string(),
                line: None,
                key: String::new(),
                message: error.to_string(),
            })?;
            // Writing to a string cannot fail.
            let _ok = write!(out, "\n# {name}\n{text}");
        }
        Ok(out)
    }

    fn with(&self, key: &str, value: &str) -> Result<Self, FileError> {
        let wrong = |message: String| FileError {
            file: self.file.clone(),
            line: None,
            key: key.to_owned(),
            message,
        };
        self.must_be_known(key).map_err(wrong)?;
        let literal: Option<Value> =
            toml::from_str(&format!("v = {value}")).ok().and_then(|mut t: Table| t.remove("v"));
        let text = Value::String(value.to_owned());
        let is_text = self.current(key).is_some_and(Value::is_str);
        let forms = literal.filter(|_| !is_text).into_iter().chain([text]);
        let mut refused: Option<FileError> = None;
        for form in forms {
            let mut table = self.table.clone();
            set_everywhere(&mut table, key, &form).map_err(wrong)?;
            match Self::assemble(&self.file, &self.text, &self.folder, table) {
                Ok(experiment) => return Ok(experiment),
                // Of two answers the one that knows the form of the value.
                Err(error) if refused.is_none() || !is_about_the_form(&error) => {
                    refused = Some(FileError { line: None, ..error });
                }
                Err(_) => {}
            }
        }
        let error = refused.expect("there is at least the text form");
        Err(FileError { message: format!("{} (with {key}={value})", error.message), ..error })
    }

    fn must_be_known(&self, key: &str) -> Result<(), String> {
        let mut parts = key.split('.');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        if key.split('.').any(str::is_empty) {
            return Err("expected a key as in the file, such as flow.mp.cc".to_owned());
        }
        if WORDS.contains(&first) {
            return Err("no result of a run depends on it".to_owned());
        }
        match second {
            Some(name) if first == "flow" && !self.base.flow.contains_key(name) => {
                let known = |d: &super::Document| d.flow.contains_key(name);
                if self.cases.values().any(known) {
                    return Ok(());
                }
                let all: Vec<&str> = self.base.flow.keys().map(String::as_str).collect();
                Err(format!("no flow is called {name:?}; there are {}", all.join(", ")))
            }
            Some(name) if first == "case" && !self.cases.contains_key(name) => {
                let all = self.cases().join(", ");
                Err(format!("no case is called {name:?}; there are {all}"))
            }
            _ => Ok(()),
        }
    }

    /// What the file, or else a case, says.
    fn current(&self, key: &str) -> Option<&Value> {
        let get = |table| get(table, key);
        get(&self.table).or_else(|| overlays(&self.table).find_map(get))
    }
}

/// Another form of the value might be right.
fn is_about_the_form(error: &FileError) -> bool {
    error.message.starts_with("invalid type")
}

fn overlays(table: &Table) -> impl Iterator<Item = &Table> {
    let cases = table.get("case").and_then(Value::as_table);
    cases.into_iter().flat_map(|cases| cases.values().filter_map(Value::as_table))
}

fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Table(table) => table.get(part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Sets a key in the file and in each of its cases.
fn set_everywhere(table: &mut Table, key: &str, value: &Value) -> Result<(), String> {
    set(table, key, value)?;
    let first = key.split('.').next().unwrap_or_default();
    let is_list = table.get(first).is_some_and(Value::is_array);
    if first == "case" {
        return Ok(());
    }
    let Some(Value::Table(cases)) = table.get_mut("case") else { return Ok(()) };
    for (_, overlay) in cases.iter_mut() {
        let Value::Table(overlay) = overlay else { continue };
        // A case replaces a list as a whole, or has that of the file.
        if !is_list || overlay.contains_key(first) {
            set(overlay, key, value)?;
        }
    }
    Ok(())
}

fn set(table: &mut Table, key: &str, value: &Value) -> Result<(), String> {
    let (path, last) = key.rsplit_once('.').map_or((None, key), |(path, last)| (Some(path), last));
    let mut at = table;
    for part in path.iter().flat_map(|path| path.split('.')) {
        at = match at.entry(part).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(table) => table,
            Value::Array(items) => return set_in_list(items, key, part, value),
            _ => return Err(format!("{part:?} has a value and no keys of its own")),
        };
    }
    at.insert(last.to_owned(), value.clone());
    Ok(())
}

/// What follows `part` in the key is a number of an item, and a key of it.
fn set_in_list(items: &mut [Value], key: &str, part: &str, value: &Value) -> Result<(), String> {
    let rest = key.split_once(&format!("{part}.")).map_or("", |(_, rest)| rest);
    let (number, inner) = rest.split_once('.').ok_or("expected a number and a key after it")?;
    let count = items.len();
    let item = number.parse::<usize>().ok().and_then(|n| items.get_mut(n));
    let item = item.and_then(Value::as_table_mut);
    let item = item.ok_or(format!("expected a number below {count} after {part:?}"))?;
    set(item, inner, value)
}

fn collect_traces(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                match value {
                    Value::String(name) if key == "trace" && !out.contains(name) => {
                        out.push(name.clone());
                    }
                    other => collect_traces(other, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_traces(item, out)),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Overrides;

    const FILE: &str = r#"
title = "one link"
duration = "2s"

[link.a]
ends = ["client", "server"]
rate = "8Mbps"
delay = "10ms"

[flow.mp]
from = "client"
to = "server"

[[event]]
at = "1s"
link = "a"
rate = "2Mbps"

[case.lia.flow.mp]
cc = "lia"

[case.plain.flow.mp]
tcp = true
"#;

    fn experiment() -> Experiment {
        Experiment::parse("x.toml", FILE, Path::new(".")).unwrap()
    }

    fn varied(settings: &[(&str, &str)]) -> Result<Experiment, FileError> {
        let settings: Vec<_> =
            settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        experiment().varied(&settings)
    }

    #[test]
    fn a_value_counts_in_every_case_and_changes_what_is_measured() {
        let goodput = |e: &Experiment, case| {
            e.run(case, 1, &Overrides::default()).unwrap().values["flow.mp.goodput"]
        };
        let (base, slower) = (experiment(), varied(&[("link.a.rate", "4Mbps")]).unwrap());
        assert!(goodput(&base, "lia") > 1.3 * goodput(&slower, "lia"));
        let later = varied(&[("event.0.at", "1.5s")]).unwrap();
        assert!(goodput(&later, "lia") > 1.2 * goodput(&base, "lia"));
        let reno = varied(&[("flow.mp.cc", "reno")]).unwrap();
        assert_eq!(reno.cases["lia"].flow["mp"].cc.as_deref(), Some("reno"));
        let plain = varied(&[("flow.mp.tcp", "true"), ("flow.mp.count", "2")]).unwrap();
        assert!(plain.cases["lia"].flow["mp"].tcp);
        assert_eq!(plain.cases["plain"].flow["mp"].count, Some(2));
        // A number where the file wants text.
        assert!(varied(&[("link.a.loss", "0.01")]).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (&[("flow.mp.cc", "lila")], "flow.mp.cc: unknown congestion control"),
            (&[("flow.pm.cc", "lia")], "flow.pm.cc: no flow is called \"pm\"; there are mp"),
            (&[("flow.mp.colour", "1")], "unknown field `colour`, expected one of"),
            (&[("link.a.rate", "10")], "link.a.rate: expected a rate such as"),
            (&[("link.a.loss", "2")], "link.a.loss: expected a chance such as"),
            (&[("flow.mp.tcp", "7")], "flow.mp.tcp: invalid type: integer `7`, expected a bool"),
            (&[("link.b.rate", "1Mbps")], "link.b: expected `ends`"),
            (&[("seeds", "3")], "seeds: no result of a run depends on it"),
            (&[("event.3.at", "1s")], "event.3.at: expected a number below 1"),
        ];
        for (settings, message) in cases {
            let error = varied(settings).expect_err(message).to_string();
            assert!(error.contains(message), "{error}\ninstead of {message}");
            assert!(error.starts_with("x.toml: "), "a line of the file would mislead: {error}");
        }
    }

    #[test]
    fn only_what_decides_results_makes_another_experiment() {
        let same = FILE.replace("one link", "the same").replace("[link.a]", "# words\n[link.a]");
        let same = Experiment::parse("y.toml", &same, Path::new(".")).unwrap();
        assert_eq!(same.identity(), experiment().identity());
        let other = varied(&[("link.a.delay", "11ms")]).unwrap();
        assert_ne!(other.identity(), experiment().identity());
    }
}
