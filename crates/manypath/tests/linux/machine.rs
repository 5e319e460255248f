//! Whether this machine can, and whose turn it is.
//!
//! Tests of what arrives share the machine; those of how fast have it alone.

use manypath_lab::{MPTCP_LAB, Skip, skip_unless};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURNS: RwLock<()> = RwLock::const_new(());

/// For the first line of a test: waits until no measurement runs. An error says that the machine
/// lacks something; the reason was said aloud.
pub(crate) async fn shared() -> Result<RwLockReadGuard<'static, ()>, Skip> {
    skip_unless(MPTCP_LAB)?;
    Ok(TURNS.read().await)
}

/// As [`shared`], for a measurement: waits until nothing else runs.
pub(crate) async fn alone() -> Result<RwLockWriteGuard<'static, ()>, Skip> {
    skip_unless(MPTCP_LAB)?;
    Ok(TURNS.write().await)
}
