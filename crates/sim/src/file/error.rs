//! What is wrong with an experiment file: file, line, key, and what was expected.

use std::fmt;

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

impl FileError {
    /// An error of the reader, at the place that it names.
    pub(crate) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map(|span| span.start.min(text.len()));
        let line = at.map(|at| text[..at].matches('\n').count() + 1);
        let content = line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
        let key = content.split('=').next().unwrap_or_default().trim().to_owned();
        Self { file: file.to_owned(), line, key, message: error.message().replace('\n', " ") }
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

/// The line on which a key such as `flow.mp.cc` stands, or else the table that it is in, with the
/// length of that name.
fn place_of(text: &str, key: &str) -> Option<(usize, usize)> {
    let mut table = "";
    let mut best: Option<(usize, usize)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let header = line.strip_prefix('[').and_then(|l| l.split(']').next());
        let name = line.split('=').next().unwrap_or_default().trim();
        let path = match header {
            Some(header) => {
                table = header.trim_start_matches('[');
                table.to_owned()
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
    }
}
