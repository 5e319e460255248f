//! MP_FAIL (RFC 8684 §3.7).

use manypath_base::DataSeq;

/// A checksum failed: fall back, or close this subflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpFail {
    /// Start of the mapping that failed.
    pub dsn: DataSeq,
}
