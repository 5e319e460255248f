//! DSS: data sequence signal (RFC 8684 §3.3).

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
