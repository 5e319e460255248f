//! What is wrong with an experiment file: file, line, key, and what was expected.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file as it was named.
    pub file: String,
    /// Number of the line, from 1, where it is known.
    pub line: Option<usize>,
    /// The key.
    pub key: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, message } = self;
        write!(f, "{file}")?;
        if let Some(line) = line {
            write!(f, ":{line}")?;
        }
        if key.is_empty() { write!(f, ": {message}") } else { write!(f, ": {key}: {message}") }
    }
}

impl std::error::Error for FileError {}

/// Something wrong at a key that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) key: String,
    pub(crate) message: String,
}

impl Wrong {
    pub(crate) fn new(key: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { key: key.into(), message: message.to_string() }
    }
}

/// Reads a text; what is wrong is at the place that the reader names.
pub(crate) fn read_text<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    let of_toml = |path: &str, error: &toml::de::Error| FileError::of_toml(file, text, path, error);
    let reader = toml::Deserializer::parse(text).map_err(|error| of_toml("", &error))?;
    serde_path_to_error::deserialize(reader)
        .map_err(|error| of_toml(&error.path().to_string(), error.inner()))
}

/// Reads a table that was made of a text, for the case `case` if there is one.
pub(crate) fn read_table<T: DeserializeOwned>(
    file: &str,
    text: &str,
    case: Option<&str>,
    table: toml::Table,
) -> Result<T, FileError> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let message = error.inner().message().replace('\n', " ");
        let key = full_key(&error.path().to_string(), &message);
        FileError::of_wrong(file, text, case, Wrong::new(key, message))
    })
}

/// The key that an error is about: `event.1.link` for `event[1].link`, and a field that is missing
/// by its own name. Empty if it is the whole file.
fn full_key(path: &str, message: &str) -> String {
    let path = if path == "." { String::new() } else { path.replace('[', ".").replace(']', "") };
    let missing = message.strip_prefix("missing field `").and_then(|m| m.split('`').next());
    match missing {
        Some(field) if path.is_empty() => field.to_owned(),
        Some(field) => format!("{path}.{field}"),
        None => path,
    }
}

impl FileError {
    /// An error of the reader, at the place that it names.
    fn of_toml(file: &str, text: &str, path: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map(|span| span.start.min(text.len()));
        let line = at.map(|at| text[..at].matches('\n').count() + 1);
        let content = line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
        let message = error.message().replace('\n', " ");
        let mut key = full_key(path, &message);
        if key.is_empty() {
            // A text that cannot be read has no keys yet.
            content.split('=').next().unwrap_or_default().trim().clone_into(&mut key);
        }
        Self { file: file.to_owned(), line, key, message }
    }

    /// Something wrong at a key, with the line where it stands, in the case `case` if there is one.
    pub(crate) fn of_wrong(file: &str, text: &str, case: Option<&str>, wrong: Wrong) -> Self {
        let plain = place_of(text, &wrong.key);
        let overlay = case.map(|case| (case, format!("case.{case}.{}", wrong.key)));
        let (key, line) = match overlay {
            // What the case itself says counts, if it says anything as near as the rest does.
            Some((case, key)) => match (place_of(text, &key), plain) {
                (Some((length, line)), plain)
                    if plain.is_none_or(|(p, _)| length >= p + "case..".len() + case.len()) =>
                {
                    (key, Some(line))
                }
                _ => (wrong.key, plain.map(|(_, line)| line)),
            },
            None => (wrong.key, plain.map(|(_, line)| line)),
        };
        Self { file: file.to_owned(), line, key, message: wrong.message }
    }
}

/// The line on which a key such as `flow.mp.cc` or `event.1.link` stands, or else the table that it
/// is in, with the length of that name.
fn place_of(text: &str, key: &str) -> Option<(usize, usize)> {
    let mut table = String::new();
    let mut items: BTreeMap<&str, usize> = BTreeMap::new();
    let mut best: Option<(usize, usize)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let header = line.strip_prefix('[').and_then(|l| l.split(']').next());
        let name = line.split('=').next().unwrap_or_default().trim();
        let path = match header.map(|h| (h, h.strip_prefix('['))) {
            Some((_, Some(list))) => {
                let count = items.entry(list).or_default();
                table = format!("{list}.{count}");
                *count += 1;
                table.clone()
            }
            Some((header, None)) => {
                header.clone_into(&mut table);
                table.clone()
            }
            None if name.is_empty() || !line.contains('=') => continue,
            None if table.is_empty() => name.to_owned(),
            None => format!("{table}.{name}"),
        };
        let within = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|k| k.starts_with('.'));
        let covers = key == path || within(key, &path) || within(&path, key);
        let length = path.len().min(key.len());
        if covers && best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, number));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_where_it_stands() {
        let text = "title = \"x\"\n\n[flow.a]\ncc = \"lia\"\n[case.b.flow.a]\ncc = \"reno\"\n";
        let line_of = |key| place_of(text, key).map(|(_, line)| line);
        assert_eq!(line_of("title"), Some(1));
        assert_eq!(line_of("flow.a.cc"), Some(4));
        assert_eq!(line_of("flow.a.from"), Some(3));
        assert_eq!(line_of("case.b.flow.a.cc"), Some(6));
        assert_eq!(line_of("link.a"), None);
        let text = "[[event]]\nlink = \"a\"\n[[expect]]\n[[event]]\nat = \"1s\"\nlink = \"b\"\n";
        let line_of = |key| place_of(text, key).map(|(_, line)| line);
        assert_eq!((line_of("event.0.link"), line_of("event.1.link")), (Some(2), Some(6)));
        assert_eq!((line_of("event.1"), line_of("expect.0.min")), (Some(4), Some(3)));
    }
}
