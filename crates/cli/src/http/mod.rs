//! The part of HTTP/1.1 that is ours: what a site answers, and where a redirect leads. The
//! protocol itself is hyper's, over any tokio stream.

mod body;
mod media_type;
mod range;
mod site;
#[cfg(test)]
mod tests;
mod url;

pub(crate) use site::Site;
pub(crate) use url::{Target, join};
