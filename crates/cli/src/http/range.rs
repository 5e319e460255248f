//! Byte ranges (RFC 9110 §14).

use std::ops::Range;

/// What a Range header asks of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: there is no header, or one that may be ignored (RFC 9110 §14.2).
    All,
    /// One part of it.
    Part(Range<u64>),
    /// A part that it does not have.
    Nothing,
}

/// Reads a Range header for a representation of `len` bytes. **Choice:** several ranges at once
/// are answered with everything, as §14.2 allows.
pub(crate) fn asked(header: Option<&str>, len: u64) -> Asked {
    let Some((first, last)) = header
        .and_then(|value| value.strip_prefix("bytes="))
        .and_then(|spec| spec.trim().split_once('-'))
    else {
        return Asked::All;
    };
    let number = |text: &str| text.parse::<u64>();
    let range = match (first, last) {
        ("", suffix) => match number(suffix) {
            Ok(suffix) => len.saturating_sub(suffix)..len,
            Err(_) => return Asked::All,
        },
        (first, "") => match number(first) {
            Ok(first) => first..len,
            Err(_) => return Asked::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(len),
            _ => return Asked::All,
        },
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_rfc_9110() {
        let cases = [
            (None, Asked::All),
            (Some("bytes=0-499"), Asked::Part(0..500)),
            (Some("bytes=500-"), Asked::Part(500..1_000)),
            (Some("bytes=-200"), Asked::Part(800..1_000)),
            (Some("bytes=-2000"), Asked::Part(0..1_000)),
            (Some("bytes=900-5000"), Asked::Part(900..1_000)),
            (Some("bytes=1000-"), Asked::Nothing),
            (Some("bytes=-0"), Asked::Nothing),
            (Some("bytes=5-2"), Asked::All),
            (Some("bytes=0-1,5-6"), Asked::All),
            (Some("bytes=a-b"), Asked::All),
            (Some("items=0-1"), Asked::All),
        ];
        for (header, expected) in cases {
            assert_eq!(asked(header, 1_000), expected, "{header:?}");
        }
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Nothing);
    }
}
