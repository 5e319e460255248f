//! What browsers take a file for (RFC 9110 §8.3), by the end of its name.

use std::path::Path;

/// Of files that browsers show; all others are bytes, which they save.
const KNOWN: [(&str, &str); 14] = [
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webp", "image/webp"),
];

/// Bytes of any kind.
pub(super) const BYTES: &str = "application/octet-stream";

/// The media type of a file of this name.
pub(super) fn of(path: &Path) -> &'static str {
    let end = path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase);
    let known = KNOWN.iter().find(|(name, _)| end.as_deref() == Some(name));
    known.map_or(BYTES, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_says_what_a_file_is() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a.b/PHOTO.JPG", "image/jpeg"),
            ("archive.tar.gz", BYTES),
            ("html", BYTES),
            (".html", BYTES),
        ] {
            assert_eq!(of(Path::new(name)), expected, "{name}");
        }
    }
}
