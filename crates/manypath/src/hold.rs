//! The application's hold on an endpoint, whose shards it sees as one.
//!
//! **Owns** which shard a call is for, and that paths and listeners are the same in all. **Leaves out**
//! what happens in a shard (`shared`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use manypath_base::{Instant, usize32};
use manypath_mptcp::{ConnId, ConnectOptions, Shard};
use parking_lot::Mutex;

use crate::error::Stopped;
use crate::shared::{Core, State};

/// With the last one gone, the drivers let the connections come to their end and then end themselves.
pub(crate) struct Hold {
    cores: Box<[Arc<Core>]>,
    shard: Shard,
    /// Held while something is done to all shards: they see such things in one order.
    order: Mutex<()>,
    next: AtomicUsize,
}

impl Hold {
    /// Holds the shards, all of one endpoint, of which `shard` is any.
    pub(crate) fn new(cores: Box<[Arc<Core>]>, shard: Shard) -> Arc<Self> {
        Arc::new(Self { cores, shard, order: Mutex::new(()), next: AtomicUsize::new(0) })
    }

    /// The shards, for what needs no order.
    pub(crate) fn cores(&self) -> &[Arc<Core>] {
        &self.cores
    }

    /// Any shard, for what is the same in all.
    pub(crate) fn any(&self) -> &Core {
        &self.cores[0]
    }

    /// The number of the shard that has a connection.
    pub(crate) fn shard_of(&self, id: ConnId) -> usize {
        usize32(self.shard.of_connection(id))
    }

    /// The shard that has a connection.
    pub(crate) fn of(&self, id: ConnId) -> &Core {
        &self.cores[self.shard_of(id)]
    }

    /// The shard where a connection begins: the home of its ports, or each in turn.
    pub(crate) fn for_connection(&self, to: SocketAddr, options: &ConnectOptions) -> &Core {
        let shard = match options.local_port {
            Some(port) => usize32(self.shard.of_ports(port, to.port())),
            None => self.next() % self.cores.len(),
        };
        &self.cores[shard]
    }

    /// The shards, from another one on each time.
    pub(crate) fn cores_in_turn(&self) -> impl Iterator<Item = &Core> {
        let (one, other) = self.cores.split_at(self.next() % self.cores.len());
        other.iter().chain(one).map(|core| &**core)
    }

    fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets one thing be done to all shards, and nothing else to all of them meanwhile.
    pub(crate) fn in_order<R>(&self, f: impl FnOnce(&[Arc<Core>]) -> R) -> R {
        let _one_at_a_time = self.order.lock();
        f(&self.cores)
    }

    /// Does the same thing to all shards.
    pub(crate) fn with_all(&self, f: impl Fn(&mut State, Instant)) -> Result<(), Stopped> {
        self.in_order(|cores| cores.iter().try_for_each(|core| core.with(&f)))
    }

    /// Makes all drivers look.
    pub(crate) fn ring(&self) {
        self.cores.iter().for_each(|core| core.ring());
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.cores.iter().for_each(|core| core.orphan());
    }
}
