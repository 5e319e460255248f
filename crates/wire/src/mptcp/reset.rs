//! MP_TCPRST (RFC 8684 §3.6, Figure 15).
//!
//! ```text
//! +---------+--------+-------+-+-+-+-+--------+
//! | kind 30 |  len 4 |   8   |U|V|W|T| reason |    U, V, W: ignored, sent as 0
//! +---------+--------+-------+-+-+-+-+--------+
//! ```

use super::Subtype;
use crate::{Error, Reader, Writer};

/// Why a subflow was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// 0x00: unspecified.
    Unspecified,
    /// 0x01: an MPTCP-specific error in the handshake or later.
    MptcpError,
    /// 0x02: lack of resources.
    LackOfResources,
    /// 0x03: administratively prohibited.
    AdministrativelyProhibited,
    /// 0x04: too much outstanding data.
    TooMuchOutstandingData,
    /// 0x05: unacceptable performance.
    UnacceptablePerformance,
    /// 0x06: a middlebox interferes.
    MiddleboxInterference,
    /// Any other code.
    Other(u8),
}

/// Says why a RST closes the subflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpTcpRst {
    /// T: the condition may pass; the subflow may be tried again.
    pub transient: bool,
    /// Reason.
    pub reason: ResetReason,
}

impl From<u8> for ResetReason {
    fn from(code: u8) -> Self {
        match code {
            0x00 => Self::Unspecified,
            0x01 => Self::MptcpError,
            0x02 => Self::LackOfResources,
            0x03 => Self::AdministrativelyProhibited,
            0x04 => Self::TooMuchOutstandingData,
            0x05 => Self::UnacceptablePerformance,
            0x06 => Self::MiddleboxInterference,
            code => Self::Other(code),
        }
    }
}

impl From<ResetReason> for u8 {
    fn from(reason: ResetReason) -> Self {
        match reason {
            ResetReason::Unspecified => 0x00,
            ResetReason::MptcpError => 0x01,
            ResetReason::LackOfResources => 0x02,
            ResetReason::AdministrativelyProhibited => 0x03,
            ResetReason::TooMuchOutstandingData => 0x04,
            ResetReason::UnacceptablePerformance => 0x05,
            ResetReason::MiddleboxInterference => 0x06,
            ResetReason::Other(code) => code,
        }
    }
}

impl MpTcpRst {
    pub(super) const LEN: usize = 4;

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Error> {
        let transient = r.u8()? & 1 == 1;
        Ok(Self { transient, reason: r.u8()?.into() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { transient, reason } = *self;
        w.u8(Subtype::Reset.octet(u8::from(transient)))?;
        w.u8(reason.into())
    }
}
