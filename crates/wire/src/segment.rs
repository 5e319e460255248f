//! The TCP header (RFC 9293 §3.1) with its options and payload.

use core::ops::{BitOr, BitOrAssign};

use manypath_base::{Payload, SeqNum, len32};

use crate::{Error, Options, Reader, Writer};

/// The control bits of RFC 9293 §3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// One TCP segment, or a super-segment that a device cuts into several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte, or of the SYN.
    pub seq: SeqNum,
    /// Next sequence number expected; meaningful with [`Flags::ACK`].
    pub ack: SeqNum,
    /// Control bits.
    pub flags: Flags,
    /// The window field, unscaled.
    pub window: u16,
    /// The urgent pointer; meaningful with [`Flags::URG`].
    pub urgent: u16,
    /// Options, parsed.
    pub options: Options,
    /// Payload.
    pub payload: Payload,
}

impl Segment {
    /// Length of the header with its options, and of the payload, in bytes.
    pub(crate) fn wire_len(&self) -> usize {
        TCP_LEN + self.options.len() + self.payload.len()
    }

    /// SEG.LEN of RFC 9293 §3.4: payload bytes plus one for SYN and one for FIN.
    #[must_use]
    pub fn seq_len(&self) -> u32 {
        let control = |f| u32::from(self.flags.has(f));
        len32(self.payload.len()) + control(Flags::SYN) + control(Flags::FIN)
    }
}

/// Length of a TCP header without options, in bytes.
pub(crate) const TCP_LEN: usize = 20;
/// Offset of the sequence number in a TCP header.
pub(crate) const SEQ_AT: usize = 4;
/// Offset of the control bits in a TCP header.
pub(crate) const FLAGS_AT: usize = 13;
/// Offset of the checksum in a TCP header.
pub(crate) const CHECKSUM_AT: usize = 16;

// source port, destination port | sequence number | acknowledgment number |
// data offset|reserved, flags, window | checksum, urgent pointer | options (RFC 9293 §3.1).
impl Segment {
    /// Length of the header at the start of `bytes`, options included, as its data offset says.
    pub(crate) fn header_len(bytes: &[u8]) -> Result<usize, Error> {
        let len = usize::from(bytes.get(12).ok_or(Error::Truncated)? >> 4) * 4;
        if len < TCP_LEN { Err(Error::BadLength) } else { Ok(len) }
    }

    /// Reads a header that is as long as [`Segment::header_len`] says; the payload stays empty.
    pub(crate) fn parse(header: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(header);
        let (src_port, dst_port) = (r.u16()?, r.u16()?);
        let (seq, ack) = (SeqNum(r.u32()?), SeqNum(r.u32()?));
        let (_offset, flags) = (r.u8()?, Flags(r.u8()?));
        let window = r.u16()?;
        let (_checksum, urgent) = (r.u16()?, r.u16()?);
        let options = Options::parse(r.rest())?;
        let payload = Payload::new();
        Ok(Self { src_port, dst_port, seq, ack, flags, window, urgent, options, payload })
    }

    /// Writes the header, with 0 for the checksum.
    pub(crate) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { src_port, dst_port, seq, ack, flags, window, urgent, options, payload: _ } =
            self;
        let words = u8::try_from((TCP_LEN + options.len()) / 4).unwrap_or(u8::MAX);
        w.u16(*src_port)?;
        w.u16(*dst_port)?;
        w.u32(seq.0)?;
        w.u32(ack.0)?;
        w.u8(words << 4)?;
        w.u8(flags.0)?;
        w.u16(*window)?;
        w.u16(0)?;
        w.u16(*urgent)?;
        options.emit(w)
    }
}
