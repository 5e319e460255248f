//! MP_PRIO (RFC 8684 §3.3.8).

use manypath_base::AddrId;

/// Changes the priority of the subflow that it travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpPrio {
    /// B: use as backup.
    pub backup: bool,
    /// The address identifier of MPTCP version 0's longer form: shown, never obeyed.
    pub addr_id: Option<AddrId>,
}
