//! Where a URL leads.

use hyper::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};

/// A web server and what to ask it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The URL.
    pub(crate) url: Uri,
    /// Name or address of the host, an IPv6 address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl Target {
    /// Reads a URL; without a scheme it is http.
    ///
    /// # Errors
    /// Why nothing can be fetched from there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url: Uri = whole.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
        match url.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!(
                    "{text}: TLS is not built in; use http://, or a proxy in front that speaks TLS"
                ));
            }
            _ => return Err(format!("{text}: only http:// is spoken")),
        }
        let host = url.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("`{text}` names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port_u16().unwrap_or(80), url })
    }

    /// What stands in the request line (RFC 9112 §3.2.1).
    pub(crate) fn path(&self) -> &str {
        self.url.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// What stands in the Host header (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> &str {
        let authority = self.url.authority().map_or("", Authority::as_str);
        authority.rsplit('@').next().unwrap_or(authority)
    }
}

/// Where a Location header leads, seen from `base` (RFC 3986 §5.2, without dot segments).
///
/// # Errors
/// As [`Target::parse`].
pub(crate) fn join(base: &Target, location: &str) -> Result<Target, String> {
    let scheme = base.url.scheme().map_or("http", Scheme::as_str);
    let authority = base.authority();
    if location.contains("://") {
        return Target::parse(location);
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Target::parse(&format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Target::parse(&format!("{scheme}://{authority}{location}"));
    }
    let folder = base.url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Target::parse(&format!("{scheme}://{authority}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_path() {
        let target = Target::parse("http://[fd00::1]:8080/a?b=c").expect("a URL");
        assert_eq!((&target.host[..], target.port), ("fd00::1", 8080));
        assert_eq!((target.path(), target.authority()), ("/a?b=c", "[fd00::1]:8080"));
        let bare = Target::parse("example.net").expect("a URL");
        assert_eq!((bare.port, bare.path()), (80, "/"));
    }

    #[test]
    fn what_cannot_be_fetched_says_why() {
        for (url, why) in [
            ("https://example.net/", "TLS is not built in"),
            ("ftp://example.net/", "only http"),
            ("http:///x", "`http:///x`"),
        ] {
            let error = Target::parse(url).expect_err(url);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn redirects_may_be_relative() {
        let base = Target::parse("http://a:81/x/y?z").expect("a URL");
        for (location, expected) in [
            ("http://b/", "http://b/"),
            ("//b/c", "http://b/c"),
            ("/c", "http://a:81/c"),
            ("c", "http://a:81/x/c"),
        ] {
            assert_eq!(join(&base, location).expect(location).url.to_string(), expected);
        }
        assert!(join(&base, "https://b/").is_err());
    }
}
