//! MP_JOIN (RFC 8684 §3.2, Figures 5 to 7).
//!
//! ```text
//! +---------+--------+-------+-----+-+---------+------------------+---------------+
//! | kind 30 | len 12 |   1   | rsv |B| addr id | receiver's token | nonce, 4 bytes|  SYN
//! +---------+--------+-------+-----+-+---------+------------------+---------------+
//! | kind 30 | len 16 |   1   | rsv |B| addr id | HMAC, 8 bytes    | nonce, 4 bytes|  SYN/ACK
//! +---------+--------+-------+-----+-+---------+------------------+---------------+
//! | kind 30 | len 24 |   1   |    reserved     | HMAC, 20 bytes                   |  ACK
//! +---------+--------+-------+-----------------+----------------------------------+
//! ```

use manypath_base::{AddrId, Token};

use super::Subtype;
use crate::{Error, Reader, Writer};

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

impl MpJoin {
    pub(super) fn wire_len(&self) -> usize {
        match self {
            Self::Syn { .. } => 12,
            Self::SynAck { .. } => 16,
            Self::Ack { .. } => 24,
        }
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        let backup = r.u8()? & 1 == 1;
        let addr_id = AddrId(r.u8()?);
        match r.len() {
            8 => Ok(Self::Syn { backup, addr_id, token: Token(r.u32()?), nonce: r.u32()? }),
            12 => Ok(Self::SynAck { backup, addr_id, hmac: r.array()?, nonce: r.u32()? }),
            _ => Ok(Self::Ack { hmac: r.array()? }),
        }
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        match *self {
            Self::Syn { backup, addr_id, token, nonce } => {
                w.u8(Subtype::Join.octet(u8::from(backup)))?;
                w.u8(addr_id.0)?;
                w.u32(token.0)?;
                w.u32(nonce)
            }
            Self::SynAck { backup, addr_id, hmac, nonce } => {
                w.u8(Subtype::Join.octet(u8::from(backup)))?;
                w.u8(addr_id.0)?;
                w.bytes(&hmac)?;
                w.u32(nonce)
            }
            Self::Ack { hmac } => {
                w.u8(Subtype::Join.octet(0))?;
                w.u8(0)?;
                w.bytes(&hmac)
            }
        }
    }
}
