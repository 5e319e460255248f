//! MP_CAPABLE (RFC 8684 §3.1, Figure 4). Whether the version and the flags are acceptable is not
//! a question of form.
//!
//! ```text
//! +---------+--------+-------+-------+---------------+
//! | kind 30 | length |   0   |version|A|B|C|D|E|F|G|H|   4 bytes: SYN
//! +---------+--------+-------+-------+---------------+
//! |               sender's key, 8 bytes              |  12 bytes: SYN/ACK
//! +--------------------------------------------------+
//! |              receiver's key, 8 bytes             |  20 bytes: ACK
//! +------------------------+-------------------------+
//! |   data-level length    |   checksum, if agreed   |  22 or 24 bytes: ACK with data
//! +------------------------+-------------------------+
//! ```

use manypath_base::Key;

use super::{LOW, Subtype};
use crate::{Error, Reader, Writer};

/// The flags of MP_CAPABLE, A to H from the left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapableFlags(pub u8);

impl CapableFlags {
    /// A: DSS checksums required.
    pub const CHECKSUM: Self = Self(0x80);
    /// B: extensibility; a receiver that does not know it ignores the option.
    pub const EXTENSIBILITY: Self = Self(0x40);
    /// C: do not open subflows to the source address of this packet.
    pub const DENY_JOIN_ID0: Self = Self(0x20);
    /// H: HMAC-SHA256.
    pub const HMAC_SHA256: Self = Self(0x01);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Starts a multipath connection. The forms differ by length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MpCapable {
    /// SYN: version and flags, 4 bytes.
    Syn {
        /// Version, 1 for RFC 8684.
        version: u8,
        /// Flags A to H.
        flags: CapableFlags,
    },
    /// SYN/ACK: with the sender's key, 12 bytes.
    SynAck {
        /// Version, 1 for RFC 8684.
        version: u8,
        /// Flags A to H.
        flags: CapableFlags,
        /// Key of the option's sender.
        sender_key: Key,
    },
    /// Third ACK, or first data: with both keys, 20 bytes, 22 or 24 with data.
    Ack {
        /// Version, 1 for RFC 8684.
        version: u8,
        /// Flags A to H.
        flags: CapableFlags,
        /// Key of the option's sender.
        sender_key: Key,
        /// Key of its receiver.
        receiver_key: Key,
        /// Data-level length and, if checksums were agreed, checksum: the segment carries data,
        /// which is mapped to the initial data sequence number plus one.
        data: Option<(u16, Option<u16>)>,
    },
}

impl MpCapable {
    /// Version of the protocol that the option speaks.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match *self {
            Self::Syn { version, .. }
            | Self::SynAck { version, .. }
            | Self::Ack { version, .. } => version,
        }
    }

    /// Flags A to H.
    #[must_use]
    pub const fn flags(&self) -> CapableFlags {
        match *self {
            Self::Syn { flags, .. } | Self::SynAck { flags, .. } | Self::Ack { flags, .. } => flags,
        }
    }

    pub(super) fn wire_len(&self) -> usize {
        match self {
            Self::Syn { .. } => 4,
            Self::SynAck { .. } => 12,
            Self::Ack { data: None, .. } => 20,
            Self::Ack { data: Some((_, None)), .. } => 22,
            Self::Ack { data: Some((_, Some(_))), .. } => 24,
        }
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        let version = r.u8()? & LOW;
        let flags = CapableFlags(r.u8()?);
        if r.is_empty() {
            return Ok(Self::Syn { version, flags });
        }
        let sender_key = Key(r.array()?);
        if r.is_empty() {
            return Ok(Self::SynAck { version, flags, sender_key });
        }
        let receiver_key = Key(r.array()?);
        let data = match r.len() {
            0 => None,
            2 => Some((r.u16()?, None)),
            _ => Some((r.u16()?, Some(r.u16()?))),
        };
        Ok(Self::Ack { version, flags, sender_key, receiver_key, data })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        w.u8(Subtype::Capable.octet(self.version()))?;
        w.u8(self.flags().0)?;
        match *self {
            Self::Syn { .. } => Ok(()),
            Self::SynAck { sender_key, .. } => w.bytes(&sender_key.0),
            Self::Ack { sender_key, receiver_key, data, .. } => {
                w.bytes(&sender_key.0)?;
                w.bytes(&receiver_key.0)?;
                let Some((len, checksum)) = data else { return Ok(()) };
                w.u16(len)?;
                checksum.map_or(Ok(()), |checksum| w.u16(checksum))
            }
        }
    }
}
