//! REMOVE_ADDR (RFC 8684 §3.4.2).

use manypath_base::AddrId;
use smallvec::SmallVec;

/// Withdraws addresses; every subflow that uses one is to be closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoveAddr {
    /// Identifiers of the addresses, at least one.
    pub ids: SmallVec<[AddrId; 8]>,
}
