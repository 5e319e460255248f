//! MP_TCPRST (RFC 8684 §3.6).

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
