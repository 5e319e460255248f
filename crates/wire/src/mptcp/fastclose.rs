//! MP_FASTCLOSE (RFC 8684 §3.5).

use manypath_base::Key;

/// Aborts the whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastClose {
    /// Key of the option's receiver: proof of being the peer.
    pub receiver_key: Key,
}
