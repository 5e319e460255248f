//! MP_CAPABLE (RFC 8684 §3.1).

use manypath_base::Key;

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
