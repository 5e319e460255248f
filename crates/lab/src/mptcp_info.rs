//! What the kernel says of one connection: `getsockopt(SOL_MPTCP, MPTCP_INFO)`.

use std::os::fd::AsFd;

use nix::sys::socket::getsockopt;

/// Whether a connection of the kernel is MPTCP, and how it fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MptcpInfo {
    /// Subflows besides the first one.
    pub extra_subflows: u8,
    /// The connection fell back to TCP.
    pub fallback: bool,
    /// Token of this end (RFC 8684 §3.2).
    pub token: u32,
}

impl MptcpInfo {
    /// What the kernel says of this socket; `None` for one that is plain TCP, also where a peer
    /// without MPTCP made it so.
    #[must_use]
    pub fn of(socket: &impl AsFd) -> Option<Self> {
        let bytes = getsockopt(socket, raw::Info).ok()?;
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Some(Self { extra_subflows: bytes[0], fallback: word(8) & 1 == 1, token: word(12) })
    }
}

mod raw {
    use nix::{getsockopt_impl, libc, sockopt_impl};

    const SOL_MPTCP: i32 = 284;
    const MPTCP_INFO: i32 = 1;
    // The start of `struct mptcp_info`; the kernel cuts its answer to the length asked for.
    sockopt_impl!(
        /// The first 16 bytes of `struct mptcp_info`.
        Info,
        GetOnly,
        SOL_MPTCP,
        MPTCP_INFO,
        [u8; 16]
    );
}
