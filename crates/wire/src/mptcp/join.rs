//! MP_JOIN (RFC 8684 §3.2).

use manypath_base::{AddrId, Token};

/// Adds a subflow to a connection. The forms differ by length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MpJoin {
    /// SYN, 12 bytes.
    Syn {
        /// B: this subflow is a backup.
        backup: bool,
        /// Identifier of the source address.
        addr_id: AddrId,
        /// The receiver's token.
        token: Token,
        /// The sender's nonce.
        nonce: u32,
    },
    /// SYN/ACK, 16 bytes.
    SynAck {
        /// B: this subflow is a backup.
        backup: bool,
        /// Identifier of the source address.
        addr_id: AddrId,
        /// Leftmost 64 bits of the sender's HMAC.
        hmac: [u8; 8],
        /// The sender's nonce.
        nonce: u32,
    },
    /// Third ACK, 24 bytes.
    Ack {
        /// Leftmost 160 bits of the sender's HMAC.
        hmac: [u8; 20],
    },
}
