//! MPTCP options (RFC 8684 §3): TCP option kind 30, one file for each subtype.

mod add_addr;
mod capable;
mod dss;
mod fail;
mod fastclose;
mod join;
mod prio;
mod remove_addr;
mod reset;

pub use add_addr::AddAddr;
pub use capable::{CapableFlags, MpCapable};
pub use dss::{Dss, DssMapping, DssNumber};
pub use fail::MpFail;
pub use fastclose::FastClose;
pub use join::MpJoin;
pub use prio::MpPrio;
pub use remove_addr::RemoveAddr;
pub use reset::{MpTcpRst, ResetReason};

use smallvec::SmallVec;

/// The MPTCP options of one segment: at most one of each subtype, the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MptcpOptions {
    /// MP_CAPABLE.
    pub capable: Option<MpCapable>,
    /// MP_JOIN.
    pub join: Option<MpJoin>,
    /// DSS.
    pub dss: Option<Dss>,
    /// ADD_ADDR.
    pub add_addr: Option<AddAddr>,
    /// REMOVE_ADDR.
    pub remove_addr: Option<RemoveAddr>,
    /// MP_PRIO.
    pub prio: Option<MpPrio>,
    /// MP_FAIL.
    pub fail: Option<MpFail>,
    /// MP_FASTCLOSE.
    pub fastclose: Option<FastClose>,
    /// MP_TCPRST.
    pub reset: Option<MpTcpRst>,
    /// Subtypes that the stack does not know, with everything behind kind and length.
    pub unknown: SmallVec<[SmallVec<[u8; 38]>; 0]>,
}
