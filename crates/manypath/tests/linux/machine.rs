//! Whether this machine can, and whose turn it is.
//!
//! Tests of what arrives share the machine; those of how fast have it alone.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use manypath_lab::{MPTCP_LAB, Skip, skip_unless};

static TURNS: RwLock<()> = RwLock::new(());

/// For the first line of a test: waits until no measurement runs. An error says that the machine
/// lacks something; the reason was said aloud.
pub(crate) fn shared() -> Result<RwLockReadGuard<'static, ()>, Skip> {
    skip_unless(MPTCP_LAB)?;
    Ok(TURNS.read().unwrap_or_else(PoisonError::into_inner))
}

/// As [`shared`], for a measurement: waits until nothing else runs.
pub(crate) fn alone() -> Result<RwLockWriteGuard<'static, ()>, Skip> {
    skip_unless(MPTCP_LAB)?;
    Ok(TURNS.write().unwrap_or_else(PoisonError::into_inner))
}
