//! DSS: data sequence signal (RFC 8684 §3.3, Figure 9). A flag says which number is there and
//! how long it is; the length of the option says whether the checksum is.
//!
//! ```text
//! +---------+--------+-------+--------------+---------+
//! | kind 30 | length |   2   |   reserved   |F|m|M|a|A|
//! +---------+--------+-------+--------------+---------+
//! |  A: data ACK, 4 bytes, or 8 with a                |
//! +---------------------------------------------------+
//! |  M: data sequence number, 4 bytes, or 8 with m    |
//! +---------------------------------------------------+
//! |  M: subflow sequence number, 4 bytes              |
//! +-------------------------+-------------------------+
//! |  M: data-level length   |  M: checksum, if agreed |
//! +-------------------------+-------------------------+
//! ```

use super::Subtype;
use crate::{Error, Reader, Writer};

/// A: the data ACK is there.
const ACK: u8 = 0x01;
/// a: the data ACK has 8 bytes.
const ACK8: u8 = 0x02;
/// M: the mapping is there.
const MAP: u8 = 0x04;
/// m: the data sequence number has 8 bytes.
const DSN8: u8 = 0x08;
/// F: DATA_FIN.
const FIN: u8 = 0x10;

/// A data sequence number or DATA_ACK of 4 or 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DssNumber {
    /// The low 32 bits.
    Four(u32),
    /// All 64 bits.
    Eight(u64),
}

/// Where bytes of the subflow belong in the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DssMapping {
    /// Data sequence number of the first byte.
    pub dsn: DssNumber,
    /// Subflow sequence number of the first byte, relative to the initial one; 0 where only a
    /// DATA_FIN is mapped.
    pub ssn: u32,
    /// Data-level length, DATA_FIN included; 0 is the infinite mapping (RFC 8684 §3.7).
    pub len: u16,
    /// Checksum, if agreed.
    pub checksum: Option<u16>,
}

/// Acknowledges data and maps data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dss {
    /// F: the last byte that the mapping covers is the DATA_FIN.
    pub data_fin: bool,
    /// DATA_ACK.
    pub data_ack: Option<DssNumber>,
    /// Mapping.
    pub mapping: Option<DssMapping>,
}

impl DssNumber {
    fn wire_len(self) -> usize {
        match self {
            Self::Four(_) => 4,
            Self::Eight(_) => 8,
        }
    }

    fn parse(r: &mut Reader<'_>, eight: bool) -> Result<Self, Error> {
        if eight { r.u64().map(Self::Eight) } else { r.u32().map(Self::Four) }
    }

    fn emit(self, w: &mut Writer<'_>) -> Result<(), Error> {
        match self {
            Self::Four(n) => w.u32(n),
            Self::Eight(n) => w.u64(n),
        }
    }
}

impl DssMapping {
    fn wire_len(&self) -> usize {
        self.dsn.wire_len() + 6 + self.checksum.map_or(0, |_| 2)
    }

    /// The mapping is the last part: two bytes more than it needs are the checksum.
    fn parse(r: &mut Reader<'_>, eight: bool) -> Result<Self, Error> {
        let dsn = DssNumber::parse(r, eight)?;
        let (ssn, len) = (r.u32()?, r.u16()?);
        let checksum = if r.is_empty() { None } else { Some(r.u16()?) };
        Ok(Self { dsn, ssn, len, checksum })
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { dsn, ssn, len, checksum } = *self;
        dsn.emit(w)?;
        w.u32(ssn)?;
        w.u16(len)?;
        checksum.map_or(Ok(()), |checksum| w.u16(checksum))
    }
}

impl Dss {
    pub(super) fn wire_len(&self) -> usize {
        let ack = self.data_ack.map_or(0, DssNumber::wire_len);
        4 + ack + self.mapping.as_ref().map_or(0, DssMapping::wire_len)
    }

    /// "a" and "m" mean nothing without "A" and "M" (RFC 8684 §3.3).
    fn flags(&self) -> u8 {
        let ack = match self.data_ack {
            None => 0,
            Some(DssNumber::Four(_)) => ACK,
            Some(DssNumber::Eight(_)) => ACK | ACK8,
        };
        let map = match self.mapping.map(|m| m.dsn) {
            None => 0,
            Some(DssNumber::Four(_)) => MAP,
            Some(DssNumber::Eight(_)) => MAP | DSN8,
        };
        ack | map | if self.data_fin { FIN } else { 0 }
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.u8()?;
        let flags = r.u8()?;
        let has = |flag| flags & flag != 0;
        let mut dss = Self { data_fin: has(FIN), ..Self::default() };
        if has(ACK) {
            dss.data_ack = Some(DssNumber::parse(r, has(ACK8))?);
        }
        if has(MAP) {
            dss.mapping = Some(DssMapping::parse(r, has(DSN8))?);
        }
        Ok(dss)
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        w.u8(Subtype::Dss.octet(0))?;
        w.u8(self.flags())?;
        if let Some(ack) = self.data_ack {
            ack.emit(w)?;
        }
        self.mapping.map_or(Ok(()), |mapping| mapping.emit(w))
    }
}
