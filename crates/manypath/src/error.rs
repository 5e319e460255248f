//! What goes wrong, and which [`io::ErrorKind`] that is.

use std::io;

use manypath_mptcp::ConnectionError;
use thiserror::Error;

/// Why [`crate::Endpoint::connect`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No SYN was sent.
    #[error(transparent)]
    NotBegun(#[from] manypath_mptcp::ConnectError),
    /// The handshake did not come to its end.
    #[error(transparent)]
    Failed(#[from] ConnectionError),
    /// The endpoint does not work any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NotBegun(e) => Self::new(begin_kind(e), e),
            ConnectError::Failed(e) => connection_error(e),
            ConnectError::Stopped(e) => e.into(),
        }
    }
}

/// Why [`crate::Endpoint::listen`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Refused(#[from] manypath_mptcp::ListenError),
    /// The endpoint does not work any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Refused(e @ manypath_mptcp::ListenError::InUse(_)) => {
                Self::new(io::ErrorKind::AddrInUse, e)
            }
            ListenError::Refused(e) => Self::new(io::ErrorKind::AddrNotAvailable, e),
            ListenError::Stopped(e) => e.into(),
        }
    }
}

/// The endpoint does not work any more: its thread ended, because of a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the endpoint has stopped: it panicked earlier, which is a bug")]
pub struct Stopped;

impl From<Stopped> for io::Error {
    fn from(error: Stopped) -> Self {
        Self::other(error)
    }
}

fn begin_kind(error: manypath_mptcp::ConnectError) -> io::ErrorKind {
    use manypath_mptcp::ConnectError as E;
    match error {
        E::NoAddress(_) => io::ErrorKind::NetworkUnreachable,
        E::NotUnicast(_) => io::ErrorKind::InvalidInput,
        E::NotLocal(_) | E::NoPort(_) => io::ErrorKind::AddrNotAvailable,
        _ => io::ErrorKind::Other,
    }
}

/// A connection's end as `std` and tokio name such things.
pub(crate) fn connection_error(error: ConnectionError) -> io::Error {
    let kind = match error {
        ConnectionError::Refused => io::ErrorKind::ConnectionRefused,
        ConnectionError::Reset => io::ErrorKind::ConnectionReset,
        ConnectionError::TimedOut => io::ErrorKind::TimedOut,
        ConnectionError::Unreachable => io::ErrorKind::HostUnreachable,
        ConnectionError::NoPath => io::ErrorKind::NetworkDown,
        _ => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_a_user_of_tcp_streams_knows_and_the_cause_is_inside() {
        let error = io::Error::from(ConnectError::Failed(ConnectionError::Refused));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<ConnectionError>());
        assert_eq!(inner, Some(&ConnectionError::Refused));
        let addr = "[::]:80".parse().expect("an address");
        let in_use = ListenError::Refused(manypath_mptcp::ListenError::InUse(addr));
        assert_eq!(io::Error::from(in_use).kind(), io::ErrorKind::AddrInUse);
    }
}
