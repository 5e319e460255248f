//! Local ports of connections and listeners.
//!
//! **Invariant**: a port whose 4-tuple waits in TIME-WAIT is used again only where timestamps keep
//! old segments out of the new connection (RFC 6191 §2, RFC 7323 §5.8).

use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use manypath_base::{FourTuple, Instant, SeqNum};

use super::Endpoint;
use crate::ConnectError;

/// Ephemeral ports (RFC 6335 §6).
const EPHEMERAL: RangeInclusive<u16> = 49_152..=65_535;
/// Ports that are tried for one that nothing waits on, before those in TIME-WAIT are.
const UNUSED_TRIES: usize = 64;

/// A port for a new connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    pub(super) number: u16,
    /// Where the connection before it there left off: the new one begins here or later.
    pub(super) least_isn: Option<SeqNum>,
}

impl Endpoint {
    /// The port that is asked for, or a free ephemeral one towards `remote`, from a random place on
    /// (RFC 6056 §3.3.1).
    pub(super) fn port_towards(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: SocketAddr,
        wanted: Option<u16>,
    ) -> Result<Port, ConnectError> {
        let tuple = |number| FourTuple { local: SocketAddr::new(local, number), remote };
        if let Some(number) = wanted {
            return self
                .claim(now, tuple(number))
                .ok_or(ConnectError::PortInUse(SocketAddr::new(local, number)));
        }
        if let Some(number) = self.free_port(local, remote, UNUSED_TRIES) {
            return Ok(Port { number, least_isn: None });
        }
        let mut all = self.ephemeral(remote);
        all.find_map(|number| self.claim(now, tuple(number))).ok_or(ConnectError::NoPort(remote))
    }

    /// An ephemeral port towards `remote` that nothing uses, among as many as are tried.
    pub(super) fn free_port(
        &mut self,
        local: IpAddr,
        remote: SocketAddr,
        tries: usize,
    ) -> Option<u16> {
        let mut all = self.ephemeral(remote).take(tries);
        all.find(|&number| {
            let local = SocketAddr::new(local, number);
            !self.is_taken(&FourTuple { local, remote })
        })
    }

    /// All ephemeral ports that are at home here, from a random one on.
    fn ephemeral(&mut self, remote: SocketAddr) -> impl Iterator<Item = u16> + use<> {
        let shard = self.shard;
        let first = u64::from(*EPHEMERAL.start());
        let count = u64::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        let start = self.rng.below(count);
        let all = (0..count).filter_map(move |n| u16::try_from(first + (start + n) % count).ok());
        all.filter(move |&number| shard.is_home(number, remote.port()))
    }

    /// Takes a 4-tuple that is free, or that may be used again.
    fn claim(&mut self, now: Instant, tuple: FourTuple) -> Option<Port> {
        let number = tuple.local.port();
        if let Some(wait) = self.time_waits.get(&tuple) {
            let least_isn = wait.reopens_from(now)?;
            self.time_waits.remove(&tuple);
            return Some(Port { number, least_isn: Some(least_isn) });
        }
        let Some(&(id, subflow)) = self.tuples.get(&tuple) else {
            return Some(Port { number, least_isn: None });
        };
        let least_isn = self.connections.get(&id)?.conn.reopens_from(now, subflow)?;
        self.forget_subflow(id, subflow);
        Some(Port { number, least_isn: Some(least_isn) })
    }

    /// Whether a subflow has this 4-tuple, or waits there in TIME-WAIT.
    pub(super) fn is_taken(&self, tuple: &FourTuple) -> bool {
        self.tuples.contains_key(tuple)
            || self.time_waits.get(tuple).is_some()
            || self.has_guest(tuple)
    }

    pub(super) fn free_listening_port(&mut self) -> Option<u16> {
        let used = |port: u16| self.listeners.values().any(|l| l.addr.port() == port);
        EPHEMERAL.into_iter().find(|&port| !used(port))
    }
}
