//! From a host name to a connection.

use std::net::{IpAddr, SocketAddr};

use manypath::{ConnectError, ConnectOptions, Endpoint, Stream};

use crate::failure::{Failure, chain};

/// The addresses of a host, as the system's resolver has them.
///
/// # Errors
/// When the name is not known.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(addr) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(addr, port)]);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| Failure::failed(format_args!("resolving {host}"), &error))?;
    Ok(found.collect())
}

/// Connects to the first address that answers.
///
/// # Errors
/// Why none did; wrong usage where this host has no address of the right IP version.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    to: &[SocketAddr],
    options: &ConnectOptions,
) -> Result<Stream, Failure> {
    let mut said = Vec::new();
    let mut begun = false;
    for &addr in to {
        match endpoint.connect_with(addr, options.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                begun |= !matches!(error, ConnectError::NotBegun(_));
                said.push(format!("{addr}: {}", chain(&error)));
            }
        }
    }
    let said = if said.is_empty() { "the name has no address".to_owned() } else { said.join("; ") };
    Err(if begun { Failure::Failed(said) } else { Failure::Usage(said) })
}
